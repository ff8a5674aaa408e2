/* Draws every panel of a page at a step from the arrays the page has preloaded (workbench_app/frames.py). */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const client = (window.dash_clientside = window.dash_clientside || {});
  const ns = (client.workbench = client.workbench || {});
  const DRAWN_THERE = ["heat", "plain", "bars"]; // what the server draws at the step of the address
  const page = { key: null, panels: [], theme: null, template: null, step: null, drawn_at: null, dark: false, still: new Set() };

  const graph_of = (panel) => document.querySelector(`#${panel.id} .js-plotly-plot`);

  wb.colour_scales = () => page.template.layout.colorscale;
  wb.resolved = () => page.resolved || {};
  wb.NARROW = 440; // pixels below which a heatmap's labels leave out chance
  wb.step_drawn = () => page.step;
  wb.all_panels = () => page.panels;
  wb.panels_of = (kind) => page.panels.filter((panel) => panel.kind === kind);
  wb.step_shown = (steps, step) => steps[step === null ? steps.length - 1 : wb.place_of(steps, step)];

  const DRAW = {
    heat(panel, graph, step) {
      const cells = wb.cells_at(panel, step);
      panel.cells = cells;
      const changes = [{ trace: 0, to: { z: cells.z, text: cells.text, hovertext: cells.hover } }];
      hatch_empty(panel, graph, cells, changes);
      mark_unsure(panel, graph, cells.unsure, changes);
      restyle(graph, changes);
      if (panel.best) frame_best(panel, graph, step);
      wb.show_twin(panel);
    },
    bars(panel, graph, step) {
      panel.parts.forEach((part, i) => {
        const at = wb.place_of(part.steps, step);
        const pick = (name) => (part.values[name] || [])[at] || part.targets.map(() => null);
        const x = pick("shown").map((v) => (v === null ? null : v / wb.UNIT));
        const up = pick("ci_high").map((v, k) => (v === null ? 0 : v / wb.UNIT - x[k]));
        const down = pick("ci_low").map((v, k) => (v === null ? 0 : x[k] - v / wb.UNIT));
        window.Plotly.restyle(graph, { x: [x], "error_x.array": [up], "error_x.arrayminus": [down] }, [2 * i]);
      });
    },
    /* A heatmap of numbers that are no accuracies (workbench_app/figures/labelled.py). */
    plain(panel, graph, step) {
      const cells = (panel.cells = wb.plain_cells(panel, step));
      window.Plotly.restyle(graph, { z: [cells.z], text: [cells.drawn || cells.text], hovertext: [cells.hover] }, [0]);
      wb.show_twin(panel);
    },
    line(panel, graph, step) {
      const at = panel.at ? panel.at[wb.place_of(panel.steps, step)] : step;
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
  /* Changes of several traces, each {trace, to}, as one: Plotly draws a picture anew for every call. */
  function restyle(graph, changes) {
    const names = new Set(changes.flatMap(({ to }) => Object.keys(to)));
    const update = Object.fromEntries([...names].map((name) => [name, changes.map(({ to }) => to[name])]));
    window.Plotly.restyle(graph, update, changes.map(({ trace }) => trace));
  }
  /* The hatched boxes of cells without a number (workbench_app/figures), where other cells are empty than before. */
  function hatch_empty(panel, graph, cells, changes) {
    const hatch = places_where(cells.z, (value) => value === null);
    const trace = graph.data.findIndex((one) => one.type === "bar");
    if (trace > 0 && hatch.key !== panel.hatch) {
      const to = {
        y: hatch.places.map(([, y]) => y), base: hatch.places.map(([x]) => x - 0.47), x: hatch.places.map(() => 0.94),
        hovertext: hatch.places.map(([x, y]) => cells.hover[y][x]),
      };
      changes.push({ trace, to });
    }
    panel.hatch = hatch.key;
  }
  /* The dotted corners of cells whose probe had not converged (workbench_app/figures/unsure.py), where they change. */
  function mark_unsure(panel, graph, unsure, changes) {
    const trace = graph.data.findIndex((one) => one.name === "not converged");
    if (trace < 0 || !unsure) return;
    const { key, places } = places_where(unsure, Boolean);
    const up = panel.rising ? 0.34 : -0.34;
    if (key !== panel.unsure) changes.push({ trace, to: { x: places.map(([x]) => x + 0.37), y: places.map(([, y]) => y + up) } });
    panel.unsure = key;
  }
  /* Which cells of a table fulfil a condition: [column, row] of each, and a key that tells two such choices apart. */
  function places_where(table, holds) {
    const places = table.flatMap((line, y) => line.flatMap((value, x) => (holds(value) ? [[x, y]] : [])));
    return { places, key: places.join(" ") };
  }
  /* Numbers stand in cells that are wide enough for them; the table twin has them all. */
  function number_cells(panel, graph) {
    const { w } = graph._fullLayout._size;
    if (w / panel.layers.length < 19) window.Plotly.restyle(graph, { texttemplate: "" }, [0]);
  }
  /* The largest number of each row (workbench_app/figures/best.py). */
  function frame_best(panel, graph, step) {
    const shapes = panel.best[wb.place_of(panel.parts[0].steps, step)].flatMap((x, y) =>
      x === null ? [] : [{ type: "rect", name: "most", x0: x - 0.47, x1: x + 0.47, y0: y - 0.47, y1: y + 0.47, line: { color: "#c2185b", width: 2.5 } }]
    );
    window.Plotly.relayout(graph, { shapes });
  }
  /* `step 762`; of a difference also the other side's, where it is another. */
  function step_words(panel, steps, step) {
    const told = (all) => `step ${all[wb.place_of(all, step)].toLocaleString("en-US")}`;
    const minus = panel.parts && panel.parts[0].minus;
    if (!minus || minus.still || told(minus.steps) === told(steps)) return told(steps);
    return `${told(steps)} − ${told(minus.steps)}`;
  }
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
      if (word && steps) word.textContent = step_words(panel, steps, step);
    }
  };

  /* What a fresh picture needs beyond what the server knew: the reader's colours, short labels where it is narrow.
     In one relayout: Dash keeps a figure of its own, and of two changes at once it would forget one. */
  function fit(graph, panel) {
    const update = page.dark === (page.theme === "dark") ? {} : { template: page.template };
    const told = graph.layout.yaxis && graph.layout.yaxis.ticktext;
    const short = panel && told && (panel.kind === "heat" ? panel.parts[0].labels : panel.kind === "plain" ? panel.rows : null);
    if (short) {
      panel.long = panel.long || told;
      const narrow = graph.closest(".graph").clientWidth < wb.NARROW && panel.long[0].startsWith(short[0]);
      const wanted = narrow ? short : panel.long;
      if (told[0] !== wanted[0]) Object.assign(update, { "yaxis.ticktext": wanted, "yaxis.tickfont.size": narrow ? 12 : 13 });
    }
    if (Object.keys(update).length) window.Plotly.relayout(graph, update);
  }

  wb.fit_all = function () {
    for (const panel of page.panels) {
      const graph = graph_of(panel);
      if (panel.ready && graph && graph._fullLayout) fit(graph, panel);
    }
  };

  function prepare(panel, graph) {
    panel.ready = true;
    panel.shapes = null;
    fit(graph, panel);
    offer_reset(graph);
    if (panel.layers) number_cells(panel, graph);
    if (!wb.is_grid(panel)) return;
    wb.erase_sketch(document.getElementById(panel.id));
    panel.cells = null;
    panel.hatch = panel.unsure = null;
    graph.removeAllListeners("plotly_click");
    graph.on("plotly_click", (event) => {
      const point = event.points[0];
      const open = wb.grid_of(panel).open;
      if (!open || !point || point.data.type !== "heatmap") return;
      window.Plotly.Fx.unhover(graph); // the cards may move: its words would stay over another cell
      open(point.y, point.x);
    });
    graph.on("plotly_afterplot", () => wb.frame_open(panel));
    const twin = document.getElementById(`${panel.id}-twin`);
    if (twin) {
      twin.parentElement.ontoggle = () => wb.show_twin(panel);
      wb.show_twin(panel); // one that was open before the page was drawn anew
    }
    const box = document.getElementById(panel.id);
    if (panel.cursor && document.activeElement === box) wb.show_cursor(box, panel);
  }

  /* The keyboard's cell stays where it was when a page is drawn anew. */
  function carry_cursors(panels, before, now) {
    const page_of = (key) => String(key).replace(/-\d+$/, "");
    if (page_of(before) !== page_of(now)) return;
    for (const panel of panels) {
      const old = wb.panel_by_id(panel.id);
      if (!old || !old.cursor || old.kind !== panel.kind) continue;
      const { rows, heads } = wb.grid_of(panel);
      if (old.cursor[0] < rows.length && old.cursor[1] < heads.length) panel.cursor = old.cursor;
    }
  }

  /* A way back for pictures that can be zoomed (the training curves). */
  function offer_reset(graph) {
    graph.on("plotly_relayout", () => {
      const box = graph.closest(".graph");
      const axes = Object.entries(graph.layout).filter(([name, axis]) => name.startsWith("xaxis") && !axis.fixedrange);
      const zoomed = axes.some(([, axis]) => axis.autorange === false);
      let button = box.querySelector(".reset");
      if (zoomed && !button) {
        button = document.createElement("button");
        Object.assign(button, { type: "button", className: "quiet reset", textContent: "Reset zoom" });
        button.addEventListener("click", () => window.Plotly.relayout(graph, Object.fromEntries(axes.map(([name]) => [`${name}.autorange`, true]))));
        box.append(button);
      } else if (!zoomed && button) button.remove();
    });
  }

  /* What can be shown before Plotly has been read. */
  function sketch(scales) {
    for (const panel of page.panels) {
      const box = document.getElementById(panel.id);
      if (["heat", "over"].includes(panel.kind) && box) wb.sketch(panel, box, page.step, scales);
    }
    requestAnimationFrame(() => performance.mark("sketched"));
  }

  const AT_STEP = "at-step"; // the key of what the server draws anew at each step (workbench_app/pages/tasks.py)
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
      // the server may have drawn the body again for the slider's step before this rendering was looked at
      if (!is_fresh(graph, key) && !(box.closest("#body-at-step") && is_fresh(graph, AT_STEP))) { waiting += 1; continue; }
      page.still.add(box.id);
      fit(graph, null);
    }
    if (waiting && tries > 0) setTimeout(() => settle(key, tries - 1), 10);
    else if (!waiting) {
      wb.page_is_drawn();
      wb.frame_open();
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
        for (const panel of page.panels) { // what is drawn without Plotly has its colours from here
          const box = wb.BOXES[panel.kind] && document.getElementById(panel.id);
          if (box) wb.BOXES[panel.kind](panel, box, page.step);
        }
      }
    }
    if (frames.key !== page.key) {
      carry_cursors(frames.panels, page.key, frames.key);
      page.key = frames.key;
      page.panels = frames.panels;
      page.resolved = frames.resolved;
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
