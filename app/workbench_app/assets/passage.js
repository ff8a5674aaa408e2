/* The Entity page: tokens shaded at a checkpoint, the probe's top five of a token, pattern, flow and answers.
   The token kept (Enter, or a click) is `at-token` in the address: `run:token`, one for each run.
   Scripts are loaded in the order of their names, and this one adds to what panels.js makes. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const GRID = 4096; // shares travel as whole 1/4096
  const DARKEST = 52; // percent of the accent behind a token of probability 1: its word stays readable
  const pointed = {}; // run → the token under the pointer or the focus
  const say = (text) => { document.getElementById("live").textContent = text; };

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children.filter((child) => child !== null));
    return element;
  }
  const percent = (units) => {
    if (units === null || units === undefined) return "–";
    const share = (100 * units) / GRID;
    return `${share > 0 && share < 9.95 ? share.toFixed(1) : share.toFixed(0)} %`;
  };

  /* run → token, as the address keeps them */
  function kept() {
    const text = new URLSearchParams(window.location.search).get("at-token") || "";
    const pairs = text.split(",").map((part) => [part.slice(0, part.lastIndexOf(":")), part.slice(part.lastIndexOf(":") + 1)]);
    return Object.fromEntries(pairs.filter(([run, token]) => run && /^\d{1,5}$/.test(token)));
  }
  function keep(run, token) {
    const all = { ...kept(), [run]: String(token) };
    wb.go({ "at-token": Object.entries(all).map(([name, place]) => `${name}:${place}`).join(",") });
  }
  /* The token told about: pointed at, else kept, else the one just before the first value. */
  function token_of(panel) {
    const [first] = Object.keys(panel.positions || {}).map(Number).sort((a, b) => a - b);
    const wanted = panel.run in pointed ? pointed[panel.run] : kept()[panel.run];
    const token = wanted === undefined ? first ?? 0 : Number(wanted);
    return Math.min(token, panel.words.length - 1);
  }
  wb.token_told = (run) => { const panel = text_panel(run); return panel ? token_of(panel) : 0; };
  const text_panel = (run) => wb.panels_of("entity").find((panel) => panel.run === run);

  function bars(rows, value) {
    const list = make("ol", { class: "bars" });
    rows.forEach(([word, units]) => {
      const item = make("li", word === value ? { class: "own" } : {}, make("span", {}, word || "·"), make("b", {}, percent(units)));
      item.style.setProperty("--share", `${(100 * (units || 0)) / GRID}%`);
      list.append(item);
    });
    return list;
  }

  /* What the probe says at a token, and what the model would say next at a position. */
  function tell(panel, at, token) {
    const head = make("p", { class: "told" });
    const position = panel.positions[token];
    head.append(make("strong", {}, panel.words[token]), ` · token ${token}, ${panel.kinds[token].replace(/_/g, " ")}`);
    const share = panel.shares[at][token];
    if (share === null) {
      return [head, make("p", { class: "sub" }, "No probe is read here: too few train entities say a token of this kind on this side of the value.")];
    }
    const side = panel.said[token] ? "behind the value" : "before the value";
    const own = make("p", { class: "sub" }, `${panel.value}: ${percent(share)}. A probe for tokens of this kind ${side}: right for ${percent(panel.right[at][token])} of test entities, chance ${percent(panel.chance[at][token])}.`);
    const top = panel.top[at][token].map((place, i) => [place < 0 ? null : panel.classes[place], panel.top_shares[at][token][i]]);
    const boxes = make("div", { class: "told-boxes" }, make("div", {}, make("h3", {}, "The probe's top five"), bars(top.filter(([word]) => word !== null), panel.value)));
    if (position !== undefined) {
      const next = panel.next[at][position].map((word, i) => [word, panel.next_shares[at][position][i]]);
      boxes.append(make("div", {}, make("h3", {}, "The model would go on with"), bars(next, null)));
    }
    return [head, own, boxes];
  }

  function show_token(panel, step) {
    const token = token_of(panel);
    const box = document.getElementById(panel.id);
    if (!box) return;
    document.getElementById(`${panel.id}-said`).replaceChildren(...tell(panel, wb.place_of(panel.steps, step), token));
    const mine = kept()[panel.run];
    box.querySelectorAll("button.token").forEach((button) => {
      const place = Number(button.dataset.token);
      button.classList.toggle("shown", place === token);
      button.setAttribute("aria-pressed", String(mine !== undefined && place === Number(mine)));
      button.tabIndex = place === token ? 0 : -1;
    });
    wb.mark_token(panel.run);
    wb.panels_of("flow").filter((flow) => flow.run === panel.run).forEach((flow) => draw_flow(flow, document.getElementById(flow.id), step, token));
  }

  function table(caption, heads, rows) {
    const made = make("table", {}, make("caption", {}, caption));
    made.createTHead().append(make("tr", {}, ...heads.map((word) => make("th", { scope: "col" }, word))));
    const body = made.createTBody();
    rows.forEach(([first, ...rest]) => body.append(make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((cell) => make("td", {}, cell)))));
    return made;
  }
  /* A twin is made when it is opened, and again at each step while it is. */
  function twin(panel, fill) {
    const host = document.getElementById(`${panel.id}-twin`);
    if (!host) return;
    host.parentElement.ontoggle = () => { if (host.parentElement.open) host.replaceChildren(fill()); };
    if (host.parentElement.open) host.replaceChildren(fill());
  }

  wb.BOXES.entity = function (panel, box, step) {
    const at = wb.place_of(panel.steps, step);
    box.querySelectorAll("button.token").forEach((button) => {
      const token = Number(button.dataset.token);
      const share = panel.shares[at][token];
      button.style.setProperty("--share", `${share === null ? 0 : Math.round((DARKEST * share) / GRID)}%`);
      button.classList.toggle("unread", share === null);
      button.setAttribute("aria-label", `${panel.words[token]}, token ${token}, ${share === null ? "not read" : percent(share)}`);
    });
    twin(panel, () =>
      table(
        `${panel.run}: probability of ${panel.value}, and the likeliest value`,
        ["token", "kind", "own value", "likeliest", "its share"],
        panel.words.map((word, token) => [
          `${token} ${word}`, panel.kinds[token].replace(/_/g, " ") + (panel.said[token] ? ", said" : ""), percent(panel.shares[at][token]),
          panel.classes[panel.top[at][token][0]] || "–", percent(panel.top_shares[at][token][0]),
        ])
      )
    );
    show_token(panel, step);
  };

  /* roles × blocks at the token told about: a table with shaded cells, so it is its own twin */
  function draw_flow(panel, box, step, token) {
    const text = text_panel(panel.run);
    if (!box || !text) return;
    const at = wb.place_of(panel.steps, step);
    const place = token === undefined ? token_of(text) : token;
    const blocks = panel.shown[at].map((block) => block[place]);
    const seen = panel.roles.map((role, r) => [role, blocks.map((block) => block[r])]).filter(([, shares]) => shares.some((share) => share > 0));
    const caption = `where “${panel.words[place]}” (token ${place}) looks, mean over the heads of each block`;
    const made = table(caption, ["role", ...blocks.map((_, block) => `block ${block}`)], seen.map(([role, shares]) => [role, ...shares.map(percent)]));
    made.classList.add("flow");
    made.style.setProperty("--blocks", blocks.length);
    [...made.tBodies[0].rows].forEach((row, r) => seen[r][1].forEach((share, b) => row.cells[b + 1].style.setProperty("--share", `${Math.round((DARKEST * share) / GRID)}%`)));
    box.replaceChildren(made);
  }
  wb.BOXES.flow = (panel, box, step) => draw_flow(panel, box, step);

  const cell = (panel, at, row, column) => (column > row ? null : panel.shown[at][(row * (row + 1)) / 2 + column] / GRID);
  function pattern_cells(panel, at) {
    const z = panel.words.map((_, row) => panel.words.map((__, column) => cell(panel, at, row, column)));
    const hover = (value, row, column) =>
      value === null ? `${panel.words[row]} comes before ${panel.words[column]}` : `${panel.words[row]} looks at ${panel.words[column]} (${panel.roles[column]})<br>${(100 * value).toFixed(1)} %`;
    return {
      z,
      text: z.map((line) => line.map((value) => (value === null ? "" : (100 * value).toFixed(0)))),
      hover: z.map((line, row) => line.map((value, column) => hover(value, row, column))),
    };
  }
  wb.DRAW.pattern = function (panel, graph, step) {
    const cells = pattern_cells(panel, wb.place_of(panel.steps, step));
    window.Plotly.restyle(graph, { z: [cells.z], hovertext: [cells.hover] }, [0]);
    wb.show_twin(panel);
  };
  wb.GRIDS.pattern = function (panel, step) {
    const labels = panel.words.map((word, token) => `${token} ${word}`);
    return {
      rows: labels, heads: labels, corner: "token", caption: "percent of a token's attention; rows look at columns",
      cells: pattern_cells(panel, wb.place_of(panel.steps, step)),
      open: (row, column) => { if (column <= row) wb.go({ cell: `${panel.run}:${row}:${column}` }); },
    };
  };

  wb.BOXES.answers = function (panel, box, step) {
    const at = wb.place_of(panel.steps, step);
    box.querySelectorAll("tbody tr").forEach((row, i) => {
      const [said, verdict] = panel.rows[at][i];
      row.querySelector(".said").textContent = said;
      const cell_ = row.querySelector(".verdict");
      cell_.textContent = verdict;
      cell_.dataset.right = verdict === "right" ? "yes" : "no";
    });
    box.querySelector(".told").textContent = panel.told[at];
  };

  /* Entries without an entity view: their values shaded by the P-probe's share at their position. */
  wb.BOXES.marks = function (panel, box, step) {
    const at = wb.place_of(panel.steps, step);
    const shares = panel.shares[at];
    box.querySelectorAll("mark").forEach((mark) => {
      const share = shares[Number(mark.dataset.position)];
      mark.style.setProperty("--share", `${share === null || share === undefined ? 0 : Math.round(45 * share)}%`);
    });
    const words = box.querySelector(".shares");
    if (words) words.textContent = panel.words[at];
  };

  /* Pointing, walking, keeping. */
  function found(event) {
    const button = event.target.closest && event.target.closest("button.token[data-token]");
    const box = button && button.closest(".card");
    const panel = box && wb.panels_of("entity").find((one) => one.id === box.id);
    return panel ? { button, panel, token: Number(button.dataset.token) } : null;
  }
  function point(event) {
    const at = found(event);
    if (!at || pointed[at.panel.run] === at.token) return at;
    pointed[at.panel.run] = at.token;
    show_token(at.panel, wb.current_step() ?? at.panel.steps.at(-1));
    return at;
  }
  function leave(event) {
    const at = found(event);
    if (!at || !(at.panel.run in pointed)) return;
    delete pointed[at.panel.run];
    show_token(at.panel, wb.current_step() ?? at.panel.steps.at(-1));
  }
  document.addEventListener("mouseover", point);
  document.addEventListener("mouseout", leave);
  document.addEventListener("focusin", (event) => {
    const at = point(event);
    if (at) say(`${at.button.getAttribute("aria-label")}; ${[...document.querySelectorAll(`#${at.panel.id}-said li:first-child span`)].map((top) => `likeliest ${top.textContent}`).join(", ")}`);
  });
  document.addEventListener("focusout", leave);
  document.addEventListener("click", (event) => {
    const at = found(event);
    if (at) keep(at.panel.run, at.token);
  });
  document.addEventListener("keydown", (event) => {
    const at = found(event);
    if (!at) return;
    const last = at.panel.words.length - 1;
    const to = { ArrowRight: at.token + 1, ArrowLeft: at.token - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = document.querySelector(`#${at.panel.id} button.token[data-token="${Math.min(last, Math.max(0, to))}"]`);
    if (next) next.focus();
  });
  /* Tokens kept by an address that came back. */
  window.addEventListener("popstate", () => wb.panels_of("entity").forEach((panel) => show_token(panel, wb.current_step() ?? panel.steps.at(-1))));
})();
