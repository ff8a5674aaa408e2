/* The address holds the selection. Controls write it; everything else follows from it. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const client = (window.dash_clientside = window.dash_clientside || {});
  const ns = (client.workbench = client.workbench || {});
  const none = () => client.no_update;
  const LIVE = ["step", "cell", "at-token", "scale"]; // what changes without a new page
  const DEFAULTS = { baseline: "none", form: "all", metric: "accuracy", arm: "own", fold: "none" };
  const SHARED = ["runs", "fold", "step", "scale", "target", "position", "entity"]; // what means the same on every page

  /* Set some keys of the address (null removes one); a step of the browser's history unless `quiet`. */
  wb.with_params = function (changes) {
    const params = new URLSearchParams(window.location.search);
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === "" || DEFAULTS[key] === value) params.delete(key);
      else params.set(key, value);
    }
    return as_search(params);
  };
  function as_search(params) {
    const text = params.toString().replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%2F/g, "/");
    return text ? "?" + text : "";
  }
  /* The address with everything that is shown named in it, defaults too: what it shows stays the same when other runs,
     results or defaults come. `live`: what the slider holds. */
  wb.pinned_address = function (live) {
    const params = new URLSearchParams(window.location.search);
    // What the address says already is newer than what was drawn last: a choice made just now is not drawn yet.
    const drawn = Object.entries(wb.resolved()).filter(([key]) => !params.has(key));
    for (const [key, value] of [...drawn, ...Object.entries(live)]) {
      const text = Array.isArray(value) ? value.join(",") : String(value ?? "");
      if (text) params.set(key, text);
    }
    return window.location.origin + window.location.pathname + as_search(params);
  };
  wb.go = function (changes) {
    const search = wb.with_params(changes);
    if (search !== window.location.search) client.set_props("url", { search: search });
  };

  /* Another page, with what means the same there, and these keys besides. */
  wb.visit = function (page, changes) {
    const link = [...document.querySelectorAll("#nav a")].find((one) => one.pathname.endsWith(`/${page}`));
    const params = new URLSearchParams(link.search);
    for (const [key, value] of Object.entries(changes)) params.set(key, value);
    client.set_props("url", { pathname: link.pathname, search: as_search(params) });
    window.scrollTo(0, 0);
  };

  /* The server writes the address of the first page; its way to write a character may be another than the browser's. */
  function as_written(selection) {
    const [path, search] = (selection || "").split("?");
    return search ? path + "?" + new URLSearchParams(search).toString() : path;
  }

  /* What was told last, not what the stores hold: a step back right after a move comes before the move has arrived. */
  let told = null;
  ns.read_address = function (pathname, search, selection, step, cell) {
    const params = new URLSearchParams(search || "");
    const number = params.get("step");
    const next_step = /^\d{1,11}$/.test(number || "") ? Number(number) : null;
    const next_cell = params.get("cell") || null;
    LIVE.forEach((key) => params.delete(key));
    const rest = params.toString();
    const next = (pathname || "/") + (rest ? "?" + rest : "");
    const before = told || { next: as_written(selection), next_step: step, next_cell: cell };
    told = { next, next_step, next_cell };
    return [
      next === before.next ? none() : next,
      next_step === before.next_step ? none() : next_step,
      next_cell === before.next_cell ? none() : next_cell,
    ];
  };

  /* Dash's Location loses a step back that comes while it is still writing the step forward: the address is right
     then and the page is not. So the address is read once more when that has settled. */
  const SETTLED_MS = 150;
  window.addEventListener("popstate", () => {
    setTimeout(() => {
      const { pathname, search } = window.location;
      const read = ns.read_address(pathname, search, null, null, null);
      const [selection, , cell] = read;
      if (selection !== none()) client.set_props("selection", { data: selection });
      if (cell !== none()) client.set_props("cell", { data: cell });
      client.set_props("step", { data: told.next_step });
    }, SETTLED_MS);
  });

  ns.write_control = function (values, ids, resolved) {
    const changes = {};
    const known = resolved || {};
    const triggered = client.callback_context.triggered.map((item) => item.prop_id);
    ids.forEach((id, i) => {
      const own = triggered.some((prop) => prop.includes('"key":"' + id.key + '"'));
      const now = Array.isArray(values[i]) ? values[i].join(",") : values[i];
      const was = Array.isArray(known[id.key]) ? known[id.key].join(",") : known[id.key];
      if (own && String(now ?? "") !== String(was ?? "")) changes[id.key] = now;
    });
    if (!Object.keys(changes).length) return none();
    if ("set" in changes) changes.cell = null;
    const search = wb.with_params(changes);
    return search === window.location.search ? none() : search;
  };

  /* A page keeps what is its own (its probe, its layer, its halves); another page gets only what means the same there. */
  const own_of = {};
  let page_shown = null;
  ns.set_links = function (search, pathname, ids, prefix) {
    const params = new URLSearchParams(search || "");
    const shared = [...params].filter(([key]) => SHARED.includes(key));
    const page = (pathname || "/").slice(prefix.length).replace(/\/+$/, "") || ids[0].page;
    own_of[page] = [...params].filter(([key]) => !SHARED.includes(key) && !LIVE.includes(key));
    document.querySelectorAll("#nav a").forEach((link, i) => {
      if (!ids[i]) return;
      if (ids[i].page === page) {
        link.setAttribute("aria-current", "page");
        document.title = link.textContent + " · Knowledge Probing Workbench";
        if (page !== page_shown) into_sight(link);
      } else link.removeAttribute("aria-current");
    });
    page_shown = page;
    return ids.map((id) => prefix + id.page + as_search(new URLSearchParams([...shared, ...(own_of[id.page] || [])])));
  };
  /* By the row of links itself: scrollIntoView would take the whole page to the top. */
  function into_sight(link) {
    const row = document.getElementById("nav");
    const [a, b] = [link.getBoundingClientRect(), row.getBoundingClientRect()];
    row.scrollLeft += a.left - b.left - (b.width - a.width) / 2;
  }

  ns.select_rows = function (rows, resolved) {
    if (!Array.isArray(rows)) return none();
    const ids = rows.map((row) => row.id);
    const was = ((resolved || {}).runs || []).join(",");
    if (!ids.length || ids.slice().sort().join(",") === was.split(",").sort().join(",")) return none();
    const kept = was.split(",").filter((id) => ids.includes(id));
    return wb.with_params({ runs: kept.concat(ids.filter((id) => !kept.includes(id))).join(",") });
  };
  ns.filter_rows = (text, options) => ({ ...options, quickFilterText: text || "" });
})();
