/* The Overview page: small heatmaps, and the strip on which runs stand between text and name. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const HATCH = "var(--hatch-fill)";

  wb.BOXES.thumb = function (panel, box, step) {
    const shown = panel.shown[wb.place_of(panel.steps, step)];
    const width = panel.columns.length;
    const scale = wb.colour_scales().sequential;
    if (box.childElementCount !== shown.length) {
      box.style.setProperty("--columns", width);
      box.replaceChildren(...shown.map(() => document.createElement("i")));
    }
    [...box.children].forEach((cell, i) => {
      const value = shown[i];
      cell.style.background = value === null ? HATCH : `rgb(${window.scaleColour(scale, value / wb.UNIT)})`;
      const told = value === null ? "no value" : `${Math.round((100 * value) / wb.UNIT)} %`;
      cell.title = `${panel.rows[Math.floor(i / width)]}, ${panel.columns[i % width]}: ${told}`;
    });
  };

  wb.BOXES.strip = function (panel, box, step) {
    box.querySelectorAll(".strip-row").forEach((row, i) => {
      const { steps, ties } = panel.runs[i];
      const tie = ties[wb.place_of(steps, step)];
      const dot = row.querySelector(".strip-dot");
      dot.hidden = tie === null;
      if (tie !== null) dot.style.left = `${100 * tie}%`;
      row.querySelector(".strip-value").textContent = tie === null ? "nothing read yet" : `${Math.round(100 * tie)} %`;
    });
  };
})();
