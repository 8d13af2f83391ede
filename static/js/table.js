"use strict";
(() => {
  const { $, $$, onKey } = window.ui;
  const rows = () => $$("[data-rows] tbody tr[id]");
  const current = () => $("[data-rows] tr.cursor");

  const moveTo = (row) => {
    if (!row) return true;
    for (const other of $$("tr.cursor")) other.classList.remove("cursor");
    row.classList.add("cursor");
    const link = $("a[href]", row);
    if (link) link.focus();
    row.scrollIntoView({ block: "nearest" });
    return true;
  };
  const step = (by) => () => {
    const all = rows();
    if (!all.length) return false;
    const at = all.indexOf(current());
    return moveTo(all[Math.min(all.length - 1, Math.max(0, at + by))]);
  };
  onKey("j", step(1));
  onKey("k", step(-1));
  onKey("Enter", (event) => {
    const row = current();
    if (!row || event.target.closest("button, a, summary, input")) return false;
    $("a[href]", row).click();
    return true;
  });
  onKey("x", () => {
    const box = current() && $("input[type=checkbox]", current());
    if (box) box.click();
    return Boolean(box);
  });

  // An action key works on the rows that are ticked, else on the row under the cursor, else on the page's own form.
  const act = (name) => () => {
    const own = $(`[data-key="${name}"]`);
    if (own && !own.closest(".bulk")) { if (!own.disabled) own.click(); return true; }
    if (!$("[data-rows] input[name=id]:checked")) {
      const box = current() && $("input[name=id]", current());
      if (!box) return false;
      box.click();
    }
    const button = $(`.bulk [data-key="${name}"]`);
    if (button && !button.disabled) button.click();
    return Boolean(button);
  };
  for (const key of ["a", "e", "r", "m", "n", "s", "z"]) onKey(key, act(key));
  onKey("u", () => {
    const undo = $("[data-undo]");
    if (undo) undo.click();
    return Boolean(undo);
  });

  let lastBox = null;
  const count = () => {
    const ticked = $$("[data-rows] input[name=id]:checked");
    const bar = $(".bulk");
    if (!bar) return;
    bar.hidden = ticked.length === 0;
    const words = $("[data-selected]", bar);
    if (words) words.textContent = ticked.length === 1 ? "1 alert selected" : `${ticked.length} alerts selected`;
    const all = $("[data-select-all]");
    const boxes = $$("[data-rows] input[name=id]");
    if (all) { all.checked = ticked.length > 0 && ticked.length === boxes.length; all.indeterminate = ticked.length > 0 && ticked.length < boxes.length; }
  };
  document.addEventListener("click", (event) => {
    const box = event.target.closest("[data-rows] input[name=id]");
    if (box && event.shiftKey && lastBox) {
      const boxes = $$("[data-rows] input[name=id]");
      const [low, high] = [boxes.indexOf(lastBox), boxes.indexOf(box)].sort((one, two) => one - two);
      for (const between of boxes.slice(low, high + 1)) between.checked = box.checked;
    }
    if (box) { lastBox = box; count(); }
    if (event.target.matches("[data-select-all]")) {
      for (const each of $$("[data-rows] input[name=id]")) each.checked = event.target.checked;
      count();
    }
    if (event.target.closest("[data-clear]")) { for (const each of $$("[data-rows] input:checked")) each.checked = false; count(); }
  });
  document.addEventListener("ui:morphed", count);
  document.addEventListener("htmx:afterSettle", count);
  count();
})();
