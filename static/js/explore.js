"use strict";
(() => {
  const { $ } = window.ui;
  const box = $("#query");
  const list = $("#query-suggest");
  if (!box || !list) return;
  let options = [];
  let chosen = -1;
  let asked = 0;
  let timer = 0;
  // Enter runs the query, unless the person asked for the list or moved in it: a list that opens by itself must not
  // swallow the key that was meant to run.
  let wanted = false;

  const close = () => {
    clearTimeout(timer);
    asked += 1;
    wanted = false;
    list.hidden = true;
    options = [];
    chosen = -1;
    box.removeAttribute("aria-activedescendant");
  };
  const mark = () => {
    [...list.children].forEach((item, index) => item.setAttribute("aria-selected", index === chosen));
    if (chosen >= 0) { box.setAttribute("aria-activedescendant", `suggest-${chosen}`); list.children[chosen].scrollIntoView({ block: "nearest" }); }
  };
  const take = (index) => {
    const option = options[index];
    if (!option) return;
    box.setRangeText(option.insert, option.start, option.end, "end");
    close();
    box.focus();
  };
  const show = (found) => {
    options = found;
    chosen = found.length ? 0 : -1;
    list.replaceChildren(...found.map((option, index) => {
      const item = document.createElement("div");
      item.className = "menu-item";
      item.id = `suggest-${index}`;
      item.setAttribute("role", "option");
      const name = document.createElement("span");
      name.className = "clip";
      name.textContent = option.text;
      const kind = document.createElement("span");
      kind.className = "kind";
      kind.textContent = option.kind;
      item.append(name, kind);
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(index); });
      return item;
    }));
    list.hidden = !found.length;
    mark();
  };
  const ask = async () => {
    const mine = ++asked;
    const url = `${box.dataset.complete}?q=${encodeURIComponent(box.value)}&at=${box.selectionStart}`;
    const answer = await fetch(url, { credentials: "same-origin" });
    if (mine !== asked || !answer.ok || document.activeElement !== box) return;
    show((await answer.json()).options);
  };
  box.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); close(); box.form.requestSubmit(); return; }
    if (event.key === " " && event.ctrlKey) { event.preventDefault(); wanted = true; ask(); return; }
    if (event.key === "Enter" && !event.shiftKey && (list.hidden || !wanted)) { event.preventDefault(); close(); box.form.requestSubmit(); return; }
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { wanted = true; chosen = (chosen + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length; mark(); event.preventDefault(); }
    if (event.key === "Enter" || event.key === "Tab") { event.preventDefault(); take(chosen); }
    if (event.key === "Escape") { event.stopPropagation(); close(); }
  });
})();
