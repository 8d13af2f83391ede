"use strict";
(() => {
  const { $, $$ } = window.ui;
  const text = $("#id_matchers");
  const holder = $("[data-builder]");
  if (!text || !holder) return;
  const edited = text.form.elements.edited;

  // The text is what is stored; the rows are another way to write it, and the server reads the text back into rows.
  const plain = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
  const quoted = (value) => `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
  const part = (row, name) => $(`[data-piece="${name}"]`, row).value;
  const written = (row) => {
    const name = part(row, "name").trim();
    return name ? `${plain.test(name) ? name : quoted(name)}${part(row, "op")}${quoted(part(row, "value"))}` : "";
  };
  const fromRows = () => {
    edited.value = "rows";
    text.value = $$(".builder-row", holder).map(written).filter(Boolean).join(", ");
  };
  text.addEventListener("input", () => { edited.value = "text"; });
  holder.addEventListener("input", fromRows);
  holder.addEventListener("change", fromRows);

  const field = (tag, name, label) => {
    const made = document.createElement(tag);
    made.dataset.piece = name;
    made.setAttribute("aria-label", label);
    return made;
  };
  const added = () => {
    const at = $$(".builder-row", holder).length + 1;
    const row = document.createElement("div");
    row.className = "builder-row";
    const name = field("input", "name", `Label ${at}`);
    name.type = "text";
    name.setAttribute("list", "label-names");
    const op = field("select", "op", `Comparison ${at}`);
    for (const sign of ["=", "!=", "=~", "!~"]) op.append(new Option(sign, sign));
    const value = field("input", "value", `Value ${at}`);
    value.type = "text";
    const drop = document.createElement("button");
    drop.type = "button";
    drop.className = "icon-btn";
    drop.dataset.drop = "";
    drop.textContent = "×";
    drop.setAttribute("aria-label", `Remove matcher ${at}`);
    row.append(name, op, value, drop);
    holder.append(row);
    name.focus();
  };
  text.form.addEventListener("click", (event) => {
    if (event.target.closest("[data-add-row]")) added();
    const drop = event.target.closest("[data-drop]");
    if (!drop) return;
    const next = drop.parentElement.nextElementSibling || drop.parentElement.previousElementSibling;
    drop.parentElement.remove();
    ($("[data-piece]", next || document.createElement("p")) || $("[data-add-row]")).focus();
    fromRows();
    text.form.dispatchEvent(new Event("change", { bubbles: true }));
  });
})();
