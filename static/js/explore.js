"use strict";
(() => {
  const { $, $$, announce } = window.ui;
  // ---- Completions: one list below each box that asks for them.
  const attach = (box) => {
    const list = document.getElementById(box.getAttribute("aria-controls"));
    if (!list) return;
    const lines = box.tagName === "TEXTAREA";
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
      if (!lines) box.setAttribute("aria-expanded", "false");
      options = [];
      chosen = -1;
      box.removeAttribute("aria-activedescendant");
    };
    const mark = () => {
      [...list.children].forEach((item, index) => item.setAttribute("aria-selected", index === chosen));
      if (chosen >= 0) { box.setAttribute("aria-activedescendant", `${list.id}-${chosen}`); list.children[chosen].scrollIntoView({ block: "nearest" }); }
    };
    const take = (index) => {
      const option = options[index];
      if (!option) return;
      box.setRangeText(option.insert, option.start, option.end, "end");
      close();
      box.focus();
      box.dispatchEvent(new Event("change", { bubbles: true }));
    };
    const show = (found) => {
      options = found;
      chosen = found.length ? 0 : -1;
      list.replaceChildren(...found.map((option, index) => {
        const item = document.createElement("div");
        item.className = "menu-item";
        item.id = `${list.id}-${index}`;
        item.setAttribute("role", "option");
        const name = document.createElement("span");
        name.className = "clip";
        name.textContent = option.text;
        const kind = document.createElement("span");
        kind.className = "kind";
        kind.textContent = [option.kind, option.count].filter(Boolean).join(" · ");
        item.append(name, kind);
        if (option.help) {
          const help = document.createElement("span");
          help.className = "help";
          help.textContent = option.help;
          item.append(help);
        }
        item.addEventListener("mousedown", (event) => { event.preventDefault(); take(index); });
        return item;
      }));
      list.hidden = !found.length;
      if (!lines) box.setAttribute("aria-expanded", String(!list.hidden));
      mark();
    };
    const ask = async () => {
      const mine = ++asked;
      const url = `${box.dataset.complete}?q=${encodeURIComponent(box.value)}&at=${box.selectionStart}${box.dataset.of ? `&of=${encodeURIComponent(document.getElementById(box.dataset.of).value)}` : ""}`;
      const answer = await fetch(url, { credentials: "same-origin" });
      if (mine !== asked || !answer.ok || document.activeElement !== box) return;
      show((await answer.json()).options);
    };
    box.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
    box.addEventListener("blur", close);
    box.addEventListener("keydown", (event) => {
      // In a larger form Enter is the box's own business.
      const runs = !("plain" in box.dataset);
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && runs) { event.preventDefault(); close(); box.form.requestSubmit(); return; }
      if (event.key === " " && event.ctrlKey) { event.preventDefault(); wanted = true; ask(); return; }
      if (event.key === "Enter" && !event.shiftKey && runs && (list.hidden || !wanted)) { event.preventDefault(); close(); box.form.requestSubmit(); return; }
      if (list.hidden || (event.key === "Enter" && !wanted)) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") { wanted = true; chosen = (chosen + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length; mark(); event.preventDefault(); }
      if (event.key === "Enter" || event.key === "Tab") { event.preventDefault(); take(chosen); }
      if (event.key === "Escape") { event.stopPropagation(); close(); }
    });
  };
  for (const box of $$("[data-complete]")) attach(box);
  window.ui.completions = attach;

  // ---- The form that asks without PromQL shows the query it makes while it is filled in.
  const form = $("[data-ask]");
  if (form) {
    const preview = $(".ask-preview", form);
    let asked = 0;
    let timer = 0;
    const ask = async () => {
      const mine = ++asked;
      const data = new FormData(form);
      if (!data.get("metric").trim()) { preview.textContent = ""; return; }
      const answer = await fetch(`${form.dataset.ask}?${new URLSearchParams(data)}`, { credentials: "same-origin" });
      if (mine !== asked || !answer.ok) return;
      const { query, problem } = await answer.json();
      preview.textContent = query || problem;
      preview.classList.toggle("problem", !query);
    };
    for (const kind of ["input", "change"]) form.addEventListener(kind, () => { clearTimeout(timer); timer = setTimeout(ask, 200); });
  }

  // ---- While a query runs the old answer is told to be old.
  const result = $("#result");
  document.addEventListener("submit", (event) => {
    if (!$("[data-run]", event.target)) return;
    result.setAttribute("aria-busy", "true");
    announce("Running the query", true);
  });
  window.addEventListener("pageshow", () => result && result.removeAttribute("aria-busy"));

  // ---- Exemplars: dots over the chart; the table below it is what a keyboard and a screen reader use.
  const dots = (chart, rows) => {
    const { plot, payload } = chart;
    for (const old of $$(".exemplar-dot", plot.over)) old.remove();
    const { min, max } = plot.scales.y;
    for (const row of rows) {
      if (row.at < payload.from || row.at > payload.to) continue;
      const dot = document.createElement("span");
      const beyond = row.value > max || row.value < min;
      dot.className = beyond ? "exemplar-dot beyond" : "exemplar-dot";
      dot.dataset.row = `exemplar-${row.number}`;
      dot.title = `${row.value} ${row.text}`;
      dot.style.left = `${plot.valToPos(row.at, "x")}px`;
      dot.style.top = `${plot.valToPos(Math.min(max, Math.max(min, row.value)), "y")}px`;
      plot.over.append(dot);
    }
  };
  const overlay = () => {
    for (const box of $$("[data-exemplars]")) {
      const figure = document.getElementById(box.dataset.exemplars);
      const chart = figure && window.ui.charts && window.ui.charts.all.get($(".chart-plot", figure));
      if (!chart || chart.plot.hasDots) continue;
      const rows = JSON.parse($("script[type='application/json']", box).textContent);
      chart.plot.hasDots = true;
      (chart.plot.hooks.draw ||= []).push(() => dots(chart, rows));
      chart.plot.redraw();
    }
  };
  overlay();
  for (const kind of ["ui:theme", "ui:morphed"]) document.addEventListener(kind, () => setTimeout(overlay));
  document.addEventListener("click", (event) => {
    const dot = event.target.closest(".exemplar-dot");
    if (!dot) return;
    const row = document.getElementById(dot.dataset.row);
    row.scrollIntoView({ block: "center" });
    row.focus();
  });

  // ---- Heat map: pointer and arrow keys read cells.
  for (const figure of $$("[data-heat]")) {
    const plot = $(".heat-plot", figure);
    const read = $(".chart-read", figure);
    const { names, times, counts } = JSON.parse($("script[type='application/json']", figure).textContent);
    let [column, row] = [times.length - 1, 0];
    const words = () => `${new Date(times[column] * 1000).toISOString().slice(11, 19)} UTC · ${names[row]} · ${Number(counts[row][column].toPrecision(4))}`;
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      column = Math.min(times.length - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * times.length)));
      row = Math.min(names.length - 1, Math.max(0, names.length - 1 - Math.floor((event.clientY - box.top) / box.height * names.length)));
      read.textContent = words();
    });
    plot.addEventListener("pointerleave", () => { read.textContent = ""; });
    plot.addEventListener("keydown", (event) => {
      const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] || [0, 0];
      if (!x && !y) return;
      column = Math.min(times.length - 1, Math.max(0, column + x));
      row = Math.min(names.length - 1, Math.max(0, row + y));
      read.textContent = words();
      announce(words(), true);
      event.preventDefault();
    });
  }
})();
