/* The detail drawer, walking a heatmap by keyboard, copying and downloading. */
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
    if (!cell && !drawer.hidden && came_from && came_from.isConnected) came_from.focus({ preventScroll: true });
    document.body.classList.toggle("with-drawer", Boolean(cell));
    return !cell;
  };
  const close = () => wb.go({ cell: null });
  const say = (text) => { document.getElementById("live").textContent = text; };

  /* A frame around the cell that the keyboard stands on. */
  function mark(box, panel) {
    const graph = box.querySelector(".js-plotly-plot");
    const layout = graph._fullLayout;
    const [row, column] = panel.cursor;
    let frame = box.querySelector(".cursor");
    if (!frame) {
      frame = document.createElement("div");
      frame.className = "cursor";
      box.append(frame);
    }
    const x0 = layout.xaxis._offset + layout.xaxis.d2p(column - 0.5), x1 = layout.xaxis._offset + layout.xaxis.d2p(column + 0.5);
    const y0 = layout.yaxis._offset + layout.yaxis.d2p(row - 0.5), y1 = layout.yaxis._offset + layout.yaxis.d2p(row + 0.5);
    Object.assign(frame.style, { left: `${Math.min(x0, x1)}px`, top: `${Math.min(y0, y1)}px`, width: `${Math.abs(x1 - x0)}px`, height: `${Math.abs(y1 - y0)}px` });
    const cells = panel.cells || wb.cells_at(panel, wb.current_step());
    say(cells.hover[row][column].replace(/<br>/g, ", ").replace(/<\/?b>/g, ""));
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.body.classList.contains("with-drawer")) return close();
    const box = event.target.closest && event.target.closest(".heat");
    if (box && event.target === box) return walk(event, box);
    const idle = event.target === document.body || event.target.id === "main";
    if (idle && (event.key === "ArrowLeft" || event.key === "ArrowRight") && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      wb.step_by(event.key === "ArrowRight" ? 1 : -1);
    }
    return undefined;
  });

  function walk(event, box) {
    const panel = wb.panel_by_id(box.id);
    if (!panel || !panel.ready) return;
    const rows = panel.parts[0].labels.length;
    const width = panel.parts.reduce((sum, part) => sum + part.positions.length, 0);
    const by = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (by) {
      event.preventDefault();
      const [row, column] = panel.cursor || [0, -1 + (by[1] < 0 ? 2 : 0)];
      panel.cursor = [Math.min(rows - 1, Math.max(0, row + by[0])), Math.min(width - 1, Math.max(0, column + by[1]))];
      mark(box, panel);
    } else if ((event.key === "Enter" || event.key === " ") && panel.cursor) {
      event.preventDefault();
      wb.open_panel_cell(panel, ...panel.cursor);
    }
  }
  document.addEventListener("focusout", (event) => {
    const frame = event.target.classList && event.target.classList.contains("heat") && event.target.querySelector(".cursor");
    if (frame) frame.remove();
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
  async function download(button) {
    const panel = document.getElementById(button.dataset.panel);
    const graph = panel && panel.querySelector(".js-plotly-plot");
    if (!graph) return;
    const format = button.dataset.download;
    const style = getComputedStyle(document.body);
    const { width, height } = graph.getBoundingClientRect();
    const layout = { ...graph.layout, paper_bgcolor: style.getPropertyValue("--card").trim() };
    const url = await window.Plotly.toImage({ data: graph.data, layout }, { format, width, height, scale: format === "png" ? 3 : 1 });
    const link = document.createElement("a");
    link.href = url;
    const known = wb.panel_by_id(button.dataset.panel);
    link.download = `${known && known.parts ? known.parts[0].run : button.dataset.panel}.${format}`;
    link.click();
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest && event.target.closest("button");
    const open_menu = document.querySelector("details.menu-box[open]");
    if (open_menu && !open_menu.contains(event.target)) open_menu.open = false;
    if (!button) return;
    if (button.id === "detail-close") close();
    if (button.dataset.download) download(button);
    if (button.dataset.runs) wb.go({ runs: button.dataset.runs });
    const text = button.id === "copy-link" ? window.location.href : button.dataset.copy;
    if (text === undefined) return;
    await copy(button.id === "copy-link" ? wb.address_now() : text);
    const was = button.textContent;
    button.textContent = "Copied";
    say("Copied");
    setTimeout(() => { if (button.textContent === "Copied") button.textContent = was; }, 1200);
  });
})();
