// The guided tour: two recorded games side by side, one that goes well and one that collapses, told stop by stop.

import { ask } from "../../lib/api.js";
import { h, say } from "../../lib/dom.js";
import { loop } from "../../lib/loop.js";
import { bitmap, scores, wall } from "../../lib/stage.js";
import { heading, link } from "../../lib/ui.js";
import { percent, whole } from "../../lib/words.js";

const STOPS = [
  ["Two players who know nothing", "The forger turns random numbers into an image. The detective looks at an image and says how surely it is real: that is the number under each image. The hills below count its answers to many images, from surely forged on the left to surely real on the right.",
    "Grey noise. The detective's answers all lie in the middle: it guesses.", "Dark noise, and a detective that calls everything real. A different pair of networks, the same game."],
  ["The detective learns first", "Each step has two halves. First the detective sees real images and forgeries, and is told which is which. That is easy now: the hills of its answers come apart.",
    "The detective catches nearly all forgeries. The forger has only made its noise coarser.", "Here too the detective pulls ahead. The forger has found that bright blots fare better than noise."],
  ["The forger answers", "Then the forger's half: the detective is held still, and the forger asks it, for each pixel, which change would make the image pass better. These hints are all it ever hears: nobody tells it what a digit is, and it never sees one.",
    "The noise gathers where digits have their ink. No two images are the same.", "Look closely: all 24 images are the same blot, whatever random numbers they came from. It fared better than noise, so everything became it."],
  ["Back and forth", "Now they improve each other: a better detective gives better hints, and better forgeries make a better detective. Neither loss falls as in other learning; it is a tug of war.",
    "Strokes. The detective still catches nearly everything, but its hints are worth something: they have the shape of strokes.", "One blot, moved. The detective learned to catch the last one; the forger answered by changing all images at once."],
  ["Digits, or one shape", "The articles' warning is called mode collapse: the forger finds one image that passes, and makes only that. It is not a bug in the code. Nothing in the game asks for variety as long as the detective sees one image at a time.",
    "The first readable digits, and different ones.", "One shape. The detective catches all of them, so its hints all say the same: leave this shape."],
  ["A close game, or a chase", "In a good game the detective becomes unsure, because there is less and less to tell. In a collapsed one it is sure again and again, and the forger runs from one shape to the next.",
    "The detective now doubts even real digits. That is a good sign: the hills lie nearly on top of each other.", "Another shape, the same for all. The chase would go on for as long as you train."],
  ["What to look for", "Losses are a tug of war, and by themselves say little of how good the images are. Look at many images at once, made from different noise, and count what differs.",
    "Twenty-four different images, many of them readable. Longer training makes them clean.", "One picture, twenty-four times."],
];

export async function tour(root, { signal, query }) {
  const [healthy, collapsed] = await Promise.all(["healthy", "collapsed"].map((name) => ask(`/static/tour/${name}.json`, { signal })));
  const last = STOPS.length - 1;
  let at = Math.min(last, Math.max(0, Number(query.get("stop") ?? 1) - 1 || 0));
  const sides = [side("A game that goes well", healthy, "good", signal), side("A game that collapses", collapsed, "bad", signal)];
  const round = loop();
  const title = h("h2", { class: "stop-title" });
  const text = h("p", { class: "stop-text" });
  const count = h("p", { class: "hint" });
  const back = h("button", { type: "button", onclick: () => to(at - 1) }, "Back");
  const next = h("button", { type: "button", class: "primary", onclick: () => to(at + 1) }, "Next");
  const dots = h("ol", { class: "dots" }, STOPS.map(([name], index) => h("li", {}, h("button", { type: "button", "aria-label": `Stop ${index + 1}: ${name}`, onclick: () => to(index) }))));
  root.append(h("p", { class: "crumb" }, link("/game", "The game"), " / tour"),
    heading("Two games: one goes well, one collapses", "Both were recorded, with the networks of two published tutorials and handwritten digits (MNIST). Seven stops, five minutes."),
    h("section", { class: "card stop", "aria-live": "polite" }, h("div", { class: "row between" }, count, dots), title, text, h("div", { class: "row" }, back, next, h("span", { class: "hint" }, "or the arrow keys"))),
    h("section", { class: "card loop-card" }, round.element),
    h("div", { class: "grid-2" }, sides.map((each) => each.element)),
    h("section", { class: "card" }, h("h2", {}, "And then?"), h("div", { class: "row" }, link("/game", "Play it yourself", { class: "button primary" }), link("/train?recipe=deconv&steps=3000", "Train the one that collapses", { class: "button" }), link("/train?recipe=mlp-bn&steps=3000", "Train the one that goes well", { class: "button" })),
      h("p", { class: "hint" }, "The doctor on a run's page measures what this tour shows, and each of its remedies is a button.")));

  function to(index) {
    at = Math.min(last, Math.max(0, index));
    const [name, words, ...both] = STOPS[at];
    say(title, name);
    say(text, words);
    say(count, `Stop ${at + 1} of ${STOPS.length}`);
    back.disabled = at === 0;
    next.disabled = at === last;
    dots.querySelectorAll("button").forEach((each, i) => (i === at ? each.setAttribute("aria-current", "step") : each.removeAttribute("aria-current")));
    round.learns(["", "discriminator", "generator"][at] ?? "both");
    sides.forEach((each, i) => each.show(at, both[i]));
  }

  document.addEventListener("keydown", (event) => {
    if (event.target.closest?.("input, select, textarea") || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "ArrowRight") to(at + 1);
    if (event.key === "ArrowLeft") to(at - 1);
  }, { signal });
  to(at);
}

function side(name, game, kind, signal) {
  const images = wall({ kind: "forged", first: 0, count: 24, label: "Forgery" });
  const histogram = scores({ signal, height: 190 });
  const words = h("p", { class: "side-words" });
  const facts = h("p", { class: "hint" });
  const element = h("section", { class: "card" }, h("h2", { class: "row between" }, name, h("span", { class: `tag ${kind}` }, `${game.about.recipe} on MNIST`)), words, images.element, facts, histogram.element);
  return {
    element,
    async show(index, text) {
      const frame = game.frames[index];
      frame.picture ??= await bitmap(frame);
      images.show(frame, frame.picture);
      histogram.show(frame);
      say(words, text);
      say(facts, `Step ${whole(frame.step)}. Two forgeries differ ${percent(frame.distance)} as much as two real images do.`);
    },
  };
}
