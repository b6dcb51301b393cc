// Does the generator copy? Any sample beside the training images nearest to it.

import { ask } from "../../lib/api.js";
import { fill, h, say, uid } from "../../lib/dom.js";
import { bytes } from "../../lib/stage.js";
import { number } from "../../lib/words.js";

export function nearest(runs, name, { signal }) {
  const select = h("select", { id: uid("run") }, runs.map((run, index) => h("option", { value: run.run }, name(index))));
  const seed = h("input", { type: "number", min: 0, step: 1, value: 0, id: uid("seed") });
  const wall = h("div", { class: "wall picks" });
  const result = h("div", { class: "near", "aria-live": "polite" }, h("p", { class: "hint" }, "Choose one of the images: beside it appear the training images nearest to it, pixel by pixel. A copy is far nearer to one of them than these are to each other."));
  const note = h("p", { class: "hint" }, "The images are being made …");

  async function draw() {
    say(note, "The images are being made …");
    try {
      const made = await ask(`/api/runs/${encodeURIComponent(select.value)}/samples?seed=${Math.max(0, Math.round(Number(seed.value) || 0))}`, { signal });
      const picture = await createImageBitmap(new Blob([bytes(made.images)], { type: "image/png" }));
      const [size] = made.size;
      fill(wall, Array.from({ length: made.count }, (_, index) => {
        const canvas = h("canvas", { width: size, height: size, class: "pixelated" });
        canvas.getContext("2d").drawImage(picture, (index % 8) * size, Math.floor(index / 8) * size, size, size, 0, 0, size, size);
        return h("button", { type: "button", class: "pick", "aria-label": `Sample ${index}: show the nearest training images`, "aria-pressed": "false", onclick: (event) => look(index, event.currentTarget) }, canvas);
      }));
      say(note, `The first ${made.count} images of this seed, uncurated.`);
    } catch (error) {
      if (error.name !== "AbortError") { fill(wall); say(note, error.message); }
    }
  }

  async function look(index, button) {
    for (const each of wall.children) each.setAttribute("aria-pressed", each === button);
    result.classList.add("waiting");
    try {
      const found = await ask(`/api/runs/${encodeURIComponent(select.value)}/neighbours?seed=${Math.max(0, Math.round(Number(seed.value) || 0))}&index=${index}`, { signal });
      const first = found.nearest[0];
      const copy = first.distance < 0.5 * found.usual;
      fill(result, picture(found.sample, `Sample ${index}`, "the sample", "own"), found.nearest.map((each) => picture(each.picture, `Training image ${each.index}`, `${number(each.distance)}${each.class === null ? "" : ` · class ${each.class}`}`)),
        h("p", {}, h("b", {}, copy ? "Suspiciously near. " : "No copy. "), `The nearest training image is ${number(first.distance)} grey levels away; that image's own nearest neighbour in the training set is ${number(found.usual)} away.`));
    } catch (error) {
      if (error.name !== "AbortError") fill(result, h("p", { class: "hint" }, error.message));
    } finally {
      result.classList.remove("waiting");
    }
  }

  const picture = (png, alt, words, kind = "") => h("figure", { class: kind }, h("img", { src: `data:image/png;base64,${png}`, alt, class: "pixelated", width: 112, height: 112 }), h("figcaption", {}, words));
  select.addEventListener("change", draw);
  seed.addEventListener("change", draw);
  draw();
  return h("section", { class: "card" }, h("h2", {}, "Does it copy?"), h("div", { class: "row from" }, h("label", { for: select.id, class: "label" }, "Run"), select, h("label", { for: seed.id, class: "label" }, "Seed"), seed), wall, note, result);
}
