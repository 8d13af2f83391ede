"use strict";
(() => {
  const { $, $$, announce, onKey, onKeyFirst, live, charts } = window.ui;
  const run = $("[data-pulse]");
  if (!run) return;
  const slowestMs = 2000;
  const fastestMs = 350;
  const drawMs = 1000;
  const mostLines = 2000;
  const state = { etag: "", log: run.dataset.log || "", curves: {}, held: [], heldCount: 0, missed: false };
  const parts = () => $$("[data-part]");
  const figures = () => $$("[data-curve]");

  // ---- The tail: follows while its end is in sight; scrolling up holds what comes, and a bar says so.
  const tail = $("[data-tail]");
  const box = tail && $(".tail-box", tail);
  const list = tail && $(".lines", tail);
  const bar = tail && $(".tail-bar", tail);
  let following = Boolean(tail) && tail.dataset.follow === "on";
  let scrollingItself = false;
  const toEnd = () => { scrollingItself = true; box.scrollTop = box.scrollHeight; };
  const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 24;
  const showBar = () => {
    bar.hidden = following;
    $("[data-held]", bar).textContent = state.heldCount.toLocaleString("en");
  };
  const phaseAtEnd = (within) => { const all = $$("li[data-phase]", within); return all.length ? all.at(-1).dataset.phase : null; };
  // Every line that stays costs with every frame; the short tail needs no more than one looks back over.
  const kept = tail && tail.classList.contains("long") ? 1000 : 300;
  let lastPhase = list ? phaseAtEnd(list) : null;
  const append = (markup) => {
    const piece = document.createElement("template");
    piece.innerHTML = markup;
    const first = $("li", piece.content);
    const phase = phaseAtEnd(piece.content);
    // A chunk begins with the name of its phase; where that goes on, the name is not said again.
    if (first && first.classList.contains("line-phase") && first.dataset.phase === lastPhase) first.remove();
    if (phase !== null) lastPhase = phase;
    list.append(piece.content);
    // Old lines go in lots: taking the first away moves all the others.
    if (following && list.children.length > kept + 100) while (list.children.length > kept) list.firstElementChild.remove();
    const empty = $("[data-tail-empty]", tail);
    if (empty) empty.remove();
  };
  const hold = (markup, count) => {
    state.held.push(markup);
    state.heldCount += count;
    if (state.held.length > mostLines) { state.held.shift(); state.missed = true; }
    showBar();
  };
  const follow = () => {
    if (state.missed || tail.dataset.follow === "link") { location.assign(tail.dataset.end); return; }
    following = true;
    for (const markup of state.held) append(markup);
    state.held = [];
    state.heldCount = 0;
    showBar();
    toEnd();
    announce("Following the log.", true);
  };
  const stop = () => {
    if (!following) return;
    following = false;
    showBar();
    announce("The log is paused. Press the full stop key to go on.", true);
  };
  if (tail) {
    if (following) toEnd();
    const chosen = $(".line.chosen", list);
    if (chosen) chosen.scrollIntoView({ block: "center" });
    box.addEventListener("scroll", () => {
      if (scrollingItself) { scrollingItself = false; return; }
      if (following && !atEnd()) stop();
      else if (!following && tail.dataset.follow !== "link" && atEnd()) follow();
    });
    bar.addEventListener("click", (event) => { if (event.target.closest("[data-resume]")) follow(); });
    showBar();
  }
  onKeyFirst(".", () => {
    if (!tail) return false;
    if (following) stop(); else follow();
    return true;
  });
  const mark = (line) => {
    for (const other of $$(".line.chosen", list)) other.classList.remove("chosen");
    line.classList.add("chosen");
    stop();
    line.scrollIntoView({ block: "center" });
    $("a", line).focus({ preventScroll: true });
    return true;
  };
  const nextError = (by) => () => {
    if (!tail) return false;
    const errors = $$(".line.error", list);
    if (!errors.length) { announce("No error among the lines shown.", true); return true; }
    const lines = $$(".line", list);
    const here = lines.indexOf($(".line.chosen", list));
    const places = errors.map((line) => lines.indexOf(line));
    const found = by > 0 ? places.find((place) => place > here) : places.filter((place) => here < 0 || place < here).at(-1);
    return mark(lines[found === undefined ? (by > 0 ? places[0] : places.at(-1)) : found]);
  };
  onKey("n", nextError(1));
  onKey("N", nextError(-1));
  onKey("p", () => {
    const links = $$("[data-phase-link]");
    if (links.length) {
      const at = links.indexOf(document.activeElement);
      const begin = links.findIndex((link) => link.dataset.phaseLink === "running");
      links[at < 0 ? Math.max(0, begin) : (at + 1) % links.length].focus();
      return true;
    }
    if (!tail) return false;
    const heads = $$(".line-phase", list);
    const top = box.getBoundingClientRect().top;
    const next = heads.find((head) => head.getBoundingClientRect().top > top + 4) || heads[0];
    if (next) { stop(); next.scrollIntoView({ block: "start" }); }
    return Boolean(next);
  });

  // ---- Parts: what the reader has selected is not taken from under the hand.
  const waiting = new Map();
  // Asking for the selection settles the layout, so it is asked for once, before anything is changed.
  const selected = () => { const chosen = getSelection(); return chosen && !chosen.isCollapsed ? chosen.anchorNode : null; };
  const put = (name, said, anchor) => {
    const region = document.getElementById(name);
    if (!region) return;
    if (anchor && region.contains(anchor)) { waiting.set(name, said); return; }
    const content = document.createElement("template");
    content.innerHTML = said.html;
    region.dataset.part = said.tag;
    // Nothing in a part is drawn by scripts but times, which come fresh; the bars are set right once a pulse.
    live.morph(region, content.content, true);
  };
  document.addEventListener("selectionchange", () => {
    const anchor = waiting.size ? selected() : null;
    for (const [name, said] of [...waiting]) if (!anchor || !document.getElementById(name).contains(anchor)) { waiting.delete(name); put(name, said, anchor); }
  });

  // ---- Curves: only new points travel. A curve the page does not draw yet comes with the whole region.
  const readCursors = () => { for (const figure of figures()) state.curves[figure.dataset.curve] = Number(figure.dataset.points || 0); };
  // A picture of hundreds of points tells little more ten times a second than once: points wait for the next drawing,
  // those of a chart out of sight until it comes into sight.
  const inSight = new Set();
  const undrawn = new Map();
  let drawnAt = 0;
  let drawing = null;
  const draw = (holder, points) => {
    const drawn = charts && charts.extend($("[data-chart]", holder), points);
    const last = $("[data-last]", holder);
    if (drawn && last && points.length) last.textContent = charts.format(points.at(-1)[1], "");
    return drawn;
  };
  const redrawAll = () => { const region = $("#curves"); if (region) live.schedule(region); };
  const drawWaiting = () => {
    clearTimeout(drawing);
    drawing = null;
    drawnAt = Date.now();
    for (const holder of inSight) {
      const points = undrawn.get(holder.dataset.curve);
      undrawn.delete(holder.dataset.curve);
      if (points && holder.isConnected && !draw(holder, points)) redrawAll();
    }
  };
  // The next pulse after that time draws in one frame with its own news; without one, a moment later.
  const drawSoon = () => {
    const wait = drawMs - (Date.now() - drawnAt);
    if (wait <= 0) drawWaiting(); else if (drawing === null) drawing = setTimeout(drawWaiting, wait + slowestMs / 4);
  };
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) inSight.add(target); else inSight.delete(target);
    drawSoon();
  });
  const watchFigures = () => { inSight.clear(); sight.disconnect(); for (const figure of figures()) sight.observe(figure); };
  const drawPoints = (curves) => {
    const known = new Set(figures().map((figure) => figure.dataset.curve));
    for (const [id, said] of Object.entries(curves)) {
      if (!known.has(id)) { redrawAll(); continue; }
      state.curves[id] = said.count;
      undrawn.set(id, [...(undrawn.get(id) || []), ...said.points].slice(-mostLines));
    }
    if (undrawn.size) drawSoon();
  };
  document.addEventListener("ui:morphed", (event) => { if (event.target.id === "curves") { undrawn.clear(); readCursors(); watchFigures(); } });
  readCursors();
  watchFigures();

  // ---- The pulse: one request at a time, never more often than the page can take it in.
  let flying = false;
  let again = false;
  const address = () => {
    const url = new URL(run.dataset.pulse, location.href);
    url.searchParams.set("have", parts().map((part) => `${part.id}.${part.dataset.part}`).join(","));
    if (tail && tail.dataset.follow !== "link") url.searchParams.set("log", state.log);
    const drawn = Object.entries(state.curves).map(([id, count]) => `${id}.${count}`);
    const holder = $("[data-curves-key]");
    if (holder) { url.searchParams.set("curves", drawn.join(",")); url.searchParams.set("key", holder.dataset.curvesKey); }
    return url;
  };
  const take = (said) => {
    const anchor = selected();
    for (const [name, part] of Object.entries(said.parts)) put(name, part, anchor);
    if ("run-phases" in said.parts || Date.now() - grownAt >= 900) grow();
    if (said.lines && tail) {
      state.log = said.log;
      if (following) append(said.lines); else hold(said.lines, said.line_count);
    }
    drawPoints(said.curves || {});
    // The way to the end is measured once, when all else is in its place.
    if (said.lines && tail && following) toEnd();
    if (said.reload_curves && $("#curves")) live.schedule($("#curves"));
    if (said.more) again = true;
  };
  const pulse = async () => {
    if (flying) { again = true; return; }
    flying = true;
    const begun = performance.now();
    try {
      const headers = { "HX-Request": "true", ...(state.etag ? { "If-None-Match": state.etag } : {}) };
      const answer = await fetch(address(), { headers, credentials: "same-origin", cache: "no-store" });
      if (answer.redirected || answer.status === 401) { location.reload(); return; }
      if (answer.status === 200) {
        take(await answer.json());
        state.etag = answer.headers.get("ETag") || "";
      } else if (answer.status !== 304) throw new Error(`status ${answer.status}`);
      run.dataset.heard = Date.now();
      live.answered();
    } catch (failure) {
      live.failed(run, failure);
    } finally {
      flying = false;
      // A browser or a server that labours is asked less often.
      run.dataset.pace = Math.round(Math.min(slowestMs, Math.max(fastestMs, 3 * (performance.now() - begun))));
      if (again) { again = false; live.schedule(run); }
    }
  };
  live.refreshWith(run, pulse);
  run.dataset.pace = fastestMs;

  // ---- While nothing is told, running bars grow by the clock.
  let grownAt = 0;
  const grow = () => {
    const table = $("[data-axis-from]");
    if (!table) return;
    grownAt = Date.now();
    const [from, to] = [Number(table.dataset.axisFrom), Number(table.dataset.axisTo)];
    const now = Date.now() / 1000;
    if (now > to) { live.schedule(run); return; }
    for (const piece of $$("[data-since]", table)) piece.setAttribute("width", `${Math.max(0.2, (100 * (now - Math.max(from, Number(piece.dataset.since)))) / (to - from)).toFixed(2)}%`);
    for (const line of $$("[data-now]", table)) { const x = `${((100 * (now - from)) / (to - from)).toFixed(2)}%`; line.setAttribute("x1", x); line.setAttribute("x2", x); }
  };
  if (run.dataset.over !== "yes") setInterval(() => { if (Date.now() - grownAt >= 900) grow(); }, 1000);

  // ---- Stale must look stale: a sentence with the time of the last answer.
  const stale = $(".stale-bar");
  const tellStale = () => {
    const lost = ["stale", "offline"].includes(document.documentElement.dataset.link);
    if (!stale || stale.hidden === !lost) return;
    stale.hidden = !lost;
    const heard = new Date(Number(run.dataset.heard || Date.now()));
    const zone = document.body.dataset.zone || "UTC";
    const words = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: zone, timeZoneName: "short" }).format(heard);
    $("[data-heard-at]", stale).textContent = words;
  };
  document.addEventListener("ui:link", () => { tellStale(); if (document.documentElement.dataset.link === "live") live.schedule(run); });
  document.addEventListener("ui:failed", tellStale);
  run.dataset.heard = Date.now();
  tellStale();
})();
