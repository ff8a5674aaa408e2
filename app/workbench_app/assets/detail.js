/* The detail drawer, the keys of the whole page, copying. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const client = (window.dash_clientside = window.dash_clientside || {});
  const ns = (client.workbench = client.workbench || {});
  let came_from = null;

  ns.open_cell = function (cell) {
    const drawer = document.getElementById("drawer");
    if (cell && drawer.hidden) {
      came_from = document.activeElement;
      setTimeout(() => document.getElementById("detail-close").focus({ preventScroll: true }), 30);
    }
    if (!cell && !drawer.hidden && came_from) { // the page may have been drawn anew since
      const back = came_from.isConnected ? came_from : document.getElementById(came_from.id);
      if (back) back.focus({ preventScroll: true });
    }
    if (Boolean(cell) !== document.body.classList.contains("with-drawer")) make_room(Boolean(cell));
    setTimeout(() => wb.frame_open(), 0);
    return !cell;
  };

  /* Beside the drawer the cards keep their columns, narrower: what one compares stays where it is. */
  let columns = null;
  wb.keep_columns = function () {
    document.querySelectorAll("#main .grid").forEach((grid, i) => {
      const number = columns && columns[i];
      grid.style.gridTemplateColumns = number > 1 ? `repeat(${number}, minmax(0, 1fr))` : "";
    });
  };
  function make_room(open) {
    const seen = [...document.querySelectorAll("#main .heat")].find((box) => box.getBoundingClientRect().bottom > 80);
    const top = seen && seen.getBoundingClientRect().top;
    const grids = [...document.querySelectorAll("#main .grid")];
    const beside = window.innerWidth > 1100; // below, they could not be read
    columns = open && beside ? grids.map((grid) => getComputedStyle(grid).gridTemplateColumns.split(" ").length) : null;
    document.body.classList.toggle("with-drawer", open);
    document.getElementById("drawer").hidden = !open; // now, not when Dash comes to it: the shift is measured
    wb.keep_columns();
    if (seen) window.scrollBy(0, seen.getBoundingClientRect().top - top); // words wrap more: the picture stays
    setTimeout(wb.fit_all, 60); // once the pictures have their new widths
  }
  const close = () => wb.go({ cell: null });
  const say = (text) => { document.getElementById("live").textContent = text; };

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return undefined; // it takes the keys itself
    if (event.key === "Escape" && document.body.classList.contains("with-drawer")) return close();
    const idle = event.target.id === "main";
    if (idle && (event.key === "ArrowLeft" || event.key === "ArrowRight") && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      wb.step_by(event.key === "ArrowRight" ? 1 : -1);
    }
    return undefined;
  });

  async function copy(text) {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = document.createElement("textarea");
      area.value = text;
      (document.querySelector("dialog[open]") || document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest && event.target.closest("button");
    const open_menu = document.querySelector("details.menu-box[open]");
    if (open_menu && !open_menu.contains(event.target)) open_menu.open = false;
    if (!button) return;
    if (button.id === "detail-close") close();
    if (button.dataset.download) wb.download(button);
    if (button.dataset.go || button.dataset.page) {
      const changes = Object.fromEntries(new URLSearchParams(button.dataset.go || ""));
      if (button.dataset.page) wb.visit(button.dataset.page, changes);
      else wb.go(changes);
    }
    const text = button.id === "copy-link" ? window.location.href : button.dataset.copy;
    if (text === undefined) return;
    await wb.copy_from(button, button.id === "copy-link" ? wb.address_now() : text);
  });
  /* Copy a text, and say so on the button that was pressed. */
  wb.copy_from = async function (button, text) {
    await copy(text);
    const was = button.textContent;
    button.textContent = "Copied";
    say("Copied");
    setTimeout(() => { if (button.textContent === "Copied") button.textContent = was; }, 1200);
  };
})();
