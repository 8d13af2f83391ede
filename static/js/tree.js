"use strict";
(() => {
  const { $, $$, onKey, announce } = window.ui;
  const key = "health-collapsed";
  const read = () => { try { return new Set(JSON.parse(sessionStorage.getItem(key) || "[]")); } catch (broken) { return new Set(); } };
  const collapsed = read();
  const remember = () => sessionStorage.setItem(key, JSON.stringify([...collapsed]));
  const rows = () => $$("tr[data-level]");

  // What the reader folded up stays so: the server knows nothing of it, so it is put back after every refresh.
  const apply = () => {
    const hidden = new Set();
    for (const row of rows()) {
      const { name, parent } = row.dataset;
      row.hidden = Boolean(parent) && (hidden.has(parent) || collapsed.has(parent));
      if (row.hidden) hidden.add(name);
      const twist = $("[data-twist]", row);
      if (twist) twist.setAttribute("aria-expanded", String(!collapsed.has(name)));
    }
  };
  const change = (names, open) => {
    for (const name of names) if (open) collapsed.delete(name); else collapsed.add(name);
    remember();
    apply();
  };
  const parents = () => rows().filter((row) => $("[data-twist]", row));
  const level = (row) => Number(row.dataset.level);

  // One level: the shallowest that is closed is opened, the deepest that is open is closed.
  const open = () => {
    const closed = parents().filter((row) => !row.hidden && collapsed.has(row.dataset.name));
    if (!closed.length) { announce("Everything is expanded.", true); return true; }
    const first = Math.min(...closed.map(level));
    change(closed.filter((row) => level(row) === first).map((row) => row.dataset.name), true);
    return true;
  };
  const close = () => {
    const opened = parents().filter((row) => !row.hidden && !collapsed.has(row.dataset.name));
    if (!opened.length) { announce("Everything is collapsed.", true); return true; }
    const last = Math.max(...opened.map(level));
    change(opened.filter((row) => level(row) === last).map((row) => row.dataset.name), false);
    return true;
  };
  onKey("o", open);
  onKey("p", close);
  document.addEventListener("click", (event) => {
    const twist = event.target.closest("[data-twist]");
    if (twist) { const { name } = twist.closest("tr").dataset; change([name], collapsed.has(name)); }
    const button = event.target.closest("[data-tree]");
    if (button) (button.dataset.tree === "open" ? open : close)();
  });
  document.addEventListener("ui:morphed", apply);
  apply();
})();
