/* Light or dark: the reader's choice, else the system's. Set before anything is drawn. */
(function () {
  "use strict";
  const client = (window.dash_clientside = window.dash_clientside || {});
  const ns = (client.workbench = client.workbench || {});
  const KEY = "workbench-theme";
  const stored = () => {
    try { return window.localStorage.getItem(KEY); } catch { return null; }
  };
  const system = () => (window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  let theme = stored() || system();

  function apply() {
    const root = document.documentElement;
    root.dataset.theme = theme;
    root.dataset.agThemeMode = theme;
    root.dataset.mantineColorScheme = theme;
    document.cookie = `workbench_theme=${theme}; path=/; max-age=31536000; samesite=strict`; // for the first picture
    const button = document.getElementById("theme-toggle");
    if (button) button.textContent = theme === "dark" ? "Light" : "Dark";
  }
  apply();

  ns.set_theme = function (clicks) {
    if (clicks) {
      theme = theme === "dark" ? "light" : "dark";
      try { window.localStorage.setItem(KEY, theme); } catch { /* kept for this page only */ }
    }
    apply();
    return [theme, theme];
  };
})();
