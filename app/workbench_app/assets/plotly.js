/* When Plotly is read. Its script is megabytes that keep the page busy for most of a second, so the browser fetches it
   at once (a preload in the head), and runs it when the first page has been painted. */
(function () {
  "use strict";
  const wb = (window.workbench = window.workbench || {});
  const HIDDEN_MS = 200; // a page in a background tab is not painted: do not wait for it
  let start;
  const asked = new Promise((resolve) => { start = resolve; });
  const painted = () => Promise.race([
    new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
    new Promise((done) => setTimeout(done, HIDDEN_MS)),
  ]);

  function read() {
    const address = document.getElementById("plotly-script").href;
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error(`${address} could not be loaded`));
      document.head.append(script);
    });
  }

  /* Dash's graphs wait for whatever stands in window.Plotly and fetch a second copy if nothing does: until the script
     puts itself there, this promise does. */
  window.Plotly = asked.then(painted).then(read);
  /* The first page stands in the document: Plotly may be read once it has been painted. */
  wb.read_plotly = () => start();
  wb.plotly_is_read = () => typeof window.Plotly.restyle === "function";
})();
