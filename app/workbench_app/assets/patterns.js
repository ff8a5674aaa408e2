/* The Entity page: every head's pattern as a thumbnail (workbench_app/heads.py). The token told about is a line in each;
   pointing at a head tells where it looks from there, in words and in the text; a click draws it large. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const GRID = 4096; // shares travel as whole 1/4096
  const MOST = 64; // rows that a thumbnail tells apart; of more tokens several share one, and the largest is shown
  const KEPT = 6; // checkpoints' numbers that are remembered
  const STRONGEST = 60; // percent of the colour behind a token that has all of a look
  const answers = new Map();
  let led = null; // the thumbnail that was clicked: its large picture is brought into sight once it is drawn

  function numbers_of(url) {
    if (!answers.has(url)) {
      const asked = fetch(url).then((answer) => {
        if (!answer.ok) throw new Error(answer.status);
        return answer.arrayBuffer();
      }).then((bytes) => new Uint16Array(bytes));
      asked.catch(() => answers.delete(url));
      answers.set(url, asked);
      while (answers.size > KEPT) answers.delete(answers.keys().next().value);
    }
    return answers.get(url);
  }
  const row_start = (row) => (row * (row + 1)) / 2;
  const triangle = (panel) => row_start(panel.words.length);

  function build(panel, box) {
    const before = box.contains(document.activeElement) ? document.activeElement.id : led && led.startsWith(panel.id) ? led : null;
    const parts = [document.createElement("span")];
    const label = (text) => Object.assign(document.createElement("span"), { className: "heads-label", textContent: text });
    for (let h = 0; h < panel.heads; h += 1) parts.push(label(h));
    for (let b = panel.blocks - 1; b >= 0; b -= 1) {
      parts.push(label(`block ${b}`));
      for (let h = 0; h < panel.heads; h += 1) {
        const button = document.createElement("button");
        const shown = panel.shown[0] === b && panel.shown[1] === h;
        Object.assign(button, { type: "button", className: "head", id: `${panel.id}-${b}-${h}`, tabIndex: shown ? 0 : -1 });
        Object.assign(button.dataset, { block: b, head: h });
        button.setAttribute("aria-label", `block ${b}, head ${h}`);
        button.setAttribute("aria-pressed", String(shown));
        button.append(document.createElement("canvas"));
        parts.push(button);
      }
    }
    box.style.setProperty("--heads", panel.heads);
    box.replaceChildren(...parts);
    panel.built = true;
    const back = before && document.getElementById(before);
    if (back) back.focus({ preventScroll: true });
  }

  function paint(panel, box) {
    const n = panel.words.length, side = Math.min(n, MOST), size = triangle(panel);
    const scale = wb.colour_scales().sequential;
    const colours = Array.from({ length: 256 }, (_, i) => window.scaleColour(scale, i / 255));
    box.querySelectorAll("button.head").forEach((button) => {
      const start = (Number(button.dataset.block) * panel.heads + Number(button.dataset.head)) * size;
      const most = new Uint16Array(side * side);
      for (let row = 0; row < n; row += 1) {
        const y = Math.floor((row * side) / n) * side;
        for (let column = 0; column <= row; column += 1) {
          const at = y + Math.floor((column * side) / n);
          most[at] = Math.max(most[at], panel.numbers[start + row_start(row) + column]);
        }
      }
      const canvas = button.firstChild;
      canvas.width = canvas.height = side;
      const image = new ImageData(side, side);
      most.forEach((value, at) => {
        if (at % side > Math.floor(at / side)) return; // what comes later is not seen
        image.data.set([...colours[Math.min(255, Math.round((255 * value) / GRID))], 255], 4 * at);
      });
      canvas.getContext("2d").putImageData(image, 0, 0);
    });
  }

  wb.BOXES.heads = function (panel, box, step) {
    const wanted = wb.step_shown(panel.steps, step);
    if (!panel.built) build(panel, box);
    wb.mark_token(panel.run);
    panel.wanted = wanted;
    const told = document.getElementById(`${panel.id}-told`);
    numbers_of(`${panel.url}/${wanted}`).then((numbers) => {
      if (panel.wanted !== wanted || !box.isConnected) return;
      panel.numbers = numbers;
      paint(panel, box);
      tell(panel, null);
      box.dataset.filled = wanted;
      if (led && led.startsWith(`${panel.id}-`)) {
        const large = document.getElementById(panel.id.replace("heads", "pattern"));
        if (large) large.closest(".card").scrollIntoView({ block: "nearest" });
        led = null;
      }
    }).catch(() => {
      delete box.dataset.filled;
      if (told) told.textContent = "The patterns of this checkpoint could not be read.";
    });
  };

  /* Where a head looks from the token told about: its largest shares in words, all of them in the text. */
  function tell(panel, button) {
    const told = document.getElementById(`${panel.id}-told`);
    const text = wb.panels_of("entity").find((one) => one.run === panel.run);
    const card = text && document.getElementById(text.id);
    if (!told || !card || !panel.numbers) return;
    card.classList.toggle("looking", button !== null);
    const [block, head] = button ? [Number(button.dataset.block), Number(button.dataset.head)] : panel.shown;
    const token = wb.token_told(panel.run);
    const start = (block * panel.heads + head) * triangle(panel) + row_start(token);
    const shares = Array.from(panel.numbers.subarray(start, start + token + 1));
    const order = shares.map((_, at) => at).sort((a, b) => shares[b] - shares[a]).slice(0, 3).filter((at) => shares[at] > 0);
    const words = order.map((at) => `“${panel.words[at]}” ${((100 * shares[at]) / GRID).toFixed(0)} %`).join(", ");
    told.textContent = `Block ${block}, head ${head}: “${panel.words[token]}” (token ${token}) looks at ${words || "nothing"}.`;
    if (button) {
      card.querySelectorAll("button.token").forEach((one) => {
        const share = shares[Number(one.dataset.token)] || 0;
        one.style.setProperty("--look", `${Math.round((STRONGEST * share) / GRID)}%`);
      });
    }
  }

  /* The line of the token told about in every thumbnail of a run; passage.js calls it when that is another. */
  wb.mark_token = function (run) {
    wb.panels_of("heads").filter((panel) => panel.run === run).forEach((panel) => {
      const box = document.getElementById(panel.id);
      if (!box) return;
      box.style.setProperty("--row", (wb.token_told(run) + 0.5) / panel.words.length);
      tell(panel, box.querySelector("button.head:hover, button.head:focus-visible"));
    });
  };

  function found(event) {
    const button = event.target.closest && event.target.closest("button.head");
    const panel = button && wb.panels_of("heads").find((one) => one.id === button.parentElement.id);
    return panel ? { button, panel } : null;
  }
  for (const name of ["mouseover", "focusin"]) {
    document.addEventListener(name, (event) => { const at = found(event); if (at) tell(at.panel, at.button); });
  }
  for (const name of ["mouseout", "focusout"]) {
    document.addEventListener(name, (event) => { const at = found(event); if (at) tell(at.panel, null); });
  }
  document.addEventListener("click", (event) => {
    const at = found(event);
    if (!at) return;
    led = at.button.id;
    wb.go({ "at-block": at.button.dataset.block, "at-head": at.button.dataset.head });
  });
  document.addEventListener("keydown", (event) => {
    const at = found(event);
    const move = at && { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, 0], ArrowDown: [-1, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    const next = document.getElementById(`${at.panel.id}-${Number(at.button.dataset.block) + move[0]}-${Number(at.button.dataset.head) + move[1]}`);
    if (!next) return;
    at.button.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }, true);
})();
