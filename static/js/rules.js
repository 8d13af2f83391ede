"use strict";
(() => {
  const { $, $$, onKey, onKeyFirst, toast, announce } = window.ui;
  const asked = (url, form, signal, extra = {}) => {
    const data = new FormData(form);
    for (const [name, value] of Object.entries(extra)) data.set(name, value);
    return fetch(url, { method: "POST", body: data, headers: { "HX-Request": "true" }, credentials: "same-origin", signal });
  };
  const put = (region, text) => {
    const content = document.createElement("template");
    content.innerHTML = text;
    window.ui.live.morph(region, content.content);
  };

  // ---- Keys that lead somewhere, and those of a row.
  for (const key of ["n", "e"]) {
    onKeyFirst(key, () => {
      const row = $("[data-rows] tr.cursor");
      const link = (key === "e" && row && $("[data-edit]", row)) || $(`[data-go="${key}"]`);
      if (link) location.assign(link.href);
      return Boolean(link);
    });
  }
  onKey("t", () => {
    const row = $("[data-rows] tr.cursor");
    const button = row && $("[data-switch] button", row);
    if (button) button.click();
    return Boolean(button);
  });

  // ---- Switching a rule on and off in the list: done at once, and taken back within some seconds.
  const change = async (form, on) => {
    const name = form.dataset.switch;
    const answer = await asked(form.action, form, undefined, { on });
    const said = await answer.text();
    if (answer.redirected || answer.status === 403) { location.reload(); return; }
    const undo = answer.ok ? { action: "Undo", onAction: () => change(form, on === "1" ? "0" : "1") } : {};
    toast(answer.ok ? said : said || `${name} was not changed.`, { bad: !answer.ok, ...undo });
    const region = $("#rules");
    if (region) window.ui.refreshRegion(region);
  };
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-switch]")) return;
    event.preventDefault();
    change(event.target, $("[name=on]", event.target).value);
  });

  const editor = $("#editor");
  if (!editor) return;
  const form = () => $("#rule-form");
  const field = (name) => form().elements.namedItem(name);

  // ---- What is typed is kept in this browser until it is saved, and leaving says that it is not.
  const draftKey = `rule-draft:${location.pathname}`;
  let saving = false;
  let dirty = form().hasAttribute("data-changed");
  const plain = () => {
    const values = {};
    for (const [name, value] of new FormData(form())) if (!["csrfmiddlewaretoken", "job"].includes(name)) values[name] = value;
    return values;
  };
  const remember = () => {
    try { localStorage.setItem(draftKey, JSON.stringify(plain())); } catch (full) { return; }
    const state = $("[data-draft-state]");
    if (state) state.textContent = "Not saved yet; kept in this browser.";
  };
  const forget = () => { try { localStorage.removeItem(draftKey); } catch (refused) { /* A browser without storage keeps nothing. */ } };
  const offer = $("#draft-offer");
  let kept = null;
  try { kept = JSON.parse(localStorage.getItem(draftKey) || "null"); } catch (broken) { forget(); }
  if (kept && !dirty && kept.version === field("version").value) offer.hidden = false;
  else if (kept && !dirty) forget();
  offer.addEventListener("click", async (event) => {
    const choice = event.target.dataset.draft;
    if (!choice) return;
    offer.hidden = true;
    if (choice === "drop") { forget(); return; }
    if (kept.mode !== form().dataset.mode) await convert();
    for (const control of form().elements) {
      if (!control.name || !(control.name in kept || control.type === "checkbox") || ["csrfmiddlewaretoken", "job", "version", "base", "rule", "mode"].includes(control.name)) continue;
      if (control.type === "checkbox") control.checked = control.name in kept; else control.value = kept[control.name];
    }
    dirty = true;
    showKind();
    preview();
  });
  addEventListener("beforeunload", (event) => { if (dirty && !saving) event.preventDefault(); });

  // ---- The fields of the chosen kind; what two kinds share goes along.
  const showKind = () => {
    const chooser = field("kind");
    if (!chooser || chooser.tagName !== "SELECT") return;
    const parts = $$(".kind-fields", form());
    const before = parts.find((part) => !part.hidden);
    const now = parts.find((part) => part.dataset.kind === chooser.value);
    for (const part of parts) part.hidden = part !== now;
    if (now && before && before !== now) {
      for (const control of $$("[name]", before)) {
        const same = field(control.name.replace(before.dataset.kind, now.dataset.kind));
        const fits = same && same.type !== "checkbox" && !same.value && control.value;
        if (fits && (same.tagName !== "SELECT" || [...same.options].some((option) => option.value === control.value))) same.value = control.value;
      }
    }
    for (const part of $$("[data-for-alerts]", form())) part.hidden = Boolean(now && !now.dataset.makes);
  };

  // ---- The preview follows what is typed.
  let previewing = null;
  const preview = async () => {
    if (previewing) previewing.abort();
    previewing = new AbortController();
    const region = $("#preview");
    region.classList.add("is-busy");
    try {
      const answer = await asked(form().dataset.preview, form(), previewing.signal);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      put(region, await answer.text());
      region.classList.remove("is-busy");
    } catch (failure) {
      if (failure.name === "AbortError") return;
      region.classList.remove("is-busy");
      put(region, '<p class="notice warn">The preview could not be had. It is tried again with the next change.</p>');
    }
  };
  let timer = 0;
  const later = (wait) => { clearTimeout(timer); timer = setTimeout(preview, wait); };

  // ---- The backtest says how far it is, and can be stopped.
  let testing = null;
  const backtest = async () => {
    if (testing) return;
    const job = crypto.randomUUID ? crypto.randomUUID() : field("job").value;
    const region = $("#backtest");
    const bar = $(".backtest-progress");
    const progress = $("progress", bar);
    const address = `${form().dataset.backtest}${job}/`;
    testing = { job, address };
    progress.value = 0;
    bar.hidden = false;
    region.classList.add("is-busy");
    announce("The backtest runs.", true);
    const poll = setInterval(async () => {
      const answer = await fetch(address, { credentials: "same-origin" });
      if (answer.ok) progress.value = (await answer.json()).done || progress.value;
    }, 300);
    try {
      const answer = await asked(form().dataset.backtest, form(), undefined, { job });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      put(region, await answer.text());
      const sum = $(".backtest-sum", region);
      announce(sum ? sum.textContent.trim() : "The backtest has ended.", true);
    } catch (failure) {
      toast("The backtest failed. Try a shorter range.", { bad: true });
    } finally {
      clearInterval(poll);
      bar.hidden = true;
      region.classList.remove("is-busy");
      testing = null;
    }
  };

  // ---- Form and YAML are two writings of one thing.
  const convert = async () => {
    const answer = await asked(form().dataset.convert, form());
    if (![200, 422].includes(answer.status)) { toast("It could not be written the other way. Try again.", { bad: true }); return; }
    editor.innerHTML = await answer.text();
    if (window.ui.completions) for (const box of $$("[data-complete]", editor)) window.ui.completions(box);
    showKind();
    const bad = $("[aria-invalid]", editor);
    (bad || $(form().dataset.mode === "yaml" ? "#f-yaml" : "#f-name")).focus();
    preview();
  };

  document.addEventListener("submit", (event) => {
    if (event.target !== form()) return;
    const button = event.submitter;
    const own = button && ["backtestRun", "previewRun", "to"].find((name) => name in button.dataset);
    if (!own) { saving = true; forget(); return; }
    event.preventDefault();
    ({ backtestRun: backtest, previewRun: preview, to: convert })[own]();
  });
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    if (event.key === "s") { event.preventDefault(); form().requestSubmit($("[data-save]", form())); }
    if (event.key === "b") { event.preventDefault(); backtest(); }
    if (event.key === "Enter" && form().contains(event.target)) { event.preventDefault(); preview(); }
  });
  document.addEventListener("click", (event) => {
    const take = event.target.closest("[data-take]");
    if (take) {
      const control = field(take.dataset.take);
      if (control && control.type === "checkbox") control.checked = take.dataset.value === "on";
      else if (control) control.value = take.dataset.value;
      take.parentElement.firstElementChild.textContent = "theirs";
      take.remove();
      later(0);
    }
    const chosen = event.target.closest("[data-threshold]");
    if (chosen) {
      const kind = field("kind") && field("kind").value;
      const control = kind ? field(`${kind}.threshold`) || field(`${kind}.expr`) : field("yaml");
      if (!control) return;
      // A query is compared with the number at its end.
      control.value = control.name.endsWith(".threshold") ? chosen.dataset.threshold : control.value.replace(/(expr:.*[<>=]\s*|^[^]*[<>=]\s*)-?[\d.]+(e[-+]?\d+)?/, `$1${chosen.dataset.threshold}`);
      control.focus();
      dirty = true;
      remember();
      later(0);
    }
    const link = event.target.closest("[data-field]");
    if (link) { const control = field(link.dataset.field); if (control) { event.preventDefault(); control.focus(); } }
    if (event.target.closest("[data-backtest-cancel]") && testing) asked(testing.address, form());
  });
  for (const kind of ["input", "change"]) {
    document.addEventListener(kind, (event) => {
      if (!form().contains(event.target) || event.target.name === "range") return;
      dirty = true;
      if (event.target.name === "kind") showKind();
      remember();
      later(kind === "input" ? 400 : 100);
    });
  }
  showKind();
  if (field("name") ? field("name").value || field("promql.expr").value : true) preview();
})();
