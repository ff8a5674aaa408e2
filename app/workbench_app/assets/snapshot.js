/* The view as one HTML file that needs no network: the page as it stands, its pictures with their words under the mouse. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";
  const GONE = ".controls, .actions, .sketch, .cursor, .reset, .command button, button.quiet, .skip, input, .hidden";
  const DRAW = `for (const box of document.querySelectorAll("[data-figure]")) {
  const figure = JSON.parse(document.getElementById(box.dataset.figure).textContent);
  Plotly.newPlot(box, figure.data, figure.layout, { displayModeBar: false, displaylogo: false, showSendToCloud: false, responsive: true });
}`;
  const SHELL_STYLE = ".snapshot-head { padding: 20px 24px 0; max-width: 1640px; margin: 0 auto; } .snapshot-head p { font-size: .84rem; color: var(--muted); overflow-wrap: anywhere; }";

  const escape = (text) => text.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);
  const plain = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
  const embed = (value) => JSON.stringify(value, plain).replaceAll("<", "\\u003c");

  function styles() {
    const rules = [...document.styleSheets].flatMap((sheet) => {
      try { return [...sheet.cssRules].map((rule) => rule.cssText); } catch { return []; }
    });
    return rules.filter((rule) => !rule.startsWith("@import") && !rule.startsWith("@font-face")).join("\n")
      .replace(/url\((?!["']?data:)[^)]*\)/g, "none").replaceAll("</", "<\\/");
  }

  /* What the controls say, in words: a file has none of them. */
  function choices() {
    return [...document.querySelectorAll("#main .control")].map((box) => {
      const label = box.querySelector(".control-label, label");
      const marked = box.querySelector("label[data-active], input[type=radio]:checked + label");
      const pills = [...box.querySelectorAll(".mantine-Pill-label")].map((pill) => pill.textContent);
      const field = box.querySelector("input:not([type=radio]):not([type=hidden])");
      const value = pills.length ? pills.join(", ") : marked ? marked.textContent : field ? field.value : "";
      return label && value ? `${label.textContent}: ${value}` : "";
    }).filter(Boolean);
  }

  /* A copy of an element without what only works in the app; its pictures are numbered boxes, their content in figures. */
  function copy_of(element, figures) {
    const opened = [...element.querySelectorAll("details.twin-box:not([open])")];
    opened.forEach((box) => { box.open = true; });
    wb.all_panels().filter((panel) => wb.is_grid(panel)).forEach(wb.show_twin);
    const copy = element.cloneNode(true);
    const pairs = [...element.querySelectorAll(".js-plotly-plot")].map((graph, i) => [graph, copy.querySelectorAll(".js-plotly-plot")[i]]);
    opened.forEach((box) => { box.open = false; });
    copy.querySelectorAll("details.twin-box").forEach((box) => box.removeAttribute("open"));
    for (const [graph, box] of pairs) {
      const fresh = document.createElement("div");
      fresh.dataset.figure = `figure-${figures.length}`;
      fresh.style.height = `${graph.clientHeight}px`;
      figures.push({ data: graph.data, layout: { ...graph.layout, autosize: true, width: undefined } });
      box.replaceWith(fresh);
    }
    const drawn = [...element.querySelectorAll("canvas")].map((canvas, i) => [canvas, copy.querySelectorAll("canvas")[i]]);
    for (const [canvas, empty] of drawn.filter(([canvas]) => canvas.closest(".head"))) {
      const picture = Object.assign(document.createElement("img"), { src: canvas.toDataURL(), alt: "" });
      empty.replaceWith(picture);
    }
    copy.querySelectorAll(GONE).forEach((part) => part.remove());
    copy.querySelectorAll("a[href], td button, .menu-box").forEach((part) => {
      const words = document.createElement("span");
      words.textContent = part.textContent;
      part.replaceWith(words);
    });
    copy.querySelectorAll("[role=application]").forEach((box) => { box.setAttribute("role", "img"); box.removeAttribute("tabindex"); });
    return copy;
  }

  function file_name() {
    const { runs } = wb.resolved();
    const now = document.querySelector(".timeline:not([hidden]) .now");
    const page = document.querySelector("#nav [aria-current=page]").pathname.split("/").pop();
    return [page, ...(runs || []), now ? now.textContent : ""].filter(Boolean).join("-").replace(/[^\w.+-]+/g, "-").slice(0, 120) + ".html";
  }

  /* The text of the file. link: where the view is alive. */
  wb.snapshot = async function (link) {
    const read = async (address) => (await fetch(address)).text();
    const plotly = await read(document.getElementById("plotly-script").href);
    const ink = await read(document.querySelector("script[src*='shared/ink.js']").src);
    const root = document.documentElement;
    const figures = [];
    const main = copy_of(document.getElementById("main"), figures);
    const drawer = document.getElementById("drawer");
    const aside = drawer.hidden ? "" : copy_of(drawer, figures).outerHTML;
    const now = document.querySelector(".timeline:not([hidden]) .now");
    const told = [...choices(), ...(now ? [now.textContent] : [])].join(" · ");
    const day = new Date().toISOString().slice(0, 10);
    const data = figures.map((figure, i) => `<script type="application/json" id="figure-${i}">${embed(figure)}</script>`).join("\n");
    const script = figures.length ? `<script>${ink}</script>\n<script>${plotly}</script>\n${data}\n<script>${DRAW}</script>` : "";
    return `<!DOCTYPE html>
<html lang="en" data-theme="${root.dataset.theme}" data-mantine-color-scheme="${root.dataset.theme}">
<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${escape(document.title)}</title>
<style>${styles()}\n${SHELL_STYLE}</style></head>
<body><header class="snapshot-head"><p>${escape(told)}</p><p>Saved ${day} from ${escape(link)}</p></header>
<div class="stage">${main.outerHTML}${aside}</div>
${script}
</body></html>`;
  };

  /* Save it; returns its size in bytes. */
  wb.save_snapshot = async function (link) {
    const file = new Blob([await wb.snapshot(link)], { type: "text/html" });
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(file);
    anchor.download = file_name();
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
    return file.size;
  };
})();
