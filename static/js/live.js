"use strict";
(() => {
  const { $, $$, announce } = window.ui;
  const root = document.documentElement;
  const beatMs = 5000;
  const pollMs = 15000;
  const seen = {};
  const renderedWith = JSON.parse(document.body.dataset.versions || "{}");
  const pending = new Map();
  const ownWork = new Map();
  let socket = null;
  let lastBeat = 0;
  let retryMs = 500;
  let paused = false;

  const setLink = (state) => {
    if (root.dataset.link === state) return;
    root.dataset.link = state;
    const words = { live: "Live", polling: "Polling", stale: "Stale", offline: "Offline", paused: "Paused", connecting: "Connecting" };
    for (const chip of $$(".conn")) chip.textContent = words[state];
    if (state === "stale" || state === "offline") announce("The connection is lost: figures on this page are old.");
    document.dispatchEvent(new CustomEvent("ui:link"));
  };

  // ---- Morphing. What the reader did (open details, ticked boxes, keyboard cursor, charts) belongs to the reader.
  const keepers = {
    beforeNodeMorphed: (old) => !(old.dataset && old.dataset.morph === "keep"),
    // What can still be undone stays until its seconds are over.
    beforeNodeRemoved: (old) => !(old.querySelector && old.querySelector("[data-undo]")),
    beforeAttributeUpdated: (name, node) => {
      if (name === "open" && (node.tagName === "DETAILS" || node.tagName === "DIALOG")) return false;
      if (name === "checked" && node.tagName === "INPUT") return false;
      if (node.dataset.morphAttributes === "keep") return false;
      return true;
    },
  };
  const morph = (region, content, quietly = false) => {
    const cursor = $("tr.cursor", region);
    Idiomorph.morph(region, content, { morphStyle: "innerHTML", restoreFocus: true, ignoreActiveValue: true, callbacks: keepers });
    if (cursor && cursor.isConnected) cursor.classList.add("cursor");
    if (quietly) return;
    if (window.htmx) htmx.process(region);
    region.dispatchEvent(new CustomEvent("ui:morphed", { bubbles: true }));
  };

  // New rows never appear under a pointer or a selection: they wait behind a pill.
  const busy = (region) => region.matches(":hover") || region.contains(document.activeElement) || $("input:checked", region);
  const holdNewRows = (region, content) => {
    const known = new Set($$("tr[id]", region).map((row) => row.id));
    const fresh = $$("tr[id]", content).filter((row) => !known.has(row.id));
    if (known.size && fresh.length && busy(region)) for (const row of fresh) row.remove();
    else { for (const row of fresh) if (known.size) row.classList.add("flash"); return 0; }
    return fresh.length;
  };
  const showPill = (region, count) => {
    const pill = $(".pill", region.parentElement);
    if (!pill) return;
    pill.hidden = !count;
    const button = $("button", pill);
    button.textContent = `${count} new`;
    if (count) announce(`${count} new rows are waiting.`);
  };

  const answered = () => { if (!socketAlive() && !paused) setLink("polling"); };
  const failed = (region, failure) => {
    if (!socketAlive()) setLink("offline");
    region.dispatchEvent(new CustomEvent("ui:failed", { bubbles: true, detail: String(failure) }));
  };
  const refresh = async (region, force = false) => {
    if (ownWork.has(region)) { region.dataset.at = Date.now(); await ownWork.get(region)(); return; }
    const url = new URL(region.dataset.fragment, location.href);
    const started = Date.now();
    region.dataset.at = started;
    try {
      const answer = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
      if (answer.redirected || answer.status === 401) { location.reload(); return; }
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const content = document.createElement("template");
      content.innerHTML = await answer.text();
      if (Number(region.dataset.at) !== started) return;
      const held = region.hasAttribute("data-hold") && !force ? holdNewRows(region, content.content) : 0;
      morph(region, content.content);
      if (region.hasAttribute("data-hold")) showPill(region, held);
      answered();
    } catch (failure) {
      failed(region, failure);
    }
  };

  // At most one fetch a second and region (or in its own pace), however many messages came.
  const schedule = (region) => {
    if (paused || pending.has(region)) return;
    const wait = Math.max(0, Number(region.dataset.pace || 1000) - (Date.now() - Number(region.dataset.at || 0)));
    pending.set(region, setTimeout(() => { pending.delete(region); if (region.isConnected) refresh(region); }, wait));
  };
  const regions = (topic) => $$("[data-live]").filter((region) => !topic || region.dataset.live.split(" ").includes(topic));

  const changed = (topic, version) => {
    if (seen[topic] === version) return;
    const first = !(topic in seen);
    seen[topic] = version;
    // The first version heard only says where we start, unless it differs from what the page was rendered with.
    const rendered = renderedWith[topic];
    if (!first || (rendered !== undefined && rendered !== version)) for (const region of regions(topic)) schedule(region);
  };

  // ---- The socket
  const socketAlive = () => socket && socket.readyState === WebSocket.OPEN && Date.now() - lastBeat < 2 * beatMs + 1000;
  const subscribe = () => {
    const topics = [...new Set($$("[data-live]").flatMap((region) => region.dataset.live.split(" ")))].filter(Boolean);
    socket.send(JSON.stringify({ action: "subscribe", topics }));
  };
  const heard = (event) => {
    lastBeat = Date.now();
    if (!paused) setLink("live");
    const said = JSON.parse(event.data);
    for (const [topic, version] of Object.entries(said.versions || {})) changed(topic, version);
    if (said.topic) { if (!(said.topic in seen)) seen[said.topic] = null; changed(said.topic, said.version); }
  };
  const connect = () => {
    const url = document.body.dataset.socket;
    if (!url) { setLink("polling"); return; }
    try { socket = new WebSocket(url); } catch (refused) { setLink("polling"); return; }
    socket.addEventListener("open", () => {
      const again = lastBeat > 0;
      lastBeat = Date.now();
      retryMs = 500;
      subscribe();
      if (!paused) setLink("live");
      if (again) for (const region of regions()) schedule(region);
    });
    socket.addEventListener("message", heard);
    socket.addEventListener("close", () => {
      setTimeout(connect, retryMs * (0.7 + 0.6 * Math.random()));
      retryMs = Math.min(retryMs * 2, 10000);
    });
  };

  const watch = () => {
    if (paused) return;
    if (socket && socket.readyState === WebSocket.OPEN && !socketAlive()) { setLink("stale"); socket.close(); }
    if (root.dataset.link === "live" && !socketAlive()) setLink("stale");
    const now = Date.now();
    for (const region of regions()) {
      const own = Number(region.dataset.every || 0) * 1000;
      const every = socketAlive() ? own : own ? Math.min(own, pollMs) : pollMs;
      if (every && !document.hidden && now - Number(region.dataset.at || loaded) >= every) schedule(region);
    }
  };

  // An undo is offered for some seconds, counted down, and then taken away.
  setInterval(() => {
    for (const button of $$("[data-undo]")) {
      const left = Number(button.dataset.undo) - 1;
      button.dataset.undo = left;
      if (left <= 0) button.remove(); else $("[data-undo-left]", button).textContent = left;
    }
  }, 1000);

  const loaded = Date.now();
  document.addEventListener("ui:pause", () => {
    paused = !paused;
    setLink(paused ? "paused" : socketAlive() ? "live" : "polling");
    announce(paused ? "Live updates are paused." : "Live updates go on.", true);
    if (!paused) for (const region of regions()) schedule(region);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".pill button");
    if (button) { const region = $("[data-hold]", button.closest(".live-holder")); showPill(region, 0); refresh(region, true); }
    if (event.target.closest(".conn")) document.dispatchEvent(new CustomEvent("ui:pause"));
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) watch(); });
  if (root.dataset.lite !== "on") connect();
  setInterval(watch, 1000);
  window.ui.refreshRegion = refresh;
  window.ui.live = { regions, schedule, morph, answered, failed, refreshWith: (region, work) => ownWork.set(region, work) };
})();
