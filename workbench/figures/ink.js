/* Black or white in the cells of heatmaps, whichever contrasts more with the cell (`ink_on` of workbench/figures/theme.py).
   Plotly itself writes dark grey or white by a rule of brightness that leaves as little as 3 : 1. Numbers get their colour as
   they are put into the page, before anything is painted: in pictures that are drawn, drawn anew, or taken away. */
(function () {
  "use strict";
  const channels = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  const linear = (channel) => (channel <= 0.04045 * 255 ? channel / 255 / 12.92 : ((channel / 255 + 0.055) / 1.055) ** 2.4);

  /* The colour [r, g, b] of a share (0…1) on a scale of evenly spaced stops [share, "#rrggbb"], linear between them. */
  window.scaleColour = function (scale, share) {
    const place = Math.min(Math.max(share, 0), 1) * (scale.length - 1);
    const below = Math.min(Math.floor(place), scale.length - 2);
    const [low, high] = [channels(scale[below][1]), channels(scale[below + 1][1])];
    return low.map((value, i) => Math.round(value + (place - below) * (high[i] - value)));
  };
  window.inkOn = function ([r, g, b]) {
    const luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    return (luminance + 0.05) ** 2 > 1.05 * 0.05 ? "#000000" : "#ffffff";
  };

  /* A number on an empty cell has no colour below it, and keeps its own. */
  function ink(label) {
    const text = label.querySelector("text");
    const graph = label.closest(".js-plotly-plot"), cells = label.closest("g.hm");
    const z = text && text.__data__ ? text.__data__.z : undefined;
    if (z === undefined || !graph || !cells) return;
    const { trace } = cells.__data__[0];
    const axis = trace.coloraxis ? graph._fullLayout[trace.coloraxis] : { cmin: trace.zmin, cmax: trace.zmax, colorscale: trace.colorscale };
    text.style.fill = window.inkOn(window.scaleColour(axis.colorscale, (z - axis.cmin) / (axis.cmax - axis.cmin)));
  }
  const LABEL = "g.heatmap-label";
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) {
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        if (node.matches(LABEL)) ink(node);
        else node.querySelectorAll(LABEL).forEach(ink);
      }
    }
  }).observe(document, { childList: true, subtree: true });
})();
