// How the game goes round, as a drawing of words: who makes what, who looks at it, and what each is told.

import { h } from "./dom.js";

const box = (kind, name, term, does) =>
  h("div", { class: `loop-box ${kind}` }, h("b", {}, name), h("span", { class: "quiet" }, `the ${term}`), h("p", {}, does));
const arrow = (kind = "") => h("span", { class: `loop-arrow ${kind}`, "aria-hidden": "true" });

/** The drawing; `learns(players)` marks who learns: "generator", "discriminator", "both" or "" for nobody. */
export function loop() {
  const element = h("div", { class: "loop", role: "group", "aria-label": "How the game goes" },
    h("div", { class: "loop-chip noise" }, "random numbers"), arrow("first"),
    box("g", "Forger", "generator", "makes an image of them; it never sees a real one"), arrow("second"),
    box("d", "Detective", "discriminator", "says of each image how surely it is real"),
    h("div", { class: "loop-chip real" }, "real images"), arrow("third"),
    h("p", { class: "loop-lesson g" }, "learns what would have looked more real"),
    h("p", { class: "loop-lesson d" }, "learns which of them were real"));
  return { element, learns(players) { element.dataset.learns = players; } };
}
