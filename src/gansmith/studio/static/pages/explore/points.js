// Chosen points: a morph through them as a film, and sums of three.

import { ask, file } from "../../lib/api.js";
import { fill, h, icon, say, uid } from "../../lib/dom.js";
import { busy, field, trying } from "../../lib/ui.js";
import { drag, drop } from "./dragging.js";
import { keep } from "./pictures.js";

const MOST = 6;
const FRAMES = 48;
const LETTERS = "ABCDEF";

export function collection({ path, about, signal, point, canvas, depart, blend }) {
  const chosen = [];
  let film = null;
  let timer = 0;
  let turn = 0;
  const shelf = h("ol", { class: "shelf", "aria-label": "Points that you keep" });
  const screen = h("canvas", { width: about.size, height: about.size, class: "pixelated screen", role: "img", "aria-label": "The film" });
  const where = h("input", { type: "range", min: 0, max: FRAMES - 1, value: 0, disabled: true });
  const play = h("button", { type: "button", class: "small", "aria-label": "Play", disabled: true, onclick: () => (timer ? stop() : start()) }, icon("play"));
  const loop = h("input", { type: "checkbox", onchange: () => make() });
  const save = h("button", { type: "button", class: "small", disabled: true, onclick: () => store() }, "Save film");
  const saveFrame = h("button", { type: "button", class: "small", disabled: true, onclick: () => trying(still) }, "Save frame");
  const note = h("p", { class: "hint", "aria-live": "polite" }, "Keep two or more points: the film goes from one to the next.");
  const terms = ["A", "B", "C"].map((each, index) => h("select", { "aria-label": ["Begin with", "take away", "and add"][index] }));
  const mixed = h("button", { type: "button", class: "small", disabled: true, onclick: () => mix() }, "Mix");
  const add = h("button", { type: "button", class: "primary", onclick: () => put() }, "Keep this point");
  const slot = field("Between the points", where);
  signal.addEventListener("abort", stop);

  function put(what = { point: point(), canvas }) {
    if (chosen.length >= MOST) return;
    const copy = h("canvas", { width: about.size, height: about.size, class: "pixelated" });
    copy.getContext("2d").drawImage(what.canvas, 0, 0);
    chosen.push({ point: what.point, copy });
    draw();
  }

  function draw() {
    add.disabled = chosen.length >= MOST;
    fill(shelf, Array.from({ length: MOST }, (_, index) => {
      const each = chosen[index];
      if (!each) { const place = h("li", { class: "vacant", "aria-hidden": "true" }); drop(place, put); return place; }
      const own = () => ({ point: each.point, name: `point ${LETTERS[index]}`, canvas: each.copy });
      drag(each.copy, own);
      drop(each.copy, (held) => { if (held.canvas !== each.copy) blend(held, own()); });
      return h("li", {}, h("button", { type: "button", class: "pick", "aria-label": `Depart from point ${LETTERS[index]}`, onclick: () => trying(async () => depart(await fixed(each.point), `point ${LETTERS[index]}`)) }, each.copy),
        h("span", {}, LETTERS[index]), h("button", { type: "button", class: "ghost small", "aria-label": `Let go of point ${LETTERS[index]}`, onclick: () => { chosen.splice(index, 1); draw(); } }, "×"));
    }));
    terms.forEach((select, index) => {
      const before = select.value || String(Math.min(index, chosen.length - 1));
      fill(select, chosen.map((_, at) => h("option", { value: String(at) }, LETTERS[at])));
      select.value = Number(before) < chosen.length ? before : String(Math.max(0, chosen.length - 1));
      select.disabled = chosen.length < 2;
      if (!select.dataset.set && chosen.length > index) { select.value = String(index); }
    });
    mixed.disabled = chosen.length < 2;
    make();
  }
  for (const each of terms) each.addEventListener("change", () => { each.dataset.set = "1"; });

  /** A point as its latent, so that new moves begin from where it is. */
  const fixed = async (each) => ask(`${path}/latent`, { body: { point: each }, signal });

  async function mix() {
    await trying(async () => {
      const [a, b, c] = terms.map((each) => chosen[Number(each.value)].point);
      const name = terms.map((each) => LETTERS[Number(each.value)]);
      depart(await ask(`${path}/mix`, { body: { points: [a, b, c] }, signal }), `${name[0]} - ${name[1]} + ${name[2]}`);
    });
  }

  const asked = (suffix) => ({ points: chosen.map((each) => each.point), frames: FRAMES, loop: loop.checked, suffix });

  async function make() {
    stop();
    turn += 1;
    const mine = turn;
    const enough = chosen.length > 1;
    for (const each of [where, play, save, saveFrame]) each.disabled = !enough;
    if (!enough) { film = null; say(note, "Keep two or more points: the film goes from one to the next."); return; }
    say(note, "The film is being made …");
    await trying(async () => {
      const blob = await file(`${path}/film`, { body: asked("png"), signal });
      const next = await createImageBitmap(blob);
      if (mine !== turn) { next.close(); return; }
      film?.close();
      film = next;
      say(note, `${FRAMES} frames, evenly paced by what changes in the picture.`);
      show(Number(where.value));
    });
  }

  function show(index) {
    where.value = index;
    where.setAttribute("aria-valuetext", `frame ${index + 1} of ${FRAMES}`);
    if (!film) return;
    const size = about.size;
    screen.getContext("2d", { willReadFrequently: true }).drawImage(film, (index % about.columns) * size, Math.floor(index / about.columns) * size, size, size, 0, 0, size, size);
  }

  function start() {
    let index = Number(where.value) >= FRAMES - 1 ? 0 : Number(where.value);
    let step = 1;
    fill(play, icon("pause"));
    play.setAttribute("aria-label", "Pause");
    timer = setInterval(() => {
      if (!play.isConnected) { stop(); return; }
      show(index);
      if (index + step >= FRAMES || index + step < 0) { if (loop.checked) index = -1; else step = -step; }
      index += step;
    }, 60);
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    fill(play, icon("play"));
    play.setAttribute("aria-label", "Play");
  }

  /** The frame that is shown, enlarged, as a picture. */
  async function still() {
    const scale = Math.max(1, Math.min(16, Math.floor(512 / about.size)));
    const large = h("canvas", { width: about.size * scale, height: about.size * scale });
    const ink = large.getContext("2d");
    ink.imageSmoothingEnabled = false;
    ink.drawImage(screen, 0, 0, large.width, large.height);
    keep(await new Promise((done) => large.toBlob(done, "image/png")), `frame-${Number(where.value) + 1}.png`);
  }

  async function store() {
    busy(save, true);
    await trying(async () => keep(await file(`${path}/film`, { body: asked("gif"), signal }), "morph.gif"));
    busy(save, false);
  }

  where.addEventListener("input", () => { stop(); show(Number(where.value)); });
  draw();
  return {
    add,
    element: h("section", { class: "card kept" }, h("h2", {}, "Points that you keep"), shelf,
      h("h3", {}, "Morph"), h("div", { class: "film" }, screen, h("div", { class: "stack tight" }, h("div", { class: "time" }, play, slot), h("label", { class: "check" }, loop, h("span", {}, "Back to the first")), h("div", { class: "row" }, save, saveFrame), note)),
      h("h3", {}, "Mix"), h("div", { class: "row mix" }, terms[0], h("span", { "aria-hidden": "true" }, "−"), terms[1], h("span", { "aria-hidden": "true" }, "+"), terms[2], mixed),
      h("p", { class: "hint" }, "The first without what the second has, with what the third has: the result becomes the chosen point.")),
  };
}
