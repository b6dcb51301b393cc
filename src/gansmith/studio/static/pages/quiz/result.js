// What a game says: score against chance in words, which forgeries fooled you, a picture to share, the table.

import { h } from "../../lib/dom.js";
import { card, empty, heading, link, toast, trying } from "../../lib/ui.js";
import { amount, duration, number, sentence } from "../../lib/words.js";
import { draw, share } from "./share.js";
import { live } from "./table.js";

/** The probability that a guesser does as well, in words. */
export function odds(chance) {
  if (chance >= 0.945) return "Whoever tosses a coin almost always does as well";
  if (chance >= 0.095) return `Whoever tosses a coin does as well in ${Math.round(chance * 10)} of 10 games`;
  if (chance >= 0.0095) return `Whoever tosses a coin does as well in ${Math.round(chance * 100)} of 100 games`;
  if (chance >= 0.00095) return `Whoever tosses a coin does as well in ${Math.round(chance * 1000)} of 1,000 games`;
  return "Whoever tosses a coin does as well in fewer than 1 of 1,000 games";
}

export async function result(root, context, round, speak) {
  const found = await speak("result");
  const { score } = found;
  const head = heading(score ? `${score.right} of ${score.rounds} right` : "No picture was answered", score ? `${sentence(score.verdict)}.` : null);
  head.querySelector("h1").setAttribute("tabindex", "-1");
  root.append(head);
  if (!score) {
    root.append(empty("Nothing to score", "The time was over before the first answer.", link("/quiz", "Play again", { class: "button primary" })), live(round, context, { me: found.name }));
    return;
  }
  root.append(h("div", { class: "quiz-result" }, said(found), picture(found, context)), fooled(found), live(round, context, { me: found.name }));
}

function said(found) {
  const { score } = found;
  const row = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  return card("Against chance",
    scale(score),
    h("p", {}, `${odds(score.chance)} (p = ${number(score.chance, 2)}).`),
    h("dl", { class: "facts" },
      row("The forger", found.generator), row("Real pictures", found.real),
      row("Fooled by", `${score.taken_for_real} of ${amount(score.forged, "forgery").replace("forgerys", "forgeries")}`),
      row("Time to think", duration(found.spent)),
      row("The same again", h("code", {}, `gansmith quiz ${found.generator} --rounds ${found.rounds} --seed ${found.seed}`))),
    h("div", { class: "row" }, link("/quiz", "Play again", { class: "button primary" }), link(`/quiz/${found.code}/table`, "Let others play the same", { class: "button" })));
}

/** A bar from none right to all right, with the middle that guessing reaches. */
function scale(score) {
  return h("div", { class: "quiz-scale", role: "img", "aria-label": `${score.right} of ${score.rounds} right; guessing gets ${score.rounds / 2} on average`, style: { "--share": score.right / score.rounds } },
    h("i"), h("b"), h("span", { class: "hint" }, "guessing"));
}

function picture(found, { signal }) {
  const canvas = h("canvas", { class: "quiz-share", role: "img", "aria-label": `Result picture: ${found.score.right} of ${found.score.rounds} right` });
  const words = { ...found, odds: odds(found.score.chance) };
  trying(() => draw(canvas, words));
  window.addEventListener("themed", () => draw(canvas, words), { signal });
  const name = `real-or-forged-${found.code}.png`;
  const save = h("button", { type: "button", onclick: () => trying(() => share(canvas, name, "save")) }, "Download the picture");
  const send = navigator.canShare ? h("button", { type: "button", onclick: () => trying(async () => { if (!(await share(canvas, name, "send"))) toast("This browser cannot share pictures; download it."); }) }, "Share …") : null;
  return card("To share", canvas, h("div", { class: "row" }, save, send));
}

function fooled(found) {
  const rows = found.pictures.map((each, index) => ({ ...each, index }));
  const seen = (forged) => rows.some((each) => each.forged === forged);
  const groups = [
    ["Forgeries that fooled you", rows.filter((each) => each.forged && !each.said), seen(true) ? "None: you caught every forgery you saw." : "You saw no forgery."],
    ["Real ones you did not believe", rows.filter((each) => !each.forged && each.said), seen(false) ? "None: you believed every real one." : "You saw no real one."],
    ["Forgeries you caught", rows.filter((each) => each.forged && each.said), "None."],
    ["Real ones you believed", rows.filter((each) => !each.forged && !each.said), "None."],
  ];
  return card("What they were", h("div", { class: "quiz-groups" }, groups.map(([name, some, none], at) =>
    h("section", { class: "stack tight" }, h("h3", {}, `${name} (${some.length})`),
      some.length
        ? h("ul", { class: "quiz-strip" }, some.map((each) => h("li", {}, h("img", { class: `pixelated ${at < 2 ? "wrong" : "right"}`, src: `data:image/png;base64,${each.picture}`, alt: `Picture ${each.index + 1}, ${each.forged ? "forged" : "real"}` }), h("small", {}, each.index + 1))))
        : h("p", { class: "quiet small" }, none)))));
}

