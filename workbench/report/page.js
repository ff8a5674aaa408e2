"use strict";
const templates = JSON.parse(document.getElementById("templates").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const config = { displaylogo: false, showSendToCloud: false, displayModeBar: false, responsive: true };

function draw(box) {
  if (!box.clientWidth) return;  // inside a closed <details>: drawn when it opens
  const spec = JSON.parse(box.querySelector(`script[data-variant="${box.dataset.show}"]`).textContent);
  const layout = { ...spec.layout, template: dark.matches ? templates.dark : templates.light };
  if (box.clientWidth < 460) {
    for (const key of Object.keys(layout).filter((name) => name.startsWith("yaxis"))) {
      const words = layout[key].ticktext && layout[key].ticktext.map((text) => text.replace("(chance ", "("));
      layout[key] = { ...layout[key], tickfont: { size: 10.5 }, ...(words && { ticktext: words }) };
    }
    layout.margin = { ...layout.margin, l: 0, r: 2 };
    for (const trace of spec.data) if (trace.type === "heatmap") trace.textfont = { size: 11 };
  }
  const plot = box.querySelector(".plot");
  Plotly.react(plot, spec.data, layout, config).then(() => spec.frames?.length && Plotly.addFrames(plot, spec.frames));
}

const boxes = [...document.querySelectorAll(".figure")];
const drawAll = () => boxes.forEach(draw);
drawAll();
dark.addEventListener("change", drawAll);
document.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", () => part.querySelectorAll(".figure").forEach(draw)));

document.querySelectorAll(".switch button").forEach((button) => button.addEventListener("click", () => {
  button.parentElement.querySelectorAll("button").forEach((other) => other.setAttribute("aria-pressed", other === button));
  boxes.filter((box) => box.dataset.group === button.dataset.group).forEach((box) => { box.dataset.show = button.value; draw(box); });
}));

document.querySelectorAll(".command button").forEach((button) => button.addEventListener("click", async () => {
  await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}));
