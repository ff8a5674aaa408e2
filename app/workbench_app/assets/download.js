/* Taking a picture away, as it is drawn, and the numbers it shows at this step. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});

  async function image(graph, format) {
    const style = getComputedStyle(document.body);
    const { width, height } = graph.getBoundingClientRect();
    const layout = { ...graph.layout, paper_bgcolor: style.getPropertyValue("--card").trim() };
    return window.Plotly.toImage({ data: graph.data, layout }, { format, width, height, scale: format === "png" ? 3 : 1 });
  }

  /* One row a cell of a heatmap (shares 0 to 1, as stored), or a point of any other picture. */
  function rows_of(panel, graph) {
    if (panel && wb.is_grid(panel)) {
      const { rows, heads, corner, cells, values } = wb.grid_of(panel);
      const beside = (r, c) => (values ? values(cells.made[r][c]) : {});
      return rows.flatMap((row, r) => heads.map((column, c) => ({ [corner]: row, column, value: cells.z[r][c] ?? null, shown: cells.text[r][c], ...beside(r, c) })));
    }
    return graph._fullData.flatMap((trace) =>
      trace.hoverinfo === "skip" || !trace.x || !trace.y ? [] : Array.from(trace.x, (x, i) => point_of(trace, x, i))
    );
  }
  /* Checkpoints are drawn evenly spaced: their steps are in `meta`, as is what else tells a point from its neighbours. */
  function point_of(trace, x, i) {
    const name = (trace.name || "").replaceAll("<br>", ""); // a long one is broken into lines
    const { steps, beside } = trace.meta || {};
    const told = Object.fromEntries(Object.entries(beside || {}).map(([word, values]) => [word, values[i]]));
    const y = known(trace.y[i]), lying = trace.orientation === "h"; // of lying bars x is the number
    const ends = lying ? ends_of(x, trace.error_x, i) : ends_of(y, trace.error_y, i);
    return { name, ...told, ...(steps ? { step: steps[i] } : { x: known(x) }), y, ...ends };
  }
  const known = (value) => (value === undefined || Number.isNaN(value) ? null : value);
  function ends_of(value, error, i) {
    if (!error || !error.visible || !error.array || !Number.isFinite(value) || !Number.isFinite(error.array[i])) return {};
    return { low: value - (error.arrayminus || error.array)[i], high: value + error.array[i] };
  }
  function table(rows) {
    const quote = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const heads = [...new Set(rows.flatMap(Object.keys))]; // a row without an interval, or of a curve, has fewer
    return [heads, ...rows.map((row) => heads.map((head) => row[head]))].map((line) => line.map(quote).join(",") + "\n").join("");
  }

  /* What else tells a file from another: the baseline, the step. */
  function told_of(panel) {
    const part = panel && panel.parts && panel.parts[0];
    const minus = part && part.minus ? [`minus-${part.minus.name.replace(/[^\w.+-]/g, "_")}`] : [];
    const steps = panel && (part ? part.steps : panel.steps);
    return steps && steps.length && panel.kind !== "line" ? [...minus, `step-${wb.step_shown(steps, wb.step_drawn())}`] : minus;
  }

  wb.download = async function (button) {
    const { panel: id, download: format } = button.dataset;
    const graph = document.querySelector(`#${id} .js-plotly-plot`);
    if (!graph) return;
    const panel = wb.panel_by_id(id);
    const run = panel && (panel.run || (panel.parts && panel.parts[0].run));
    let url = null;
    if (format === "csv" || format === "json") {
      const rows = rows_of(panel, graph);
      const text = format === "csv" ? table(rows) : JSON.stringify(rows, null, 1);
      url = URL.createObjectURL(new Blob([text], { type: format === "csv" ? "text/csv" : "application/json" }));
    } else url = await image(graph, format);
    const link = document.createElement("a");
    link.href = url;
    link.download = `${[run, ...told_of(panel), id].filter(Boolean).join("-")}.${format}`;
    link.click();
    if (url.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(url), 10000);
  };
})();
