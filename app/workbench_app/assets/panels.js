/* Draws every panel of a page at a step from the arrays the page has preloaded (workbench_app/frames.py). */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const client = (window.dash_clientside = window.dash_clientside || {});
  const ns = (client.workbench = client.workbench || {});
  const UNIT = 1000000;
  const DRAWN_THERE = ["heat", "plain", "bars"]; // what the server draws at the step of the address
  const WHY_EMPTY = "empty: the attribute has already been said in every entry";
  const page = { key: null, panels: [], theme: null, template: null, step: null, drawn_at: null, dark: false, still: new Set() };

  /* The newest of the steps not after the wanted one (the first, where all are later): index into `steps`. */
  const place_of = (steps, step) => {
    let found = 0;
    steps.forEach((known, i) => { if (known <= step) found = i; });
    return found;
  };
  /* Digits as Python prints them: a tie goes to the even digit. */
  const fixed = (number, digits) => {
    const scaled = Math.abs(number) * 10 ** digits;
    if (scaled % 1 !== 0.5) return number.toFixed(digits);
    const even = 2 * Math.round(scaled / 2);
    return ((Math.sign(number) * even) / 10 ** digits).toFixed(digits);
  };
  const percent = (value, digits) => fixed((100 * value) / UNIT, digits);
  const points = (value) => {
    const rounded = Number(percent(value, 0));
    return rounded === 0 ? "0" : rounded > 0 ? `+${rounded}` : `−${-rounded}`;
  };
  const gained = (share) => {
    const text = fixed(100 * share, 1);
    return Number(text) === 0 ? "0.0" : share > 0 ? `+${text}` : `−${text.slice(1)}`;
  };
  const graph_of = (panel) => document.querySelector(`#${panel.id} .js-plotly-plot`);

  wb.NARROW = 440; // pixels below which a heatmap's labels leave out chance
  wb.place_of = place_of;
  wb.panels_of = (kind) => page.panels.filter((panel) => panel.kind === kind);
  wb.step_shown = (steps, step) => steps[step === null ? steps.length - 1 : place_of(steps, step)];

  /* [row][column] of a variable over all parts of a panel (each part brings its positions as columns). */
  function table(panel, variable, step) {
    const rows = panel.parts[0].targets.length;
    return Array.from({ length: rows }, (_, row) =>
      panel.parts.flatMap((part) => {
        const width = part.positions.length;
        const values = (part.values[variable] || [])[place_of(part.steps, step)];
        return values ? values.slice(row * width, (row + 1) * width) : Array(width).fill(null);
      })
    );
  }
  function columns(panel) {
    return panel.parts.flatMap((part) =>
      part.positions.map((position) => ({ part, position, word: part.column || (part.words || {})[position] || `position ${position}` }))
    );
  }

  /* The words of `describe_cell` (workbench/figures/cells.py). */
  function describe(panel, read, row, column, place) {
    const shown = (name) => { const t = read(name); const v = t && t[row][column]; return v === undefined ? null : v; };
    const lines = [`<b>${place}</b>`];
    const accuracy = shown("accuracy");
    if (accuracy === null) return [...lines, WHY_EMPTY].join("<br>");
    let interval = "";
    if (shown("ci_low") !== null) interval = `  (95 %: ${percent(shown("ci_low"), 1)}–${percent(shown("ci_high"), 1)})`;
    lines.push(`accuracy ${percent(accuracy, 1)} %${interval}`, `chance ${percent(shown("chance"), 1)} %`);
    const extra = { accuracy_not_next: "where it is not the next value", control: "shuffled labels", train_accuracy: "train people" };
    for (const [name, words] of Object.entries(extra)) {
      if (shown(name) !== null) lines.push(`${words} ${percent(shown(name), 1)} %`);
    }
    if (shown("lowest") !== null) {
      const part = panel.parts.find((p) => p.mean_over);
      lines.push(`mean over ${part ? part.mean_over : "seeds"}: ${percent(shown("lowest"), 1)}–${percent(shown("highest"), 1)}`);
    }
    if (shown("n") !== null) lines.push(`n = ${shown("n").toLocaleString("en-US")}`);
    if (shown("converged") === 0) lines.push("the probe had not converged");
    return lines.join("<br>");
  }

  /* What a heatmap shows at a step: z in shares, the text of its cells, the words over them. */
  wb.cells_at = function (panel, step) {
    const cache = {};
    const read = (name) => {
      if (!(name in cache)) cache[name] = panel.parts.some((p) => name in p.values) ? table(panel, name, step) : null;
      return cache[name];
    };
    const minus = panel.parts[0].minus;
    const ours = read("shown");
    const theirs = minus && minus.shown[place_of(minus.steps, step)];
    const width = panel.parts[0].positions.length;
    const value = (v, row, column) => {
      if (v === null) return null;
      if (!theirs) return v;
      const other = theirs[row * width + column];
      return other === null ? null : v - other;
    };
    const z = ours.map((line, row) => line.map((v, column) => value(v, row, column)));
    const heads = columns(panel);
    const labels = panel.parts[0].labels;
    return {
      z: z.map((line) => line.map((v) => (v === null ? null : v / UNIT))),
      text: z.map((line) => line.map((v) => (v === null ? "" : minus ? points(v) : percent(v, 0)))),
      hover: z.map((line, row) =>
        line.map((v, column) => {
          const place = `${labels[row]}, ${heads[column].word}`;
          if (!minus) return describe(panel, read, row, column, place);
          if (v === null) return WHY_EMPTY;
          return `<b>${place}</b><br>ours ${percent(ours[row][column], 1)} %, theirs ${percent(ours[row][column] - v, 1)} %`;
        })
      ),
    };
  };

  function plain_cells(panel, step) {
    const flat = panel.shown[place_of(panel.steps, step)];
    const width = panel.columns.length;
    const z = panel.rows.map((_, row) => flat.slice(row * width, (row + 1) * width));
    const text = (v) => (v === null ? "" : panel.gain ? points(v * UNIT) : panel.share ? fixed(100 * v, 0) : String(Number(v.toPrecision(2))));
    const words = (v, r, c) => {
      const [row, column] = [panel.rows[r], panel.columns[c]].map((label, i) => `${panel.axes[i]} ${label}`.trim());
      const head = `<b>${row}, ${column}</b><br>`;
      if (v === null) return head + panel.empty;
      if (panel.gain) return `${head}${panel.word} ${gained(v)} points`;
      return `${head}${panel.word} ${panel.share ? `${fixed(100 * v, 1)} %` : Number(v.toPrecision(3))}`;
    };
    return { z, text: z.map((line) => line.map(text)), hover: z.map((line, r) => line.map((v, c) => words(v, r, c))) };
  }

  /* A panel as a grid of cells: what its rows and columns are called, which cells there are, what each opens. */
  wb.grid_of = function (panel) {
    if (wb.GRIDS[panel.kind]) return wb.GRIDS[panel.kind](panel, page.step);
    if (panel.kind === "plain") {
      return {
        rows: panel.rows, heads: panel.columns, corner: panel.corner || panel.axes[0],
        caption: `${panel.run}: ${panel.word}${panel.gain ? ", points" : panel.share ? ", percent" : ""}`,
        cells: panel.cells || plain_cells(panel, page.step),
        open: (row, column) => wb.go({ cell: `${panel.run}:${row}:${(panel.keys || panel.columns)[column]}` }),
      };
    }
    const heads = columns(panel);
    return {
      rows: panel.parts[0].labels, heads: heads.map((head) => head.word), corner: panel.corner || "target",
      caption: `${panel.parts[0].name}, ${panel.parts[0].minus ? "points" : "percent"}`,
      cells: panel.cells || wb.cells_at(panel, page.step),
      open: panel.closed ? null : (row, column) => {
        const { part, position } = heads[column];
        if (panel.over) return wb.go({ cell: `${part.run}:${panel.over}:${panel.opens}`, layer: part.targets[row], step: position });
        if (panel.opens) wb.go({ cell: `${part.run}:${position}:${panel.opens}`, layer: part.targets[row] });
        else wb.go({ cell: `${part.run}:${position}:${part.targets[row]}` });
        return undefined;
      },
    };
  };
  wb.GRIDS = {}; // kinds of heatmaps that other scripts draw: panel, step → its grid
  wb.is_grid = (panel) => ["heat", "plain", "over"].includes(panel.kind) || panel.kind in wb.GRIDS;

  const DRAW = {
    heat(panel, graph, step) {
      const cells = wb.cells_at(panel, step);
      panel.cells = cells;
      const update = { z: [cells.z], text: [cells.text], hovertext: [cells.hover] };
      const hatch = hatched(cells.z);
      const bars = graph.data.findIndex((trace) => trace.type === "bar");
      window.Plotly.restyle(graph, update, [0]);
      if (bars > 0 && hatch !== panel.hatch) {
        const flat = cells.z.flatMap((line, y) => line.flatMap((v, x) => (v === null ? [[x, y]] : [])));
        window.Plotly.restyle(
          graph,
          {
            y: [flat.map((c) => c[1])], base: [flat.map((c) => c[0] - 0.47)], x: [flat.map(() => 0.94)],
            hovertext: [flat.map(([x, y]) => cells.hover[y][x])],
          },
          [bars]
        );
      }
      panel.hatch = hatch;
      wb.show_twin(panel);
    },
    bars(panel, graph, step) {
      panel.parts.forEach((part, i) => {
        const at = place_of(part.steps, step);
        const pick = (name) => (part.values[name] || [])[at] || part.targets.map(() => null);
        const y = pick("shown").map((v) => (v === null ? null : v / UNIT));
        const up = pick("ci_high").map((v, k) => (v === null ? 0 : v / UNIT - y[k]));
        const down = pick("ci_low").map((v, k) => (v === null ? 0 : y[k] - v / UNIT));
        window.Plotly.restyle(graph, { y: [y], "error_y.array": [up], "error_y.arrayminus": [down] }, [2 * i]);
      });
    },
    /* A heatmap of numbers that are no accuracies (workbench_app/figures/labelled.py). */
    plain(panel, graph, step) {
      const cells = (panel.cells = plain_cells(panel, step));
      window.Plotly.restyle(graph, { z: [cells.z], text: [cells.text], hovertext: [cells.hover] }, [0]);
      wb.show_twin(panel);
    },
    line(panel, graph, step) {
      const at = panel.at ? panel.at[place_of(panel.steps, step)] : step;
      if (!panel.shapes) panel.shapes = (graph.layout.shapes || []).filter((shape) => shape.name !== "now");
      const half = panel.column ? 0.5 : 0; // a frame around a heatmap's column, or a line
      const now = {
        name: "now", type: half ? "rect" : "line", xref: "x", yref: "paper", x0: at - half, x1: at + half, y0: 0, y1: 1,
        line: { color: "#d9731f", width: half ? 2.5 : 2 }, layer: half ? "above" : "below",
      };
      window.Plotly.relayout(graph, { shapes: [...panel.shapes, now] });
    },
  };
  DRAW.over = DRAW.line; // a heatmap whose columns are the checkpoints: only the frame moves
  /* Kinds of panels that other scripts draw: pictures by DRAW, anything else by BOXES(panel, its element, step). */
  wb.DRAW = DRAW;
  wb.BOXES = {};
  const hatched = (z) => z.map((line) => line.map((v) => (v === null ? 1 : 0)).join("")).join("");

  wb.panel_by_id = (id) => page.panels.find((panel) => panel.id === id);

  /* Every panel at a step, and the words that tell the step. */
  wb.draw_step = function (step) {
    page.step = step;
    for (const panel of page.panels) {
      const graph = graph_of(panel);
      if (wb.BOXES[panel.kind]) wb.BOXES[panel.kind](panel, document.getElementById(panel.id), step);
      else if (graph && graph._fullLayout && panel.ready) DRAW[panel.kind](panel, graph, step);
      const word = document.getElementById(`${panel.id}-step`);
      const steps = panel.parts ? panel.parts[0].steps : panel.steps;
      if (word && steps) word.textContent = `step ${steps[place_of(steps, step)].toLocaleString("en-US")}`;
    }
  };

  /* What a fresh picture needs beyond what the server knew: the reader's colours, short labels where it is narrow.
     In one relayout: Dash keeps a figure of its own, and of two changes at once it would forget one. */
  function fit(graph, panel) {
    const update = page.dark === (page.theme === "dark") ? {} : { template: page.template };
    const labels = panel && panel.kind === "heat" && graph.clientWidth < wb.NARROW ? panel.parts[0].labels : [""];
    const told = graph.layout.yaxis && graph.layout.yaxis.ticktext;
    if (labels[0] && told && told[0] !== labels[0] && told[0].startsWith(labels[0])) {
      Object.assign(update, { "yaxis.ticktext": labels, "yaxis.tickfont.size": 12 });
    }
    if (Object.keys(update).length) window.Plotly.relayout(graph, update);
  }

  function prepare(panel, graph) {
    panel.ready = true;
    panel.shapes = null;
    fit(graph, panel);
    if (!wb.is_grid(panel)) return;
    wb.erase_sketch(document.getElementById(panel.id));
    panel.cells = null;
    panel.hatch = null;
    graph.removeAllListeners("plotly_click");
    graph.on("plotly_click", (event) => {
      const point = event.points[0];
      const open = wb.grid_of(panel).open;
      if (open && point && point.data.type === "heatmap") open(point.y, point.x);
    });
    const twin = document.getElementById(`${panel.id}-twin`);
    if (twin) twin.parentElement.ontoggle = () => wb.show_twin(panel);
  }

  /* What can be shown before Plotly has been read. */
  function sketch(scales) {
    for (const panel of page.panels) {
      const box = document.getElementById(panel.id);
      if (panel.kind === "heat" && box) wb.sketch(panel, box, page.step, scales);
    }
    requestAnimationFrame(() => performance.mark("sketched"));
  }

  const is_fresh = (graph, key) => Boolean(graph && graph._fullLayout && graph.layout.meta && graph.layout.meta.key === key);

  /* Plotly draws asynchronously: wait until each graph of this rendering is there, then bring it to the step. */
  function settle(key, tries) {
    if (page.key !== key) return;
    let waiting = 0;
    for (const panel of page.panels) {
      const graph = graph_of(panel);
      if (panel.ready) continue;
      if (wb.BOXES[panel.kind]) {
        const box = document.getElementById(panel.id);
        panel.ready = box !== null;
        if (box) wb.BOXES[panel.kind](panel, box, page.step);
        else waiting += 1;
        continue;
      }
      if (!is_fresh(graph, key)) { waiting += 1; continue; }
      prepare(panel, graph);
      // the server has drawn it at the step that the address names
      if (page.step !== page.drawn_at || !DRAWN_THERE.includes(panel.kind)) DRAW[panel.kind](panel, graph, page.step);
    }
    for (const box of document.querySelectorAll("#main .graph")) { // pictures that do not follow the slider
      const graph = box.querySelector(".js-plotly-plot");
      if (page.still.has(box.id) || wb.panel_by_id(box.id)) continue;
      if (!is_fresh(graph, key)) { waiting += 1; continue; }
      page.still.add(box.id);
      fit(graph, null);
    }
    if (waiting && tries > 0) setTimeout(() => settle(key, tries - 1), 10);
    else if (!waiting) {
      document.body.dataset.drawn = key;
      performance.mark("drawn");
    }
  }

  ns.draw = function (frames, step, theme, templates) {
    if (!frames) return client.no_update;
    if (theme !== page.theme) {
      const first = page.theme === null;
      page.theme = theme;
      page.template = templates[theme];
      if (!first) {
        document.querySelectorAll(".js-plotly-plot").forEach((graph) => {
          if (graph._fullLayout) window.Plotly.relayout(graph, { template: page.template });
        });
      }
    }
    if (frames.key !== page.key) {
      page.key = frames.key;
      page.panels = frames.panels;
      page.step = wb.set_timeline(frames.steps, step);
      page.drawn_at = frames.steps.length ? wb.step_shown(frames.steps, frames.at) : page.step;
      page.dark = frames.dark;
      page.still = new Set();
      if (!wb.plotly_is_read()) sketch(templates[theme].layout.colorscale);
      wb.read_plotly();
      settle(frames.key, 1000);
      return frames.key;
    }
    const shown = wb.set_timeline(frames.steps, step);
    if (shown !== page.step) wb.draw_step(shown);
    return client.no_update;
  };
})();
