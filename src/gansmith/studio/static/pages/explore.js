// Explore: a wall of samples, one as point of departure, and what becomes of it.

import { ask, file, newest } from "../lib/api.js";
import { fill, h, say, uid } from "../lib/dom.js";
import { alone, empty, heading, link, segmented, trying } from "../lib/ui.js";
import { whole } from "../lib/words.js";
import { drag, drop } from "./explore/dragging.js";
import { drawing } from "./explore/drawing.js";
import { chart } from "./explore/map.js";
import { collection } from "./explore/points.js";
import { keep, paint } from "./explore/pictures.js";

export const title = "Explore";
const RANGE = 3;
const WORDS = { run: "Runs here", exported: "Exported here", pretrained: "Come with gansmith" };

export async function mount(root, { signal, query }) {
  const there = await ask("/api/explore", { signal });
  if (!there.length) { root.append(alone("Nothing to explore yet", "Train a generator first.", link("/train", "Train", { class: "button" }))); return; }
  const wanted = query.get("run");
  const first = there.find((each) => each.id === wanted) ?? there.find((each) => each.kind === "run") ?? there.find((each) => each.id === "mnist") ?? there[0];
  const select = h("select", { id: uid("generator") }, ["run", "exported", "pretrained"].map((kind) => {
    const some = there.filter((each) => each.kind === kind);
    return some.length ? h("optgroup", { label: WORDS[kind] }, some.map((each) => h("option", { value: each.id, selected: each === first }, each.id))) : null;
  }));
  const stage = h("div", { class: "stack page-part" });
  root.append(
    heading("Explore", "Every image that a generator makes comes from a point: a row of random numbers. Choose an image, then move its point and see what changes."),
    h("section", { class: "card choose", "aria-label": "Generator" }, h("div", { class: "row from" }, h("label", { for: select.id, class: "label" }, "Generator"), select)),
    stage,
  );
  let leave = new AbortController();
  const open = async () => {
    leave.abort();
    leave = new AbortController();
    const own = AbortSignal.any([signal, leave.signal]);
    fill(stage, h("div", { class: "card explore-wait waiting" }, h("p", { class: "quiet" }, "The generator is being loaded …")));
    try {
      const path = `/api/explore/${encodeURIComponent(select.value)}`;
      const about = await ask(path, { signal: own });
      if (!own.aborted) fill(stage, explorer({ path, about, signal: own }));
    } catch (error) {
      if (error.name !== "AbortError") fill(stage, empty("This generator could not be opened", error.message, h("button", { type: "button", onclick: open }, "Try again")));
    }
  };
  select.addEventListener("change", open);
  await open();
}

/** Everything about one generator. */
function explorer({ path, about, signal }) {
  const state = { seed: 0, base: { seed: 0, index: 0 }, name: "image 0 of seed 0", label: null, truncation: 1, moves: [] };
  const point = () => ({ ...state.base, label: state.label, truncation: state.truncation, moves: Array.from(state.moves, (each) => each ?? 0) });
  const canvas = h("canvas", { width: about.size, height: about.size, class: "pixelated chosen", role: "img", "aria-label": "The image of the point" });
  const words = h("p", { class: "hint", "aria-live": "polite" }, " ");
  const frame = newest(() => trying(async () => {
    await paint(canvas, await file(`${path}/picture`, { body: { point: point() }, signal }));
    canvas.dataset.frames = Number(canvas.dataset.frames ?? 0) + 1;
  }));
  const changed = () => { frame(); map.changed(); };
  const told = () => say(words, `Departure: ${state.name}`);
  const map = chart({ path, about, signal, point, moved(across, up, x, y) { set(across, x); set(up, y); frame(); } });

  const wall = samples({ path, about, signal, state, blend, choose(index, seed) {
    const name = `image ${index} of seed ${seed}`;
    if (mixing.getAttribute("aria-pressed") === "true") { listening(false); blend({ point: point(), name: state.name }, { point: { seed, index }, name }); } else depart({ seed, index }, name, index);
  } });
  const labels = about.classes.length ? segmented("Class", about.classes.map((each, index) => [String(index), each]), "0", (each) => { state.label = Number(each); changed(); }) : null;
  const truncation = slider("truncation", { min: 0, max: 1.5, value: 1, step: 0.05, reset: 1, moved(value) { state.truncation = value; changed(); } });
  const moves = h("div", { class: "moves" }, h("p", { class: "quiet waiting moves-wait" }, "Directions are being found, which takes some seconds once …"));
  let sliders = [];

  function set(index, value) {
    state.moves[index] = value;
    sliders[index]?.show(value);
  }

  /** A new point of departure: all moves begin anew. */
  function depart(base, name, pressed = null) {
    Object.assign(state, { base, name, label: null, truncation: 1, moves: [] });
    truncation.show(1);
    for (const each of sliders) each.show(0);
    if (labels) labels.choose(String(labelOf(base, about)));
    wall.press(pressed);
    map.centre();
    told();
    changed();
  }

  /** The middle between two points becomes the departure. */
  function blend(one, other) {
    return trying(async () => depart(await ask(`${path}/mix`, { body: { points: [one.point, other.point] }, signal }), `between ${short(one.name)} and ${short(other.name)}`));
  }

  /** Whether the next click in the wall mixes: what dragging does, for keyboards and fingers. */
  function listening(on) {
    mixing.setAttribute("aria-pressed", String(on));
    if (on) say(words, "Now choose the image to mix it with.");
    else told();
  }
  const mixing = h("button", { type: "button", class: "small", "aria-pressed": "false", title: "Or drag one image onto another", onclick: () => listening(mixing.getAttribute("aria-pressed") !== "true") }, "Mix with an image");
  const start = h("button", { type: "button", class: "small", onclick: () => depart(state.base, state.name, state.base.index !== undefined && state.base.seed === state.seed ? state.base.index : null) }, "Back to the departure");
  const save = h("button", { type: "button", class: "small", onclick: () => trying(async () => keep(await file(`${path}/picture`, { body: { point: point(), scale: Math.max(1, Math.min(16, Math.floor(512 / about.size))) }, signal }), "picture.png")) }, "Save picture");
  const savePoint = h("button", { type: "button", class: "small", title: "A file that gansmith morph, mix and others take", onclick: () => trying(async () => keep(await file(`${path}/point`, { body: { point: point() }, signal }), "point.npz")) }, "Save point");
  const points = collection({ path, about, signal, point, canvas, depart, blend });
  drag(canvas, () => ({ point: point(), name: state.name, canvas }));
  drop(canvas, (held) => blend({ point: point(), name: state.name }, held));
  const element = [
    h("div", { class: "explore-grid" },
      wall.element,
      h("section", { class: "card departure" }, h("h2", {}, "The chosen point"),
        h("div", { class: "chosen-row" }, canvas, h("div", { class: "stack tight" }, words, points.add, mixing, start, save, savePoint)),
        labels && h("div", { class: "field" }, h("span", { class: "label" }, "Class"), labels),
        truncation.element,
        h("div", { class: "field" }, h("span", { class: "label" }, "Directions"), h("p", { class: "hint" }, "Steps of one standard deviation of the noise. Named after what they change, or found without a name (pca).")), moves),
      drawing({ path, about, signal, depart, chosen: canvas }), map.element, points.element)];

  trying(async () => {
    const found = await ask(`${path}/directions`, { signal });
    sliders = found.map((each, index) => slider(each.name, {
      min: -RANGE, max: RANGE, value: 0, step: 0.1, reset: 0,
      title: `Changes pixels by ${each.effect} of 255 grey levels a step${each.fit === null ? "" : `; explains ${Math.round(each.fit * 100)} % of it`}`,
      moved(value) { state.moves[index] = value; frame(); map.at(); },
    }));
    fill(moves, sliders.map((each) => each.element));
    map.ready(found);
  });
  told();
  frame();
  wall.draw();
  if (labels) labels.choose(String(labelOf(state.base, about)));
  return element;
}

/** A point's name inside another one's. */
const short = (name) => (name.startsWith("between ") ? "a mix" : name.replace(" of seed 0", ""));

/** The class of an image of a seed, whose classes take turns, or of a latent's condition. */
const labelOf = (base, about) => (base.latent ? Math.floor(base.condition / about.kinds) : base.label ?? base.index % Math.max(1, about.classes.length));

function slider(name, { min, max, value, step, reset, moved, title = "" }) {
  const input = h("input", { type: "range", min, max, step, value, id: uid("slider"), title });
  const output = h("output", { for: input.id }, value.toFixed(step < 0.1 ? 2 : 1));
  const show = (next) => { input.value = next; say(output, Number(input.value).toFixed(step < 0.1 ? 2 : 1)); };
  input.value = value;
  input.addEventListener("input", () => { show(input.value); moved(Number(input.value)); });
  input.addEventListener("dblclick", () => { show(reset); moved(reset); });
  return { show, element: h("div", { class: "move" }, h("label", { for: input.id }, name), input, output) };
}

function samples({ path, about, signal, state, choose, blend }) {
  const cells = Array.from({ length: about.wall }, (_, index) => {
    const canvas = h("canvas", { width: about.size, height: about.size, class: "pixelated" });
    const button = h("button", { type: "button", class: "pick", "aria-label": `Image ${index}: depart from it`, "aria-pressed": index === 0 ? "true" : "false", onclick: () => choose(index, state.seed) }, canvas);
    const own = () => ({ point: { seed: state.seed, index }, name: `image ${index}`, canvas });
    drag(button, own);
    drop(button, (held) => { if (held.canvas !== canvas) blend(held, own()); });
    return button;
  });
  const seed = h("input", { type: "number", min: 0, step: 1, value: 0, id: uid("seed") });
  const press = (index) => cells.forEach((each, at) => each.setAttribute("aria-pressed", String(at === index)));
  const draw = newest(() => trying(async () => {
    const blob = await file(`${path}/wall.png?seed=${state.seed}`, { signal });
    const picture = await createImageBitmap(blob);
    cells.forEach((each, index) => each.firstChild.getContext("2d").drawImage(picture, (index % about.columns) * about.size, Math.floor(index / about.columns) * about.size, about.size, about.size, 0, 0, about.size, about.size));
    picture.close();
  }));
  const change = (value) => { state.seed = Math.min(2 ** 52, Math.max(0, Math.round(value) || 0)); seed.value = state.seed; press(null); draw(); };
  seed.addEventListener("change", () => change(Number(seed.value)));
  const element = h("section", { class: "card samples" }, h("h2", {}, "Samples"), h("div", { class: "wall eight" }, cells),
    h("div", { class: "row from" }, h("label", { for: seed.id, class: "label" }, "Seed"), seed, h("button", { type: "button", class: "small", onclick: () => change(state.seed + 1) }, "Others"),
      h("button", { type: "button", class: "small ghost", onclick: () => trying(async () => keep(await file(`${path}/wall.png?seed=${state.seed}&scale=4`, { signal }), `samples-${state.seed}.png`)) }, "Save samples")),
    h("p", { class: "hint" }, `${about.recipe}${about.data ? ` on ${about.data}` : ""}${about.steps ? `, ${whole(about.steps)} steps` : ""}. ${whole(about.noise)} numbers make an image; nothing is picked by hand. Click one to depart from it; drag one onto another to mix them.`));
  return { element, draw, press };
}
