/* Share: the pinned link, the view as one file (assets/snapshot.js), a figure for a paper (workbench_app/paper_figures.py). */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const PANELS = {
    p: "Position × target", difference: "Difference to the first run", layers: "Layer × target",
    q: "From the bare name", training: "Over the checkpoints",
    emergence: "First step clear of chance", "half-way": "Half-way step",
    answers: "Answers", tasks: "Tasks",
  };
  const KINDS = ["pdf", "svg", "png"];
  const WAIT_MS = 250;
  let parts = null, asked = 0, waiting = null;

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }
  const button = (words, data) => make("button", { type: "button", class: "quiet", ...data }, words);
  const number = (value, min, max, step) => make("input", { type: "number", value, min, max, step });
  const small = (text) => make("p", { class: "sub" }, text);

  function build() {
    const p = (parts = {});
    p.close = button("Close", {});
    p.link = make("code", { tabindex: 0, "aria-label": "The link" });
    p.copy_link = button("Copy", {});
    p.file = button("Save as HTML", {});
    p.file_told = make("span", { class: "sub", role: "status" });
    p.boxes = Object.fromEntries(Object.keys(PANELS).map((kind) => [kind, make("input", { type: "checkbox", value: kind })]));
    p.panels = make("div", { class: "row", role: "group", "aria-label": "Panels" },
      ...Object.entries(PANELS).map(([kind, words]) => make("label", {}, p.boxes[kind], words)));
    p.width = number(17, 4, 60, 0.5);
    p.font = number(7, 4, 16, 0.5);
    p.told = make("p", { class: "faults", role: "status" });
    p.preview = make("img", { alt: "The figure as it will be written" });
    p.files = Object.fromEntries(KINDS.map((kind) => [kind, make("a", { download: `figure.${kind}` }, kind.toUpperCase())]));
    p.caption = make("p", { class: "caption", tabindex: 0, role: "region", "aria-label": "Caption" });
    p.copy_caption = button("Copy the caption", {});
    p.figure = make("div", {}, make("div", { class: "paper", tabindex: 0, role: "region", "aria-label": "Preview" }, p.preview),
      make("div", { class: "row files" }, ...Object.values(p.files)), p.caption, p.copy_caption);
    p.form = make("div", {}, p.panels, make("div", { class: "row" },
      make("label", {}, "Width in cm", p.width), make("label", {}, "Letters in pt", p.font)));
    p.dialog = make("dialog", { id: "share", "aria-labelledby": "share-title" },
      make("div", { class: "detail-head" }, make("h2", { id: "share-title" }, "Share what is shown"), p.close),
      make("h3", {}, "A link"),
      small("Names everything shown: runs, step, probe, every choice. It opens wherever this app can be reached."),
      make("div", { class: "command" }, p.link, p.copy_link),
      make("h3", {}, "One file"),
      small("The view at this step as one HTML page with its tables, words under the mouse and this link. It opens from a disk and asks no network; its slider rests."),
      make("div", { class: "row" }, p.file, p.file_told),
      make("h3", {}, "A figure for a paper"),
      small("Vector shapes on white; the caption says n, chance, intervals, probe, steps and digests, and how to make it again."),
      p.form, p.told, p.figure);
    document.body.append(p.dialog);
    p.close.addEventListener("click", () => p.dialog.close());
    p.dialog.addEventListener("click", (event) => { if (event.target === p.dialog) p.dialog.close(); });
    p.copy_link.addEventListener("click", () => wb.copy_from(p.copy_link, p.link.textContent));
    p.copy_caption.addEventListener("click", () => wb.copy_from(p.copy_caption, p.caption.textContent));
    p.file.addEventListener("click", save);
    for (const box of Object.values(p.boxes)) box.addEventListener("change", () => later(true));
    for (const box of [p.width, p.font]) box.addEventListener("input", () => later(true));
  }

  async function save() {
    parts.file_told.textContent = "Writing …";
    try {
      const size = await wb.save_snapshot(parts.link.textContent);
      parts.file_told.textContent = `Saved, ${(size / 2 ** 20).toFixed(1)} MB.`;
    } catch (error) {
      parts.file_told.textContent = `It could not be written: ${error.message}.`;
    }
  }

  function later(chosen) {
    clearTimeout(waiting);
    waiting = setTimeout(() => ask(chosen), WAIT_MS);
  }

  /* The figure and its caption, as the server makes them of this view; chosen: the panels are the reader's. */
  async function ask(chosen) {
    const mine = ++asked;
    const params = new URL(parts.link.textContent).searchParams;
    for (const name of ["cell", "scale"]) params.delete(name);
    params.set("width", parts.width.value);
    params.set("font", parts.font.value);
    const kinds = Object.keys(PANELS).filter((kind) => parts.boxes[kind].checked);
    if (chosen && kinds.length) params.set("panels", kinds.join(","));
    const shell = document.getElementById("share-open");
    const page = document.querySelector("#nav [aria-current=page]").pathname.split("/").pop();
    const at = (kind, more) => `${shell.dataset.figure}${page}.${kind}?${params}${more || ""}`;
    parts.figure.setAttribute("aria-busy", "true");
    const answer = await fetch(at("json")).catch(() => null);
    const text = answer ? await answer.text() : "The app does not answer (any more).";
    if (mine !== asked) return;
    parts.figure.removeAttribute("aria-busy");
    const made = answer && answer.ok ? JSON.parse(text) : null;
    parts.figure.hidden = made === null;
    parts.told.hidden = made !== null;
    parts.told.textContent = made ? "" : text.trim();
    parts.form.hidden = made === null && !chosen;
    if (!made) return;
    parts.panels.hidden = made.fixed;
    for (const [kind, box] of Object.entries(parts.boxes)) box.checked = made.panels.includes(kind);
    parts.caption.textContent = made.caption;
    parts.preview.src = at("svg", "&shown");
    for (const kind of KINDS) parts.files[kind].href = at(kind);
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest || !event.target.closest("#share-open")) return;
    if (!parts) build();
    parts.link.textContent = wb.address_now();
    parts.file_told.textContent = "";
    parts.dialog.showModal();
    ask(false);
  });
})();
