// The map: two directions at once, dragged across.

import { file, newest } from "../../lib/api.js";
import { h, say, uid } from "../../lib/dom.js";
import { trying } from "../../lib/ui.js";

const SIDE = 7;
const STEP = 0.25;

export function chart({ path, about, signal, point, moved }) {
  const canvas = h("canvas", { width: SIDE * about.size, height: SIDE * about.size, class: "pixelated" });
  const dot = h("i", { class: "dot" });
  const pad = h("div", { class: "map", tabindex: 0, role: "application", "aria-label": "Map of two directions: arrow keys move the point" }, canvas, dot);
  const across = h("select", { id: uid("across"), disabled: true });
  const up = h("select", { id: uid("up"), disabled: true });
  const words = h("p", { class: "hint", "aria-live": "polite" }, "As soon as directions are found, drag across.");
  const reach = about.reach;
  let directions = [];
  let timer = 0;
  let drawn = "";

  const draw = newest(() => trying(async () => {
    if (!directions.length) return;
    const body = { point: point(), across: Number(across.value), up: Number(up.value) };
    const asked = JSON.stringify({ ...body, point: { ...body.point, moves: body.point.moves.map((each, index) => (index === body.across || index === body.up ? 0 : each)) } });
    if (asked === drawn) return;
    const picture = await createImageBitmap(await file(`${path}/map`, { body, signal }));
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    drawn = asked;
  }));
  const later = () => { clearTimeout(timer); timer = setTimeout(draw, 250); };
  signal.addEventListener("abort", () => clearTimeout(timer));

  function at() {
    const moves = point().moves;
    const x = moves[Number(across.value)] ?? 0;
    const y = moves[Number(up.value)] ?? 0;
    const share = (value) => `${50 + (50 * Math.max(-reach, Math.min(reach, value)) * (SIDE - 1)) / SIDE / reach}%`;
    dot.style.setProperty("--x", share(x));
    dot.style.setProperty("--y", share(-y));
    if (directions.length) say(words, `${directions[across.value].name} ${x.toFixed(1)}, ${directions[up.value].name} ${y.toFixed(1)}`);
    later();
  }

  function go(x, y) {
    const held = (value) => Math.round(Math.max(-reach, Math.min(reach, value)) * 20) / 20;
    if (!directions.length) return;
    moved(Number(across.value), Number(up.value), held(x), held(y));
    at();
  }

  const drag = (event) => {
    const box = pad.getBoundingClientRect();
    const scale = (2 * reach * SIDE) / (SIDE - 1);
    go(((event.clientX - box.left) / box.width - 0.5) * scale, (0.5 - (event.clientY - box.top) / box.height) * scale);
  };
  pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); drag(event); });
  pad.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
  pad.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }[event.key];
    if (!step) return;
    event.preventDefault();
    const moves = point().moves;
    go((moves[Number(across.value)] ?? 0) + step[0], (moves[Number(up.value)] ?? 0) + step[1]);
  });
  for (const each of [across, up]) each.addEventListener("change", () => { if (across.value === up.value) (each === across ? up : across).value = String((Number(each.value) + 1) % directions.length); at(); });

  return {
    element: h("section", { class: "card around" }, h("h2", {}, "Map"), h("div", { class: "pair-2" },
      h("div", { class: "field" }, h("label", { for: across.id }, "Left to right"), across), h("div", { class: "field" }, h("label", { for: up.id }, "Bottom to top"), up)), pad, words),
    changed: later,
    centre: at,
    at,
    ready(found) {
      directions = found;
      if (found.length < 2) return;
      for (const [select, chosen] of [[across, 0], [up, 1]]) {
        select.append(...found.map((each, index) => h("option", { value: String(index), selected: index === chosen }, each.name)));
        select.disabled = false;
      }
      at();
    },
  };
}
