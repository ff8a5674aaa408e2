/* The checkpoint slider: one for the whole app. Moving it redraws every panel from preloaded arrays; the address
   follows once it rests. Arrow keys walk the checkpoints, Space plays. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const REST_MS = 350;
  const PLAY_MS = 750;
  const SPACING = "log";
  const SCALES = { log: (s) => Math.log1p(s), linear: (s) => s, even: (s, i) => i };
  const state = { steps: [], place: 0, scale: SPACING, rest: null, play: null, parts: null };
  const format = (step) => step.toLocaleString("en-US");

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function build(host) {
    const play = make("button", { type: "button", class: "play", "aria-label": "Play the checkpoints", "aria-pressed": "false" });
    const range = make("input", { type: "range", min: 0, max: 1000, step: 1, "aria-label": "Checkpoint" });
    const ticks = make("div", { class: "ticks", "aria-hidden": "true" });
    const label = make("output", { class: "now" });
    const scale = make("select", { "aria-label": "Spacing of the checkpoints" });
    for (const name of Object.keys(SCALES)) scale.append(make("option", { value: name }, name));
    host.replaceChildren(play, make("div", { class: "track" }, range, ticks), label, scale);
    range.addEventListener("input", () => move(nearest(Number(range.value))));
    range.addEventListener("keydown", (event) => {
      const last = state.steps.length - 1;
      const jump = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 5, PageDown: -5, Home: -1e9, End: 1e9 };
      if (event.key in jump) {
        event.preventDefault();
        stop();
        move(Math.min(last, Math.max(0, state.place + jump[event.key])));
      } else if (event.key === " ") {
        event.preventDefault();
        toggle();
      }
    });
    play.addEventListener("click", toggle);
    scale.addEventListener("change", () => {
      state.scale = scale.value;
      paint();
      wb.go({ scale: state.scale === SPACING ? null : state.scale });
    });
    state.parts = { host, play, range, ticks, label, scale };
  }

  function positions() {
    const raw = state.steps.map(SCALES[state.scale]);
    const low = raw[0], span = raw[raw.length - 1] - low || 1;
    return raw.map((value) => Math.round((1000 * (value - low)) / span));
  }
  function nearest(value) {
    let best = 0;
    positions().forEach((place, i, all) => {
      if (Math.abs(place - value) < Math.abs(all[best] - value)) best = i;
    });
    return best;
  }

  function paint() {
    const { range, ticks, label } = state.parts;
    const places = positions();
    const apart = Math.max(90, (1000 * 46) / (ticks.clientWidth || 1000)); // room for a number, on a phone too
    let last_label = -1000;
    ticks.replaceChildren(
      ...state.steps.map((step, i) => {
        const tick = make("i", { style: `left:${places[i] / 10}%` });
        const end = i === state.steps.length - 1;
        if (places[i] - last_label >= apart && (end || 1000 - places[i] >= apart)) {
          last_label = places[i];
          tick.append(make("b", {}, format(step)));
        }
        return tick;
      })
    );
    range.value = places[state.place];
    say(label, range);
  }
  function say(label, range) {
    const step = state.steps[state.place];
    label.textContent = `step ${format(step)}`;
    range.setAttribute("aria-valuetext", `step ${format(step)}, checkpoint ${state.place + 1} of ${state.steps.length}`);
  }

  /* Go to a checkpoint: pixels now, the address when the hand rests. */
  function move(place, quiet) {
    if (place === state.place && !quiet) {
      state.parts.range.value = positions()[place];
      return;
    }
    state.place = place;
    const { range, label } = state.parts;
    range.value = positions()[place];
    say(label, range);
    wb.draw_step(state.steps[place]);
    clearTimeout(state.rest);
    if (!quiet) {
      state.rest = setTimeout(() => {
        state.rest = null;
        wb.go({ step: told_step() });
      }, REST_MS);
    }
  }

  /* The step as the address tells it: the newest checkpoint is the default. */
  const told_step = () => (state.place === state.steps.length - 1 ? null : state.steps[state.place]);
  wb.address_now = () => wb.pinned_address(state.steps.length ? { step: state.steps[state.place], scale: state.scale } : {});

  function toggle() {
    if (state.play) return stop();
    if (state.place === state.steps.length - 1) move(0);
    state.parts.play.setAttribute("aria-pressed", "true");
    state.play = setInterval(() => {
      if (state.place >= state.steps.length - 1) return stop();
      move(state.place + 1);
    }, PLAY_MS);
  }
  function stop() {
    clearInterval(state.play);
    state.play = null;
    state.parts.play.setAttribute("aria-pressed", "false");
  }

  /* A page's stops, and where the address says it stands (null: the newest). Returns the step shown. */
  wb.set_timeline = function (steps, step) {
    const host = document.getElementById("timeline");
    if (!state.parts || state.parts.host !== host) build(host);
    const spacing = new URLSearchParams(window.location.search).get("scale");
    state.scale = spacing in SCALES ? spacing : SPACING;
    state.parts.scale.value = state.scale;
    host.hidden = steps.length < 2;
    const moving = state.rest !== null || state.play !== null;
    const same = steps.length === state.steps.length && steps.every((value, i) => value === state.steps[i]);
    if (!same) stop();
    state.steps = steps;
    if (!steps.length) return step;
    let place = steps.length - 1;
    if (step !== null && step !== undefined) {
      place = 0;
      steps.forEach((value, i) => { if (value <= step) place = i; });
    }
    if (!(moving && same)) state.place = place;
    if (steps.length > 1) paint();
    return steps[state.place];
  };
  wb.step_by = (by) => {
    if (state.steps.length < 2) return;
    move(Math.min(state.steps.length - 1, Math.max(0, state.place + by)));
  };
  wb.current_step = () => state.steps[state.place];
})();
