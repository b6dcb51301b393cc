// Parts that all pages use: messages, headings, segmented choices, empty states.

import { fill, h, icon, uid } from "./dom.js";

/** A message that goes away by itself; errors stay longer. */
export function toast(text, kind = "note") {
  const box = document.getElementById("toasts");
  const close = () => line.remove();
  const line = h("div", { class: `toast ${kind}` }, h("span", {}, text),
    h("button", { class: "ghost small", type: "button", "aria-label": "Dismiss", onclick: close }, "×"));
  box.append(line);
  setTimeout(close, kind === "error" ? 12000 : 5000);
}

/** Runs something that may be refused, and says the refusal. */
export async function trying(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") toast(error.message, "error");
    return undefined;
  }
}

export const heading = (title, lead, ...more) =>
  h("header", { class: "page-head" }, h("div", {}, h("h1", {}, title), lead && h("p", { class: "lead" }, lead)), ...more);

export const card = (title, ...content) =>
  h("section", { class: "card" }, title && h("h2", {}, title), ...content);

/** What stands where there is nothing yet: what to do. */
export const empty = (title, text, ...actions) => nothing("h2", title, text, actions);

/** The same where it is all that the page has. */
export const alone = (title, text, ...actions) => nothing("h1", title, text, actions);

const nothing = (rank, title, text, actions) =>
  h("div", { class: "empty" }, h(rank, {}, title), h("p", {}, text), actions.length ? h("p", { class: "row" }, ...actions) : null);

/** Radio buttons that look like one control. `options` are [value, words] pairs. */
export function segmented(label, options, value, changed) {
  const name = uid("choice");
  const inputs = options.map(([each, words]) => {
    const input = h("input", { type: "radio", name, value: each, checked: each === value, onchange: () => changed(each) });
    return h("label", {}, input, h("span", {}, words));
  });
  const group = h("fieldset", { class: "segmented" }, h("legend", { class: "visually-hidden" }, label), ...inputs);
  group.choose = (each) => { const found = [...group.querySelectorAll("input")].find((i) => i.value === each); if (found) found.checked = true; };
  return group;
}

/** A labelled field: the control, and a line of help below it. */
export function field(label, control, help = null) {
  control.id ||= uid("field");
  const hint = help && h("p", { class: "hint", id: `${control.id}-hint` }, help);
  if (hint) control.setAttribute("aria-describedby", hint.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, hint);
}

/** A number with its name below or beside it. */
export function figure(name, value = "–", note = "") {
  const number = h("dd", {}, value);
  const small = h("dd", { class: "note" }, note);
  const box = h("div", { class: "figure" }, h("dt", {}, name), number, small);
  box.set = (next, more = "") => { if (number.textContent !== next) number.textContent = next; if (small.textContent !== more) small.textContent = more; };
  return box;
}

export const link = (path, words, more = {}) => h("a", { href: path, ...more }, words);

export function busy(button, on, words = null) {
  button.disabled = on;
  button.setAttribute("aria-busy", on ? "true" : "false");
  if (words) fill(button, words);
}

export { icon };
