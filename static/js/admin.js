// The admin pages follow the console's theme: the same cookie, before the first paint.
(() => {
  const root = document.documentElement;
  const stored = /(?:^|; )theme=(light|dark)/.exec(document.cookie);
  if (stored) root.dataset.theme = stored[1];
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    root.dataset.theme = dark() ? "light" : "dark";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  });
})();
