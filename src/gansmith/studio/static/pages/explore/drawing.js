// A drawing or a picture: the point whose image is nearest to it, or several answers to what is missing in it.

import { ask } from "../../lib/api.js";
import { fill, h, icon, say } from "../../lib/dom.js";
import { busy, segmented, trying } from "../../lib/ui.js";
import { keep } from "./pictures.js";

const SIDE = 280;
const PEN = 22;
const RUBBER = 56;
const ANSWERS = 6;

export function drawing({ path, about, signal, depart, chosen }) {
  const canvas = h("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": "Paper to draw on" });
  const veil = h("canvas", { width: SIDE, height: SIDE, class: "veil", "aria-hidden": "true" });
  const paper = h("div", { class: "paper" }, canvas, veil);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rubber = veil.getContext("2d", { willReadFrequently: true });
  const first = about.digits ? "Draw a digit, large, or choose a picture of one." : "Draw, or choose a picture.";
  const note = h("p", { class: "hint", "aria-live": "polite" }, first);
  const picker = h("input", { type: "file", accept: "image/*", class: "visually-hidden", tabindex: -1, "aria-label": "Choose a picture", onchange: () => trying(take) });
  const find = h("button", { type: "button", class: "primary small", disabled: true, onclick: () => search() }, "Find its point");
  const complete = h("button", { type: "button", class: "small", disabled: true, onclick: () => answer() }, "Complete it");
  const tool = segmented("Tool", [["draw", "Draw"], ["rub", "Rub out"]], "draw", (each) => {
    state.tool = each;
    say(note, each === "rub" ? "What you rub out is unknown: completing fills it in, in several ways." : first);
  });
  const state = { tool: "draw", drawn: false, rubbed: false };
  const answers = h("ul", { class: "answers", "aria-label": "Completions" }, Array.from({ length: ANSWERS }, () => h("li", { class: "vacant", "aria-hidden": "true" })));
  const save = h("button", { type: "button", class: "small", disabled: true, onclick: () => trying(store) }, "Save completions");
  let last = null;

  function enable() {
    find.disabled = !state.drawn;
    complete.disabled = !state.drawn;
  }

  function clear() {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, SIDE, SIDE);
    rubber.clearRect(0, 0, SIDE, SIDE);
    Object.assign(state, { drawn: false, rubbed: false });
    enable();
  }

  const spot = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  };
  const line = (event) => {
    const next = spot(event);
    const rub = state.tool === "rub";
    const ink = rub ? rubber : pen;
    Object.assign(ink, { strokeStyle: "#fff", lineWidth: rub ? RUBBER : PEN, lineCap: "round", lineJoin: "round" });
    ink.beginPath();
    ink.moveTo(...(last ?? next));
    ink.lineTo(...next);
    ink.stroke();
    last = next;
    state[rub ? "rubbed" : "drawn"] = true;
    enable();
  };
  paper.addEventListener("pointerdown", (event) => { event.preventDefault(); paper.setPointerCapture(event.pointerId); last = null; line(event); });
  paper.addEventListener("pointermove", (event) => { if (event.buttons) line(event); });

  /** A picture, whole, as large as the paper. */
  function put(picture, smooth = true) {
    clear();
    const scale = Math.min(SIDE / picture.width, SIDE / picture.height);
    pen.imageSmoothingEnabled = smooth;
    pen.drawImage(picture, (SIDE - picture.width * scale) / 2, (SIDE - picture.height * scale) / 2, picture.width * scale, picture.height * scale);
    state.drawn = true;
    enable();
  }

  async function take() {
    const [file] = picker.files;
    if (!file) return;
    let picture;
    try { picture = await createImageBitmap(file); } catch { throw new Error("This file is no picture that the browser can read."); }
    put(picture);
    picture.close();
    picker.value = "";
    say(note, "Now find its point, or rub a part out and complete it.");
  }

  function copy() {
    put(chosen, false);
    tool.choose("rub");
    state.tool = "rub";
    say(note, "The chosen image lies on the paper. Rub a part of it out, and complete it.");
  }

  /** Half of the paper for those who do not draw: the keyboard's way to rub out. */
  function half() {
    rubber.fillStyle = "#fff";
    rubber.fillRect(0, SIDE / 2, SIDE, SIDE / 2);
    state.rubbed = true;
    enable();
    say(note, "The lower half is unknown now.");
  }

  /** Waits for something slow behind a button; `failed` is said where nothing came. */
  async function waiting(button, words, failed, work) {
    for (const each of [find, complete]) busy(each, true);
    button.classList.add("waiting");
    say(note, words);
    const done = await trying(async () => { await work(); return true; });
    if (signal.aborted) return;
    button.classList.remove("waiting");
    for (const each of [find, complete]) busy(each, false);
    enable();
    if (!done) say(note, failed);
  }

  const png = (from) => new Promise((done) => from.toBlob(done, "image/png"));

  const search = () => waiting(find, "Thousands of points are tried, and the nearest ones improved: some seconds …", "It was not found; draw it larger.", async () => {
    const found = await ask(`${path}/drawing`, { raw: await png(canvas), headers: { "content-type": "image/png" }, signal });
    depart({ latent: found.latent, condition: found.condition }, "your drawing");
    say(note, `Found: ${found.error} of 255 grey levels away. It is the chosen point now.`);
  });

  const answer = () => waiting(complete, "Points are searched that agree with what is known and differ elsewhere: some seconds …", "Nothing was found; draw something, or rub out less.", async () => {
    const body = { picture: base64(canvas), unknown: state.rubbed ? base64(mask()) : null, count: ANSWERS };
    const found = await ask(`${path}/completion`, { body, signal });
    fill(answers, found.answers.map((each, index) => h("li", {}, h("button", { type: "button", class: "pick", "aria-label": `Completion ${index + 1}: depart from it`, title: `${each.error} of 255 grey levels off in what is known`, onclick: () => depart({ latent: each.latent, condition: each.condition }, `completion ${index + 1}`) },
      h("img", { src: `data:image/png;base64,${each.picture}`, alt: "", class: "pixelated" })))));
    save.disabled = false;
    say(note, state.rubbed ? "What you left is as it was; what you rubbed out is filled in. Click one to depart from it." : "Your strokes are kept, and what surrounds them is filled in. Click one to depart from it.");
  });

  const base64 = (from) => from.toDataURL("image/png").split(",")[1];

  /** What was rubbed out, white on black. */
  function mask() {
    const made = h("canvas", { width: SIDE, height: SIDE });
    const ink = made.getContext("2d");
    ink.fillStyle = "#000";
    ink.fillRect(0, 0, SIDE, SIDE);
    ink.drawImage(veil, 0, 0);
    return made;
  }

  /** All completions in a row, after the paper with a grey veil over what was rubbed out. */
  async function store() {
    const images = [...answers.querySelectorAll("img")];
    const made = h("canvas", { width: (SIDE + 8) * (images.length + 1) - 8, height: SIDE });
    const ink = made.getContext("2d");
    ink.imageSmoothingEnabled = false;
    ink.drawImage(canvas, 0, 0);
    ink.globalAlpha = 0.4;
    ink.drawImage(veil, 0, 0);
    ink.globalAlpha = 1;
    images.forEach((image, index) => ink.drawImage(image, (SIDE + 8) * (index + 1), 0, SIDE, SIDE));
    keep(await png(made), "completed.png");
  }

  clear();
  return h("section", { class: "card draw" }, h("h2", {}, "Draw and complete"), h("div", { class: "draw-row" },
    h("div", { class: "stack tight" }, paper, h("div", { class: "row" }, tool, h("button", { type: "button", class: "small ghost", onclick: () => { clear(); say(note, first); } }, "Clear"))),
    h("div", { class: "stack tight" }, note, find, complete,
      h("button", { type: "button", class: "small", onclick: () => picker.click() }, icon("upload"), "Choose a picture"), picker,
      h("button", { type: "button", class: "small", onclick: copy }, "Take the chosen image"),
      h("button", { type: "button", class: "small", onclick: half }, "Rub out the lower half"))), h("h3", {}, "Completions"), answers, h("div", { class: "row" }, save));
}
