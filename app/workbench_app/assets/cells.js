/* The cells of a heatmap at a step, as numbers and words, from the arrays the page has preloaded
   (workbench_app/frames.py): what pictures, sketches, table twins, the keyboard and downloads all show. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const UNIT = 1000000;
  const WHY_EMPTY = "empty: the attribute has already been said in every entry";

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

  wb.UNIT = UNIT;
  wb.place_of = place_of;

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
    const extra = { accuracy_not_next: "where it is not the next value", control: "shuffled labels", train_accuracy: "train entities" };
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

  wb.plain_cells = function (panel, step) {
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
  };

  /* A panel as a grid of cells: what its rows and columns are called, which cells there are, what each opens. */
  wb.grid_of = function (panel) {
    if (wb.GRIDS[panel.kind]) return wb.GRIDS[panel.kind](panel, wb.step_drawn());
    if (panel.kind === "plain") {
      return {
        rows: panel.rows, heads: panel.columns, corner: panel.corner || panel.axes[0],
        caption: `${panel.run}: ${panel.word}${panel.gain ? ", points" : panel.share ? ", percent" : ""}`,
        cells: panel.cells || wb.plain_cells(panel, wb.step_drawn()),
        open: (row, column) => wb.go({ cell: `${panel.run}:${row}:${(panel.keys || panel.columns)[column]}` }),
      };
    }
    const heads = columns(panel);
    return {
      rows: panel.parts[0].labels, heads: heads.map((head) => head.word), corner: panel.corner || "target",
      caption: `${panel.parts[0].name}, ${panel.parts[0].minus ? "points" : "percent"}`,
      cells: panel.cells || wb.cells_at(panel, wb.step_drawn()),
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
})();
