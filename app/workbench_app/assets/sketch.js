/* The first picture of a heatmap: its cells as plain boxes, painted while Plotly is still being read, under the figure
   that takes their place. Values, colours and words are those of the figure, from the same preloaded arrays. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});

  function make(tag, name, text = "") {
    const element = document.createElement(tag);
    element.className = name;
    element.textContent = text;
    return element;
  }

  function cell_of(value, text, unsure, [scale, low]) {
    if (value === null) return make("b", "hatch");
    const cell = make("b", "", text);
    const rgb = window.scaleColour(scale, (value - low) / (1 - low));
    cell.style.background = `rgb(${rgb})`;
    cell.style.color = window.inkOn(rgb);
    if (unsure) cell.className = "unsure";
    return cell;
  }

  /* Draw a panel of kind `heat` or `over` in its box as it is at a step; `scales` are the template's colour scales. */
  wb.sketch = function (panel, box, step, scales) {
    const { rows, cells } = wb.grid_of(panel);
    const part = panel.parts[0];
    const scale = part.minus || part.points ? [scales.diverging, -1] : [scales.sequential, 0];
    const told = part.column || part.minus || panel.corner || box.clientWidth < wb.NARROW ? null : part.chance;
    const chance = told && told[wb.place_of(part.steps, step)];
    const width = cells.z[0].length;
    const words = panel.parts.flatMap((p) => p.positions.map((position) => p.column || (p.words && !panel.over ? "" : String(position))));
    const lines = rows.map((label, row) => {
      const head = make("span", "label", panel.corner ? label.replace(`${panel.corner} `, "") : label);
      if (chance) head.append(make("small", "", `(chance ${chance[row]})`));
      return [head, ...cells.z[row].map((value, column) => cell_of(value, cells.text[row][column], cells.unsure[row][column], scale))];
    });
    if (panel.rising) lines.reverse();
    const heads = [make("span", ""), ...words.map((word) => make("span", "head", word))];
    const sketch = make("div", part.column ? "sketch heads-first" : "sketch");
    sketch.setAttribute("aria-hidden", "true"); // the figure is on its way, and the table twin is there
    sketch.style.setProperty("--columns", width);
    sketch.style.setProperty("--rows", rows.length);
    if (words[0] && !part.column) sketch.dataset.axis = panel.over ? "checkpoint" : "position";
    sketch.append(...(part.column ? [heads, ...lines] : [...lines, heads]).flat());
    box.append(sketch);
  };
  wb.erase_sketch = (box) => box.querySelectorAll(".sketch").forEach((sketch) => sketch.remove());
})();
