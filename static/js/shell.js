"use strict";
(() => {
  const root = document.documentElement;
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

  // ---- Announcements and toasts: one polite region a page, at most one sentence in five seconds.
  let announceTimer = 0;
  let announceNext = "";
  const flushAnnouncement = () => {
    announceTimer = 0;
    if (!announceNext) return;
    $("#announce").textContent = announceNext;
    announceNext = "";
    announceTimer = setTimeout(flushAnnouncement, 5000);
  };
  const announce = (text, now = false) => {
    const region = $("#announce");
    if (!region) return;
    if (now) { region.textContent = text; return; }
    announceNext = text;
    if (!announceTimer) flushAnnouncement();
  };

  const toast = (text, { bad = false, action = null, onAction = null, seconds = 8 } = {}) => {
    const box = document.createElement("div");
    box.className = bad ? "toast bad" : "toast";
    const words = document.createElement("span");
    words.className = "grow";
    words.textContent = text;
    box.append(words);
    if (action) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "btn small";
      button.textContent = action;
      button.addEventListener("click", () => { box.remove(); onAction(); });
      box.append(button);
    }
    const close = document.createElement("button");
    close.type = "button";
    close.className = "icon-btn";
    close.setAttribute("aria-label", "Dismiss");
    close.textContent = "×";
    close.addEventListener("click", () => box.remove());
    box.append(close);
    $("#toasts").append(box);
    setTimeout(() => { if (!box.contains(document.activeElement)) box.remove(); }, seconds * 1000);
    return box;
  };

  // ---- Times: the server prints absolute time and zone; the age beside it is kept fresh here.
  const ago = (seconds) => {
    const s = Math.abs(seconds);
    const text = s < 60 ? `${Math.floor(s)} s` : s < 3600 ? `${Math.floor(s / 60)} min`
      : s < 86400 ? `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min` : `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
    return seconds < 0 ? `in ${text}` : text;
  };
  const refreshTimes = () => {
    const now = Date.now() / 1000;
    for (const node of $$("time[data-age]")) {
      const at = Date.parse(node.dateTime) / 1000;
      const words = ago(Math.round(now - at)) + (now < at || node.dataset.age === "bare" ? "" : " ago");
      if (node.textContent !== words) node.textContent = words;
    }
    for (const node of $$("time[data-countdown]")) {
      const left = Math.max(0, Math.round(Date.parse(node.dateTime) / 1000 - now));
      const words = left ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "now";
      if (node.textContent !== words) node.textContent = words;
    }
  };

  // ---- Theme: a cookie, so that the server renders the right one and nothing flashes.
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const setTheme = (name) => {
    root.dataset.theme = name;
    document.cookie = `theme=${name}; path=/; max-age=31536000; samesite=lax`;
    document.dispatchEvent(new CustomEvent("ui:theme"));
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new CustomEvent("ui:theme")));

  // ---- Dialogs, menus, copy buttons
  const openDialog = (id) => {
    const dialog = document.getElementById(id);
    if (!dialog || dialog.open) return;
    for (const other of $$("dialog[open]")) other.close();
    const opener = document.activeElement;
    dialog.addEventListener("close", () => opener && opener.focus && opener.focus(), { once: true });
    dialog.showModal();
    document.dispatchEvent(new CustomEvent("ui:dialog", { detail: { id } }));
  };
  const closeMenus = (except) => { for (const menu of $$("details.menu[open]")) if (menu !== except) menu.open = false; };

  const copy = async (button) => {
    const source = button.dataset.copyFrom ? document.getElementById(button.dataset.copyFrom).textContent : button.dataset.copy;
    const text = source === "url" ? location.href : source;
    try {
      await navigator.clipboard.writeText(text);
    } catch (refused) {
      // Browsers refuse the clipboard on a plain http address: fall back to a selected field.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    toast(button.dataset.copied || "Copied", { seconds: 3 });
  };

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) { event.preventDefault(); openDialog(opener.dataset.opens); }
    const closer = event.target.closest("[data-closes]");
    if (closer) closer.closest("dialog").close();
    const copier = event.target.closest("[data-copy], [data-copy-from]");
    if (copier) copy(copier);
    if (event.target.closest("[data-theme-toggle]")) setTheme(dark() ? "light" : "dark");
    if (event.target.matches("dialog")) event.target.close();
    closeMenus(event.target.closest("details.menu"));
  });

  // ---- Tabs that switch panels on the page (ARIA pattern: arrows move, the panel follows).
  const selectTab = (tab) => {
    for (const other of $$("[role=tab]", tab.closest("[role=tablist]"))) {
      const on = other === tab;
      other.setAttribute("aria-selected", on);
      other.tabIndex = on ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !on;
    }
  };
  document.addEventListener("click", (event) => { const tab = event.target.closest("[role=tab]"); if (tab) selectTab(tab); });
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest && event.target.closest("[role=tab]");
    if (!tab || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const tabs = $$("[role=tab]", tab.closest("[role=tablist]"));
    const next = tabs[(tabs.indexOf(tab) + (event.key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length];
    selectTab(next);
    next.focus();
    event.preventDefault();
  });

  // ---- Palette: pages, actions, and things recognised by their form.
  const pages = () => [...$$(".rail-link").map((link) => ({ text: `Go to ${link.dataset.name}`, href: link.href, kind: "page" })), { text: "Go to Rules", href: "/alerts/rules/", kind: "page" }];
  const actions = [
    { text: "Switch between light and dark", run: () => setTheme(dark() ? "light" : "dark"), kind: "action" },
    { text: "Pause or resume live updates", run: () => document.dispatchEvent(new CustomEvent("ui:pause")), kind: "action" },
    { text: "Copy link to this page", run: () => navigator.clipboard && navigator.clipboard.writeText(location.href), kind: "action" },
    { text: "Show keyboard shortcuts", run: () => openDialog("help"), kind: "action" },
  ];
  const recognised = (text) => {
    const found = [];
    const alert = /^#?(\d{1,18})$/.exec(text);
    if (alert) found.push({ text: `Open alert #${alert[1]}`, href: `/alerts/${alert[1]}/`, kind: "alert" });
    if (/^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f]{0,4}:[0-9a-f:]*:[0-9a-f.:]*)$/i.test(text)) found.push({ text: `Findings about ${text}`, href: `/security/findings/?ip=${encodeURIComponent(text)}`, kind: "address" });
    if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) found.push({ text: `Open run ${text}`, href: `/forge/runs/${text.toLowerCase()}/`, kind: "run" });
    else if (/^[\w.-]+-\d[\w.-]*$/.test(text)) found.push({ text: `Find run ${text}`, href: `/forge/?q=${encodeURIComponent(text)}`, kind: "run" });
    if (/[({\[]|^[a-zA-Z_:][\w:]{2,}$/.test(text)) found.push({ text: `Explore ${text}`, href: `/explore/metrics/?q=${encodeURIComponent(text)}`, kind: "PromQL" });
    if (text) found.push({ text: `Search alerts for “${text}”`, href: `/alerts/?state=all&q=${encodeURIComponent(text)}`, kind: "search" });
    return found;
  };
  const entries = (text) => {
    const needle = text.trim().toLowerCase();
    return [...recognised(text.trim()), ...[...pages(), ...actions].filter((entry) => entry.text.toLowerCase().includes(needle))].slice(0, 12);
  };
  let shown = [];
  let chosen = 0;
  const renderPalette = () => {
    const list = $("#palette-list");
    const input = $("#palette-input");
    shown = entries(input.value);
    chosen = Math.min(chosen, Math.max(0, shown.length - 1));
    list.replaceChildren(...shown.map((entry, index) => {
      const item = document.createElement("div");
      item.className = "menu-item";
      item.id = `palette-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", index === chosen);
      const words = document.createElement("span");
      words.className = "clip";
      words.textContent = entry.text;
      const kind = document.createElement("span");
      kind.className = "right muted";
      kind.textContent = entry.kind;
      item.append(words, kind);
      item.addEventListener("click", () => runEntry(index));
      return item;
    }));
    input.setAttribute("aria-activedescendant", shown.length ? `palette-${chosen}` : "");
  };
  const runEntry = (index) => {
    const entry = shown[index];
    if (!entry) return;
    $("#palette").close();
    if (entry.href) location.assign(entry.href); else entry.run();
  };
  document.addEventListener("ui:dialog", (event) => {
    if (event.detail.id !== "palette") return;
    $("#palette-input").value = "";
    chosen = 0;
    renderPalette();
    $("#palette-input").focus();
  });
  document.addEventListener("input", (event) => { if (event.target.id === "palette-input") { chosen = 0; renderPalette(); } });
  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "palette-input") return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % Math.max(1, shown.length);
      renderPalette();
      event.preventDefault();
    }
    if (event.key === "Enter") { runEntry(chosen); event.preventDefault(); }
  });

  // ---- Single keys. They are off while typing, and the help dialog can switch them off for good (WCAG 2.1.4).
  const typing = (node) => node.isContentEditable || (/^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName) && !/^(checkbox|radio|button)$/.test(node.type));
  const shortcutsOn = () => !document.cookie.includes("shortcuts=off");
  const chords = { o: "/", a: "/alerts/", i: "/incidents/", m: "/explore/metrics/", s: "/security/", h: "/health/", f: "/forge/", u: "/setup/" };
  const handlers = new Map();
  const onKey = (key, handler) => handlers.set(key, [...(handlers.get(key) || []), handler]);
  const onKeyFirst = (key, handler) => handlers.set(key, [handler, ...(handlers.get(key) || [])]);
  let chord = 0;
  onKey("/", () => { const search = $("[data-search]"); if (search) { search.focus(); search.select(); } else openDialog("palette"); return true; });
  onKey("?", () => { openDialog("help"); return true; });
  onKey(".", () => { document.dispatchEvent(new CustomEvent("ui:pause")); return true; });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openDialog("palette"); return; }
    if (event.key === "Escape") { const open = $("details.menu[open]"); closeMenus(); if (open) $("summary", open).focus(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || !shortcutsOn() || $("dialog[open]")) return;
    if (Date.now() - chord < 1200 && chords[event.key]) { chord = 0; event.preventDefault(); location.assign(chords[event.key]); return; }
    if (event.key === "g") { chord = Date.now(); return; }
    for (const handler of handlers.get(event.key) || []) if (handler(event)) { event.preventDefault(); return; }
  });
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-shortcuts]")) return;
    document.cookie = `shortcuts=${event.target.checked ? "on" : "off"}; path=/; max-age=31536000; samesite=lax`;
  });

  // ---- Title and favicon carry the count, so a background tab tells.
  const plainTitle = document.title.replace(/^\(\d+\) /, "");
  const showCount = () => {
    const holder = $("#rail-count");
    if (!holder) return;
    const count = Number(holder.dataset.count || 0);
    const unsure = ["stale", "offline"].includes(root.dataset.link);
    document.title = count ? `(${count}) ${plainTitle}` : plainTitle;
    const icon = $("link[rel=icon]");
    const name = unsure ? "unknown" : count === 0 ? "ok" : count > 9 ? "many" : String(count);
    const href = icon.dataset.base.replace("favicon-ok", `favicon-${name}`);
    if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
  };

  // ---- htmx: answers with a status of 4xx carry designed fragments, so they are swapped like any other.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if ([400, 403, 404, 409, 422].includes(event.detail.xhr.status)) { event.detail.shouldSwap = true; event.detail.isError = false; }
  });
  document.addEventListener("htmx:responseError", (event) => {
    const id = event.detail.xhr.getResponseHeader("X-Request-ID");
    toast(`The server answered ${event.detail.xhr.status}.${id ? ` Request ${id}.` : ""} Nothing was changed here.`, { bad: true });
  });
  document.addEventListener("htmx:sendError", () => toast("The console cannot be reached. Try again when the connection is back.", { bad: true }));
  document.addEventListener("ui:toast", (event) => {
    const said = event.detail;
    toast(said.text, { bad: said.bad, action: said.action, onAction: () => { const form = document.getElementById(said.form); if (form) form.requestSubmit(); } });
  });
  document.addEventListener("change", (event) => { if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit(); });

  const ready = () => {
    refreshTimes();
    showCount();
    setInterval(refreshTimes, 1000);
    const box = $("[data-shortcuts]");
    if (box) box.checked = shortcutsOn();
    const focus = $("[data-autofocus]");
    if (focus) focus.focus();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready); else ready();
  document.addEventListener("ui:morphed", () => { refreshTimes(); showCount(); });
  document.addEventListener("ui:link", showCount);
  window.ui = { $, $$, announce, toast, onKey, onKeyFirst, openDialog, typing, ago };
})();
