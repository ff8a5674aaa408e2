/* Sentences that follow the slider (workbench_app/findings.py). */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  wb.BOXES.words = function (panel, box, step) {
    const sentences = panel.texts[wb.place_of(panel.steps, step)];
    const shown = [...box.children].map((line) => line.textContent);
    if (shown.length === sentences.length && shown.every((text, i) => text === sentences[i])) return;
    box.replaceChildren(...sentences.map((text) => {
      const line = document.createElement("p");
      line.textContent = text;
      return line;
    }));
  };
})();
