// A drawing or a picture: the point whose image is nearest to it.

import { ask } from "../../lib/api.js";
import { h, icon, say } from "../../lib/dom.js";
import { busy, trying } from "../../lib/ui.js";

const SIDE = 280;

export function drawing({ path, about, signal, depart }) {
  const canvas = h("canvas", { width: SIDE, height: SIDE, class: "paper", role: "img", "aria-label": "Paper to draw on" });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const note = h("p", { class: "hint", "aria-live": "polite" }, about.digits ? "Draw a digit, large, or choose a photograph of one." : "Draw, or choose a picture.");
  const picker = h("input", { type: "file", accept: "image/*", class: "visually-hidden", "aria-label": "Choose a picture", onchange: () => trying(take) });
  const find = h("button", { type: "button", class: "primary small", disabled: true, onclick: () => search() }, "Find its point");
  let last = null;

  function clear() {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, SIDE, SIDE);
    find.disabled = true;
  }

  const spot = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  };
  const line = (event) => {
    const next = spot(event);
    Object.assign(pen, { strokeStyle: "#fff", lineWidth: 22, lineCap: "round", lineJoin: "round" });
    pen.beginPath();
    pen.moveTo(...(last ?? next));
    pen.lineTo(...next);
    pen.stroke();
    last = next;
    find.disabled = false;
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); last = null; line(event); });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) line(event); });

  /** A chosen picture, whole, as large as the paper. */
  async function take() {
    const [file] = picker.files;
    if (!file) return;
    let picture;
    try { picture = await createImageBitmap(file); } catch { throw new Error("This file is no picture that the browser can read."); }
    clear();
    const scale = Math.min(SIDE / picture.width, SIDE / picture.height);
    pen.drawImage(picture, (SIDE - picture.width * scale) / 2, (SIDE - picture.height * scale) / 2, picture.width * scale, picture.height * scale);
    picture.close();
    picker.value = "";
    find.disabled = false;
    say(note, "Now find its point.");
  }

  async function search() {
    busy(find, true);
    say(note, "Thousands of points are tried, and the nearest ones improved: some seconds …");
    await trying(async () => {
      const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
      const found = await ask(`${path}/drawing`, { raw: blob, headers: { "content-type": "image/png" }, signal });
      depart({ latent: found.latent, condition: found.condition }, "your drawing");
      say(note, `Found: ${found.error} of 255 grey levels away. It is the chosen point now.`);
    });
    if (!signal.aborted) { busy(find, false); if (note.textContent.startsWith("Thousands")) say(note, "It was not found; draw it larger."); }
  }

  clear();
  return h("section", { class: "card draw" }, h("h2", {}, "Draw"), h("div", { class: "draw-row" }, canvas,
    h("div", { class: "stack tight" }, note, find, h("button", { type: "button", class: "small", onclick: clear }, "Clear"),
      h("button", { type: "button", class: "small", onclick: () => picker.click() }, icon("upload"), "Choose a picture"), picker)));
}
