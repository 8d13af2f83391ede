"use strict";
(() => {
  const { $, $$, announce } = window.ui;
  const charts = new Map();

  // ---- Numbers with units; aivillage_console/lib has the same words on the server.
  const prefixes = (value, base, names) => {
    let size = Math.abs(value);
    let at = 0;
    while (size >= base && at < names.length - 1) { size /= base; at += 1; }
    return `${Number((Math.sign(value) * size).toPrecision(size >= 100 ? 4 : 3))} ${names[at]}`.trim();
  };
  const seconds = (value) => {
    const size = Math.abs(value);
    if (size === 0) return "0 s";
    if (size < 1e-3) return `${Number((value * 1e6).toPrecision(3))} µs`;
    if (size < 1) return `${Number((value * 1e3).toPrecision(3))} ms`;
    return size < 120 ? `${Number(value.toPrecision(3))} s` : size < 7200 ? `${Number((value / 60).toPrecision(3))} min` : `${Number((value / 3600).toPrecision(3))} h`;
  };
  const format = (value, unit) => {
    if (value === null || value === undefined) return "no data";
    if (!Number.isFinite(value)) return String(value);
    if (unit === "ratio") return `${Number((value * 100).toPrecision(3))} %`;
    if (unit === "percent") return `${Number(value.toPrecision(3))} %`;
    if (unit === "bytes") return prefixes(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
    if (unit === "bytes/s") return prefixes(value, 1024, ["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"]);
    if (unit === "seconds") return seconds(value);
    if (unit === "/s") return `${prefixes(value, 1000, ["", "k", "M", "G"])} /s`;
    if (Math.abs(value) < 1 && value !== 0) return String(Number(value.toPrecision(3)));
    return prefixes(value, 1000, ["", "k", "M", "G", "T"]) + (unit ? ` ${unit}` : "");
  };

  // Canvas knows no custom properties: a probe element resolves each token to a plain colour.
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  // Asking for a computed style makes the browser settle all styles at once, so each token is asked for once a theme.
  const tokens = new Map();
  const token = (name) => {
    if (!tokens.has(name)) {
      probe.style.color = `var(--${name})`;
      tokens.set(name, getComputedStyle(probe).color);
    }
    return tokens.get(name);
  };
  const font = () => `11px ${getComputedStyle(document.body).fontFamily}`;
  const faint = (colour, share) => colour.replace(/rgb\(([^)]+)\)/, (_, parts) => `rgba(${parts}, ${share})`);

  const clock = (at, span) => {
    const zone = document.body.dataset.zone || "UTC";
    const options = span > 86400 * 2 ? { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" } : { hour: "2-digit", minute: "2-digit", ...(span < 900 ? { second: "2-digit" } : {}) };
    return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone, hour12: false }).format(at * 1000);
  };

  // An axis of steps counts; an axis of time is read by the clock. Midnight is the date alone, or dates run into each other.
  const place = (payload, at, span) => (payload.axis === "step" ? prefixes(at, 1000, ["", "k", "M", "G"]) : clock(at, span).replace(", 00:00", ""));

  const drawBand = (u, payload) => {
    const { band } = payload;
    if (!band) return;
    const { ctx, bbox } = u;
    const [top, bottom] = [u.valToPos(band.high, "y", true), u.valToPos(band.low, "y", true)];
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = faint(token("ok-solid"), 0.14);
    ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
    ctx.fillStyle = token("ok-fg");
    ctx.font = font().replace("11px", `${11 * devicePixelRatio}px`);
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    ctx.fillText(band.name, bbox.left + 4 * devicePixelRatio, top + 2 * devicePixelRatio);
    ctx.restore();
  };
  const drawThreshold = (u, payload) => {
    const limit = payload.threshold;
    if (!limit) return;
    const { ctx, bbox } = u;
    const y = Math.round(u.valToPos(limit.value, "y", true));
    const above = limit.op[0] === ">";
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = faint(token("critical-solid"), 0.09);
    if (above) ctx.fillRect(bbox.left, bbox.top, bbox.width, Math.max(0, y - bbox.top)); else ctx.fillRect(bbox.left, y, bbox.width, bbox.top + bbox.height - y);
    ctx.strokeStyle = token("critical-solid");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillStyle = token("critical-fg");
    ctx.font = font().replace("11px", `${11 * devicePixelRatio}px`);
    ctx.textAlign = "left";
    ctx.textBaseline = above ? "bottom" : "top";
    ctx.fillText(`${limit.op} ${format(limit.value, payload.unit)}`, bbox.left + 4 * devicePixelRatio, y + (above ? -2 : 2) * devicePixelRatio);
    ctx.restore();
  };
  const drawMarks = (u, payload) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.font = `600 ${font().replace("11px", `${11 * devicePixelRatio}px`)}`;
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    for (const mark of payload.marks || []) {
      const x = Math.round(u.valToPos(mark.at, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = token("text-3");
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([2 * devicePixelRatio, 2 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.fillStyle = token("text");
      ctx.fillText(mark.letter, x + 3 * devicePixelRatio, bbox.top + 1);
    }
    ctx.restore();
  };

  const zoomTo = (u, figure) => {
    if (u.select.width < 6) return;
    const from = u.posToVal(u.select.left, "x");
    const to = u.posToVal(u.select.left + u.select.width, "x");
    const url = new URL(location.href);
    url.searchParams.set("from", new Date(from * 1000).toISOString().slice(0, 19) + "Z");
    url.searchParams.set("to", new Date(to * 1000).toISOString().slice(0, 19) + "Z");
    if (figure.dataset.zoom !== "off") location.assign(url);
  };

  const readout = (chart, index) => {
    const { payload } = chart;
    const shown = payload.series.map((line, at) => ({ line, at })).filter(({ at }) => chart.plot.series[at + 1].show);
    const words = shown.slice(0, 4).map(({ line }) => `${line.name} ${format(line.values[index], payload.unit)}`);
    const at = payload.axis === "step" ? `step ${payload.times[index].toLocaleString("en")}` : clock(payload.times[index], 600);
    return `${at} · ${words.join(" · ")}${shown.length > 4 ? " …" : ""}`;
  };

  const limits = (payload) => (u, low, high) => {
    const limit = payload.threshold ? payload.threshold.value : null;
    let bottom = low === null ? 0 : low;
    let top = high === null ? 1 : high;
    if (limit !== null) { bottom = Math.min(bottom, limit); top = Math.max(top, limit); }
    if (payload.band) { bottom = Math.min(bottom, payload.band.low); top = Math.max(top, payload.band.high); }
    if (payload.y_zero) bottom = Math.min(0, bottom);
    if (payload.y_max) top = Math.max(top, payload.y_max);
    if (top === bottom) top = bottom + 1;
    return [bottom, top + (payload.y_max ? 0 : (top - bottom) * 0.08)];
  };

  const options = (figure, chart, box) => {
    const { payload } = chart;
    const text = token("text-3");
    const grid = { stroke: token("hairline"), width: 1 };
    const axis = { stroke: text, grid, ticks: { show: false }, font: font() };
    const span = payload.times.length ? payload.times.at(-1) - payload.times[0] : 3600;
    return {
      width: box.clientWidth, height: box.clientHeight, legend: { show: false }, padding: [18, 26, 0, 0],
      scales: { x: { time: payload.axis !== "step", range: () => [payload.from, payload.to] }, y: { range: limits(payload) } },
      cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, setScale: false }, sync: { key: "page", setSeries: false, scales: ["x", null] } },
      axes: [
        { ...axis, size: 24, space: 64, values: (u, ticks) => ticks.map((at) => place(payload, at, span)) },
        { ...axis, size: 64, space: 28, gap: 4, ...(payload.unit.startsWith("bytes") ? { incrs: powers } : {}), values: (u, ticks) => ticks.map((value) => format(value, payload.unit)) },
      ],
      series: [{}, ...payload.series.map((line) => ({
        label: line.name, stroke: token(`series-${line.colour}`), width: 1.5, spanGaps: false, dash: line.dashed ? [5, 3] : undefined,
        points: { show: false, size: 4 },
      }))],
      hooks: {
        drawClear: [(u) => drawBand(u, payload)],
        draw: [(u) => { drawThreshold(u, payload); drawMarks(u, payload); drawLonely(u, payload); }],
        setSelect: [(u) => zoomTo(u, figure)],
        setCursor: [(u) => {
          const read = $(".chart-read", figure);
          if (read) read.textContent = u.cursor.idx === null || u.cursor.left < 0 ? "" : readout(chart, u.cursor.idx);
        }],
      },
    };
  };
  // A point with gaps on both sides draws no line: show it as a dot, or it would vanish. The newest point of a curve
  // that still grows is a dot too, so that the eye finds it.
  const drawLonely = (u, payload) => {
    const { ctx } = u;
    payload.series.forEach((line, at) => {
      if (!u.series[at + 1].show) return;
      ctx.fillStyle = token(`series-${line.colour}`);
      line.values.forEach((value, index) => {
        const newest = payload.grows && index === line.values.length - 1;
        if (value === null || (!newest && (line.values[index - 1] != null || line.values[index + 1] != null))) return;
        ctx.beginPath();
        ctx.arc(u.valToPos(payload.times[index], "x", true), u.valToPos(value, "y", true), 2 * devicePixelRatio, 0, 7);
        ctx.fill();
      });
    });
  };

  // Ticks of byte axes fall on powers of two, or their labels read 1.91 MiB.
  const powers = Array.from({ length: 50 }, (_, at) => 2 ** at);
  const columns = (payload) => [payload.times, ...payload.series.map((line) => line.values)];
  const build = (figure) => {
    const box = $(".chart-plot", figure);
    const data = $("script[type='application/json']", figure);
    if (!box || !data) return;
    const old = charts.get(box);
    const text = data.textContent;
    if (old && old.text === text && !old.redraw) return;
    const payload = JSON.parse(text);
    const same = old && !old.redraw && old.payload.series.map((line) => line.name).join("\n") === payload.series.map((line) => line.name).join("\n");
    if (same) {
      Object.assign(old.payload, payload);
      old.text = text;
      old.plot.setData(columns(payload));
      return;
    }
    const hidden = old ? old.plot.series.slice(1).map((line) => !line.show) : [];
    if (old) { old.plot.destroy(); old.observer.disconnect(); }
    const chart = { payload, text, index: null };
    charts.set(box, chart);
    box.replaceChildren();
    chart.plot = new uPlot(options(figure, chart, box), columns(payload), box);
    hidden.forEach((off, at) => off && chart.plot.series[at + 1] && chart.plot.setSeries(at + 1, { show: false }));
    chart.observer = new ResizeObserver(() => box.clientWidth && chart.plot.setSize({ width: box.clientWidth, height: box.clientHeight }));
    chart.observer.observe(box);
  };
  const buildAll = (within = document) => {
    // Bare containers have a locale uPlot cannot read and it throws at load; the table twin then stands alone.
    if (!window.uPlot) { for (const twin of $$(".chart-details", within)) twin.open = true; return; }
    for (const figure of $$("[data-chart]", within)) build(figure);
    for (const [box, chart] of charts) if (!box.isConnected) { chart.plot.destroy(); chart.observer.disconnect(); charts.delete(box); }
  };

  document.addEventListener("keydown", (event) => {
    const chart = charts.get(event.target);
    if (!chart || !["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    const last = chart.payload.times.length - 1;
    const at = chart.index ?? last + 1;
    chart.index = { ArrowLeft: Math.max(0, at - 1), ArrowRight: Math.min(last, at + 1), Home: 0, End: last }[event.key];
    const left = chart.plot.valToPos(chart.payload.times[chart.index], "x");
    chart.plot.setCursor({ left, top: 10 });
    announce(readout(chart, chart.index), true);
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".legend-btn");
    if (!button) return;
    const figure = document.getElementById(button.dataset.figure);
    const chart = charts.get($(".chart-plot", figure));
    if (!chart) return;
    const at = Number(button.dataset.series);
    const shows = chart.plot.series.slice(1).map((line) => line.show);
    const alone = shows.filter(Boolean).length === 1 && shows[at];
    const next = event.shiftKey ? shows.map((show, index) => (index === at ? !show : show)) : shows.map((show, index) => alone || index === at);
    next.forEach((show, index) => chart.plot.setSeries(index + 1, { show }));
    for (const other of $$(`.legend-btn[data-figure="${button.dataset.figure}"]`)) other.setAttribute("aria-pressed", next[Number(other.dataset.series)]);
  });
  document.addEventListener("ui:theme", () => { tokens.clear(); for (const chart of charts.values()) chart.redraw = true; buildAll(); for (const chart of charts.values()) chart.redraw = false; });
  document.addEventListener("ui:morphed", (event) => buildAll(event.target));
  document.addEventListener("htmx:afterSettle", () => buildAll());
  buildAll();

  // New points go to the end of a chart that is drawn already; nothing else of it is touched.
  const extend = (figure, points) => {
    const chart = charts.get($(".chart-plot", figure));
    if (!chart || chart.payload.series.length !== 1) return false;
    const { payload } = chart;
    const values = payload.series[0].values;
    for (const [at, value] of points) {
      const last = payload.times.at(-1);
      if (last !== undefined && at < last) continue;
      if (at === last) { values[values.length - 1] = value; continue; }
      if (payload.widest && last !== undefined && at - last > payload.widest) { payload.times.push((at + last) / 2); values.push(null); }
      payload.times.push(at);
      values.push(value);
      if (value < 0) payload.y_zero = false;
    }
    payload.to = Math.max(payload.to, payload.times.at(-1));
    chart.plot.setData(columns(payload));
    return true;
  };
  window.ui.charts = { token, format, all: charts, extend };
})();
