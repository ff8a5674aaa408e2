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
  const tenths = (value) => {
    const text = fixed((100 * value) / UNIT, 1);
    return Number(text) === 0 ? "0.0" : value > 0 ? `+${text}` : `−${text.replace("-", "")}`;
  };
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

  /* `3 runs`, or `2 of 3 runs` where one of them has no value. */
  const mean_of = (averaged, all) => (averaged === null || all.startsWith(`${averaged} `) ? all : `${averaged} of ${all}`);

  /* The words of `describe_cells` (workbench/figures/cells.py). part: whose column it is. */
  function describe(part, read, row, column, place) {
    const shown = (name) => { const t = read(name); const v = t && t[row][column]; return v === undefined ? null : v; };
    const lines = [`<b>${place}</b>`];
    const accuracy = shown("accuracy");
    if (accuracy === null) return [...lines, part.empty || WHY_EMPTY].join("<br>");
    let interval = "";
    if (shown("ci_low") !== null) interval = `  (95 %: ${percent(shown("ci_low"), 1)}–${percent(shown("ci_high"), 1)})`;
    lines.push(`accuracy ${percent(accuracy, 1)} %${interval}`, `chance ${percent(shown("chance"), 1)} %`);
    const extra = { accuracy_not_next: "where it is not the next value", control: "shuffled labels", train_accuracy: "train entities" };
    for (const [name, words] of Object.entries(extra)) {
      if (shown(name) !== null) lines.push(`${words} ${percent(shown(name), 1)} %`);
    }
    if (shown("lowest") !== null) {
      lines.push(`mean over ${mean_of(shown("averaged"), part.mean_over || "seeds")}: ${percent(shown("lowest"), 1)}–${percent(shown("highest"), 1)}`);
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
    const ours = read("shown");
    const heads = columns(panel);
    const labels = panel.parts[0].labels;
    if (panel.parts[0].minus) return difference_at(panel.parts[0], read, ours, heads, labels, step);
    const flags = read("converged");
    const as_text = panel.parts[0].points ? points : (v) => percent(v, 0);
    return {
      z: ours.map((line) => line.map((v) => (v === null ? null : v / UNIT))),
      text: ours.map((line) => line.map((v) => (v === null ? "" : as_text(v)))),
      hover: ours.map((line, row) => line.map((_, column) => describe(heads[column].part, read, row, column, `${labels[row]}, ${heads[column].word}`))),
      unsure: ours.map((line, row) => line.map((v, column) => v !== null && Boolean(flags) && flags[row][column] === 0)),
    };
  };

  /* A difference: both sides by name, its interval (workbench.results.statistics.difference_interval), and brackets
     where that holds 0. */
  function difference_at(part, read, ours, heads, labels, step) {
    const { minus } = part;
    const at = place_of(minus.steps, step);
    const width = part.positions.length;
    const theirs = (name, row, column) => (minus[name] ? minus[name][at][row * width + column] : null);
    const made = ours.map((line, row) => line.map((a, column) => {
      const b = theirs("shown", row, column);
      const cell = { a, b, d: a === null || b === null ? null : a - b, low: null, high: null };
      const own = (name) => { const all = part.metric === "accuracy" && read(name); return all ? all[row][column] : null; };
      const ends = [own("ci_low"), own("ci_high"), theirs("ci_low", row, column), theirs("ci_high", row, column)];
      if (cell.d !== null && ends.every((end) => end !== null)) {
        const [a_low, a_high, b_low, b_high] = ends;
        cell.low = cell.d - Math.hypot(a - a_low, b_high - b);
        cell.high = cell.d + Math.hypot(a_high - a, b - b_low);
      }
      cell.unclear = cell.low !== null && cell.low <= 0 && cell.high >= 0;
      return cell;
    }));
    const side = (name, value) => (value === null ? `${name}: no value` : `${name} ${percent(value, 1)} %`);
    const words = (cell, row, column) => {
      const lines = [`<b>${labels[row]}, ${heads[column].word}</b>`, `${side(part.name, cell.a)}, ${side(minus.name, cell.b)}`];
      if (cell.d !== null) lines.push(`difference ${tenths(cell.d)} points${cell.low === null ? "" : `  (95 %: ${tenths(cell.low)} to ${tenths(cell.high)})`}`);
      return lines.join("<br>");
    };
    const shown = (cell) => (cell.d === null ? "" : cell.unclear ? `(${points(cell.d)})` : points(cell.d));
    return {
      made,
      z: made.map((line) => line.map((cell) => (cell.d === null ? null : cell.d / UNIT))),
      text: made.map((line) => line.map(shown)),
      hover: made.map((line, row) => line.map((cell, column) => words(cell, row, column))),
      unsure: made.map((line) => line.map(() => false)),
    };
  }

  wb.plain_cells = function (panel, step) {
    const flat = panel.shown[place_of(panel.steps, step)];
    const width = panel.columns.length;
    const z = panel.rows.map((_, row) => flat.slice(row * width, (row + 1) * width));
    if (panel.texts) { // words of the server's; those of an empty cell stand in a trace of their own
      const drawn = z.map((line, r) => line.map((v, c) => (v === null ? "" : panel.texts[r][c])));
      return { z, drawn, text: panel.texts, hover: panel.words, made: panel.facts };
    }
    const text = (v) => (v === null ? "" : panel.gain ? points(v * UNIT) : panel.share ? fixed(100 * v, 0) : String(Number(v.toPrecision(2))));
    const words = (v, r, c) => {
      const [row, column] = [panel.rows[r], panel.columns[c]].map((label, i) => `${panel.axes[i]} ${label}`.trim());
      const head = `<b>${row}, ${column}</b><br>`;
      if (v === null) return head + panel.empty;
      if (panel.gain) return `${head}${panel.word} ${gained(v)} points`;
      return `${head}${panel.word} ${panel.share ? `${fixed(100 * v, 1)} %` : `${Number(v.toPrecision(3))} ${panel.unit || ""}`.trim()}`;
    };
    return { z, text: z.map((line) => line.map(text)), hover: z.map((line, r) => line.map((v, c) => words(v, r, c))) };
  };

  /* A panel as a grid of cells: what its rows and columns are called, which cells there are, what each opens. */
  wb.grid_of = function (panel) {
    if (wb.GRIDS[panel.kind]) return wb.GRIDS[panel.kind](panel, wb.step_drawn());
    if (panel.kind === "plain") {
      return {
        rows: panel.rows, heads: panel.columns, corner: panel.corner || panel.axes[0],
        caption: `${panel.run}: ${panel.word}${panel.gain ? ", points" : panel.share ? ", percent" : panel.unit ? `, ${panel.unit}` : ""}`,
        cells: panel.cells || wb.plain_cells(panel, wb.step_drawn()),
        values: panel.facts ? (cell) => cell : null,
        open: (row, column) => wb.go(panel.go ? panel.go[row][column] || {} : { cell: `${panel.run}:${row}:${(panel.keys || panel.columns)[column]}` }),
        find: (key) => found_at(panel.rows.findIndex((_, row) => key.startsWith(`${row}:`)), (panel.keys || panel.columns).indexOf(key.slice(key.indexOf(":") + 1))),
      };
    }
    const heads = columns(panel);
    return {
      rows: panel.parts[0].labels, heads: heads.map((head) => head.word), corner: panel.corner || "target",
      caption: `${panel.parts[0].name}${panel.parts[0].minus ? ` minus ${panel.parts[0].minus.name}` : ""}, ${panel.parts[0].minus || panel.parts[0].points ? "points" : "percent"}`,
      values: panel.parts[0].minus ? (cell) => sides_of(panel.parts[0], cell) : null,
      cells: panel.cells || wb.cells_at(panel, wb.step_drawn()),
      find: (key, address) => {
        const at = key.indexOf(":");
        const layer = new URLSearchParams(window.location.search).get("layer");
        const target = key.slice(at + 1), position = Number(key.slice(0, at));
        if (panel.over !== undefined) return null; // its frame is the slider's
        if (panel.layers) return position === panel.place ? found_at(panel.parts[0].targets.indexOf(target), panel.layers.indexOf(layer)) : null;
        if (panel.opens && panel.opens !== target) return null;
        const row = panel.parts[0].targets.indexOf(panel.opens ? layer : target);
        const column = panel.parts[0].column
          ? panel.parts.findIndex((part) => address.startsWith(`${part.run}:`))
          : panel.parts[0].positions.indexOf(position);
        return found_at(row, column);
      },
      open: panel.closed ? null : (row, column) => {
        const { part, position } = heads[column];
        if (panel.layers) return wb.go({ cell: `${part.run}:${panel.place}:${part.targets[row]}`, layer: panel.layers[column] });
        if (panel.over) return wb.go({ cell: `${part.run}:${panel.over}:${panel.opens}`, layer: part.targets[row], step: position });
        if (panel.opens) wb.go({ cell: `${part.run}:${position}:${panel.opens}`, layer: part.targets[row] });
        else wb.go({ cell: `${part.run}:${position}:${part.targets[row]}` });
        return undefined;
      },
    };
  };
  const share = (value) => (value === null ? null : value / UNIT);
  const sides_of = (part, { a, b, low, high }) => ({ [part.name]: share(a), [part.minus.name]: share(b), low: share(low), high: share(high) });
  const found_at = (row, column) => (row < 0 || column < 0 ? null : [row, column]);
  wb.GRIDS = {}; // kinds of heatmaps that other scripts draw: panel, step → its grid
  wb.is_grid = (panel) => ["heat", "plain", "over"].includes(panel.kind) || panel.kind in wb.GRIDS;
})();
