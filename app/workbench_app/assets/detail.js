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
    document.body.classList.toggle("with-drawer", Boolean(cell));
    return !cell;
  };
  const close = () => wb.go({ cell: null });
  const say = (text) => { document.getElementById("live").textContent = text; };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.body.classList.contains("with-drawer")) return close();
    const idle = event.target === document.body || event.target.id === "main";
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
      document.body.append(area);
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
    if (button.dataset.go) wb.go(Object.fromEntries(new URLSearchParams(button.dataset.go)));
    const text = button.id === "copy-link" ? window.location.href : button.dataset.copy;
    if (text === undefined) return;
    await copy(button.id === "copy-link" ? wb.address_now() : text);
    const was = button.textContent;
    button.textContent = "Copied";
    say("Copied");
    setTimeout(() => { if (button.textContent === "Copied") button.textContent = was; }, 1200);
  });
})();
