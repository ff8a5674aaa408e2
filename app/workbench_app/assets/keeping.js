/* A page drawn anew (a control was changed, a result has come) leaves its reader where they were: the focus, what is
   unfolded, the place of the page. Nothing new is let in while a list is open or something is being typed. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const client = (window.dash_clientside = window.dash_clientside || {});
  const ns = (client.workbench = client.workbench || {});
  const LIKE = { focus: "a[href], button, input, select, summary, [tabindex]", unfolded: "details" };
  const lasting = (id) => id && !/^(mantine-|:|react-aria)/.test(id); // not one that is drawn by lot at each rendering
  const kept = { focus: null, unfolded: [], y: 0, path: null, waiting: false };
  const main = () => document.getElementById("main");

  /* Where an element stands, so that its successor can be found: the nearest id around it, its number inside. */
  function place_of(element, like) {
    let root = element;
    while (root && root.id !== "main" && !lasting(root.id)) root = root.parentElement;
    if (!root) return null;
    return { id: root.id, like, number: root === element ? -1 : [...root.querySelectorAll(LIKE[like])].indexOf(element) };
  }
  function element_at(place) {
    const root = place && document.getElementById(place.id);
    if (!root) return null;
    return place.number < 0 ? root : root.querySelectorAll(LIKE[place.like])[place.number] || null;
  }

  function note() {
    const at = document.activeElement;
    if (main() && at && at !== main() && main().contains(at)) kept.focus = place_of(at, "focus");
    else if (at && at !== document.body) kept.focus = null; // the reader went elsewhere
    kept.path = window.location.pathname;
  }
  document.addEventListener("focusin", note);
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest(LIKE.focus)) kept.focus = null; });
  document.addEventListener("toggle", () => {
    if (main()) kept.unfolded = [...main().querySelectorAll("details[open]")].map((box) => place_of(box, "unfolded"));
  }, true);
  document.addEventListener("scroll", () => { if (!kept.waiting) kept.y = window.scrollY; }, { passive: true });
  for (const name of ["wheel", "touchmove", "keydown"]) {
    document.addEventListener(name, () => { if (kept.waiting) release(); }, { passive: true });
  }
  function release() {
    kept.waiting = false;
    main().style.minHeight = "";
    kept.y = window.scrollY;
  }

  /* React has put new elements in the place of the old ones; nothing has been painted yet. */
  function restore() {
    const same = kept.path === window.location.pathname;
    kept.path = window.location.pathname;
    if (!same) {
      Object.assign(kept, { focus: null, unfolded: [], y: window.scrollY });
      return;
    }
    main().style.minHeight = `${kept.height || 0}px`;
    kept.unfolded.map(element_at).forEach((box) => { if (box) box.open = true; });
    const lost = document.activeElement === document.body || document.activeElement === null;
    const back = lost && element_at(kept.focus);
    if (back) back.focus({ preventScroll: true });
    kept.waiting = true;
    window.scrollTo(0, kept.y);
    if (wb.keep_columns) wb.keep_columns();
  }
  new MutationObserver((records) => {
    if (records.some((record) => record.target.id === "main" && record.removedNodes.length)) restore();
  }).observe(document.documentElement, { childList: true, subtree: true });

  /* Called when every picture of a page stands. */
  wb.page_is_drawn = function () {
    if (kept.waiting) {
      window.scrollTo(0, kept.y);
      release();
    }
    kept.height = main().offsetHeight;
    kept.path = window.location.pathname;
  };
  window.addEventListener("resize", () => { kept.height = 0; });

  /* Whether a new drawing would take something out of the reader's hands. */
  let pressed = false;
  document.addEventListener("pointerdown", () => { pressed = true; });
  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => { pressed = false; });
  function busy() {
    const at = document.activeElement;
    const lists = [...document.querySelectorAll("#main [role=listbox], #main .menu-box[open]")];
    const listed = lists.some((list) => list.offsetParent !== null);
    const typing = at && main().contains(at) && at.matches('input:not([type="radio"]):not([type="checkbox"]), textarea') && at.value;
    return Boolean(pressed || listed || (typing && at.getAttribute("aria-haspopup") !== "listbox"));
  }
  ns.let_in = function (found, _tick, changed) {
    return found === undefined || found === null || found === changed || busy() ? client.no_update : found;
  };
})();
