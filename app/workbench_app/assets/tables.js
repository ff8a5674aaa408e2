/* A heatmap's cells without the picture: its table twin, and walking it by keyboard. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});

  const MOST_BUTTONS = 400; // each is a stop of the Tab key; the cells of a larger table are opened in the picture

  function fill_twin(twin, grid) {
    const table = document.createElement("table");
    const opens = grid.open && grid.rows.length * grid.heads.length <= MOST_BUTTONS;
    const caption = table.createCaption();
    const some = grid.cells.unsure && grid.cells.unsure.some((line) => line.includes(true));
    caption.textContent = grid.caption + (opens ? "; each value opens its detail" : "") + (some ? "; * had not converged" : "");
    const head = table.createTHead().insertRow();
    const th = (row, text, scope) => {
      const cell = document.createElement("th");
      cell.textContent = text.replaceAll("_", " ");
      cell.scope = scope;
      row.append(cell);
    };
    th(head, grid.corner, "col");
    grid.heads.forEach((word) => th(head, word, "col"));
    const body = table.createTBody();
    grid.rows.forEach((label, row) => {
      const line = body.insertRow();
      th(line, label, "row");
      grid.heads.forEach((_, column) => {
        const flag = grid.cells.unsure && grid.cells.unsure[row][column] ? "*" : "";
        const text = grid.cells.text[row][column] + flag;
        const cell = line.insertCell();
        if (!text || !opens) { cell.textContent = text || "–"; return; }
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        button.addEventListener("click", () => grid.open(row, column));
        cell.append(button);
      });
    });
    twin.replaceChildren(table);
  }

  /* Fill a panel's table if it is unfolded. */
  wb.show_twin = function (panel) {
    const twin = document.getElementById(`${panel.id}-twin`);
    if (twin && twin.parentElement.open) fill_twin(twin, wb.grid_of(panel));
  };

  /* A frame around a cell of a picture; none where `place` is null. */
  function put_frame(box, name, place) {
    const graph = box.querySelector(".js-plotly-plot");
    const layout = graph && graph._fullLayout;
    let frame = box.querySelector(`.${name}`);
    if (!place || !layout || !layout.xaxis) {
      if (frame) frame.remove();
      return null;
    }
    const [row, column] = place;
    if (!frame) {
      frame = document.createElement("div");
      frame.className = `cursor ${name}`;
      box.append(frame);
    }
    const span = (axis, at) => [at - 0.5, at + 0.5].map((edge) => axis._offset + axis.d2p(edge)).sort((a, b) => a - b);
    const [x0, x1] = span(layout.xaxis, column), [y0, y1] = span(layout.yaxis, row);
    Object.assign(frame.style, { left: `${x0}px`, top: `${y0}px`, width: `${x1 - x0}px`, height: `${y1 - y0}px` });
    return frame;
  }

  /* The frame around the cell that the keyboard stands on. */
  wb.show_cursor = (box, panel) => put_frame(box, "at", panel.cursor);

  /* Around the cell that is open, in every run that has it. */
  wb.frame_open = function (only) {
    const address = new URLSearchParams(window.location.search).get("cell") || "";
    const key = address.slice(address.indexOf(":") + 1);
    for (const panel of only ? [only] : wb.all_panels()) {
      const box = document.getElementById(panel.id);
      if (!box || !panel.ready || !wb.is_grid(panel)) continue;
      const find = address && wb.grid_of(panel).find;
      put_frame(box, "opened", find ? find(key, address) : null);
    }
  };

  /* The keyboard has come to a cell: its frame, in sight, and its words for a screen reader. */
  function mark(box, panel, grid) {
    const [row, column] = panel.cursor;
    wb.show_cursor(box, panel).scrollIntoView({ block: "nearest", inline: "nearest" });
    const words = grid.cells.hover[row][column].replace(/<br>/g, ", ").replace(/<\/?b>/g, "");
    document.getElementById("live").textContent = words;
  }

  function walk(event, box) {
    const panel = wb.panel_by_id(box.id);
    if (!panel || !panel.ready || !wb.is_grid(panel)) return;
    const grid = wb.grid_of(panel);
    const [down, right] = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key] || [null];
    if (down !== null) {
      event.preventDefault();
      const by = panel.rising ? -down : down; // depths grow upwards
      const [row, column] = panel.cursor || [panel.rising ? grid.rows.length - 1 : 0, right < 0 ? 1 : Math.abs(down) - 1];
      panel.cursor = [Math.min(grid.rows.length - 1, Math.max(0, row + by)), Math.min(grid.heads.length - 1, Math.max(0, column + right))];
      mark(box, panel, grid);
    } else if ((event.key === "Enter" || event.key === " ") && panel.cursor && grid.open) {
      event.preventDefault();
      grid.open(...panel.cursor);
    }
  }

  /* A table whose cells follow the slider (pages/answers.py). */
  wb.BOXES.numbers = function (panel, box, step) {
    const at = wb.place_of(panel.steps, step);
    box.querySelectorAll("[data-cell]").forEach((cell) => {
      const number = Number(cell.dataset.cell), share = panel.shares[at][number];
      cell.textContent = panel.texts[at][number];
      cell.style.setProperty("--share", `${share === null ? 0 : Math.round(45 * share)}%`);
    });
  };

  document.addEventListener("keydown", (event) => {
    const box = event.target.closest && event.target.closest(".heat");
    if (box && event.target === box) walk(event, box);
  });
  document.addEventListener("focusout", (event) => {
    const frame = event.target.classList && event.target.classList.contains("heat") && event.target.querySelector(".cursor.at");
    if (frame) frame.remove();
  });
})();
