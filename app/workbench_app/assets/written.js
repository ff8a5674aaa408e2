/* Tables that come as markup (workbench_app/written.py). */
(function () {
  "use strict";
  const shown = new WeakMap();

  function write(box) {
    const markup = box.dataset.markup || "";
    if (shown.get(box) === markup) return;
    shown.set(box, markup);
    box.innerHTML = markup;
  }

  function look(records) {
    for (const record of records) {
      if (record.type === "attributes") { write(record.target); continue; }
      for (const node of record.addedNodes) {
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        if (node.matches(".written")) write(node);
        node.querySelectorAll(".written").forEach(write);
      }
    }
  }
  new MutationObserver(look).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-markup"] });

  /* A plain click on a link inside the app changes the address, as Dash's own links do. */
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-inside]");
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    window.history.pushState({}, "", link.href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  });
})();
