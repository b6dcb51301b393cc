// One game: a picture, two buttons, a clock. What a picture was is known only after the answer: the studio says it.

import { fill, h, say } from "../../lib/dom.js";
import { heading, trying } from "../../lib/ui.js";
import { result } from "./result.js";

const PAUSE = [800, 1500]; // milliseconds to look at a picture that was named rightly, and wrongly
const KEYS = { r: false, arrowleft: false, f: true, arrowright: true };

export async function play(root, context, round, speak, first) {
  const { signal } = context;
  const game = { index: 0, waiting: false, left: null, since: 0, warned: false };
  const number = h("p", { class: "quiz-number", "aria-live": "polite" });
  const tally = h("p", { class: "quiz-tally quiet" });
  const clock = h("p", { class: "quiz-clock", role: "timer", "aria-label": "Seconds left", hidden: !round.seconds });
  const bar = h("div", { class: "bar", hidden: !round.seconds }, h("i"));
  const marks = Array.from({ length: round.rounds }, () => h("i"));
  const picture = h("img", { class: "pixelated quiz-picture", alt: "" });
  const frame = h("div", { class: "quiz-frame" }, picture, h("span", { class: "quiz-stamp", "aria-hidden": "true" }));
  const told = h("p", { class: "quiz-told", role: "status", "aria-live": "assertive" });
  const warning = h("p", { class: "visually-hidden", role: "status" });
  const real = answerButton("Real", "R", "←", "real", () => answer(false));
  const forged = answerButton("Forged", "F", "→", "forged", () => answer(true));
  const next = h("button", { type: "button", class: "small quiz-next", hidden: true, onclick: () => advance() }, "Next picture");
  const end = h("button", { type: "button", class: "ghost small", onclick: () => finish() }, "End the game here");
  const panel = h("section", { class: "card quiz-game", tabindex: "-1", "aria-label": "The game" },
    h("div", { class: "quiz-head" }, number, tally, clock), bar, h("div", { class: "quiz-marks", "aria-hidden": "true" }, marks),
    frame, h("div", { class: "quiz-says" }, told, next), h("div", { class: "quiz-answers" }, real, forged), warning);
  root.append(heading("Real or forged?"), panel, h("div", { class: "row quiz-foot" }, end));

  const left = () => (game.waiting ? Math.max(0, game.left - (performance.now() - game.since) / 1000) : game.left);
  let timer = 0;
  let tick = 0;
  signal.addEventListener("abort", () => { clearTimeout(timer); clearInterval(tick); });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !panel.isConnected) return;
    const key = event.key.toLowerCase();
    if (!(key in KEYS) || event.target.closest?.("input, select, textarea")) return;
    event.preventDefault();
    if (game.waiting) answer(KEYS[key]);
    else if (game.ready) advance();
  }, { signal });
  if (round.seconds) tick = setInterval(draw, 100);
  show(first);

  function draw() {
    if (game.left === null) return;
    const now = left();
    const text = `${Math.ceil(now)} s`;
    if (clock.textContent !== text) clock.textContent = text;
    clock.classList.toggle("low", now <= 10);
    bar.firstChild.style.setProperty("--share", now / round.seconds);
    bar.classList.toggle("low", now <= 10);
    if (now <= 10 && !game.warned) { game.warned = true; say(warning, "Ten seconds left"); }
    if (now <= 0 && game.waiting) { game.waiting = false; finish("Time is up."); }
  }

  function show(turn) {
    if (turn.over) { over(); return; }
    Object.assign(game, { index: turn.answered, waiting: true, ready: false, left: turn.left, since: performance.now() });
    frame.className = "quiz-frame";
    fill(frame.lastChild);
    picture.src = `data:image/png;base64,${turn.picture}`;
    picture.alt = `Picture ${turn.answered + 1} of ${round.rounds}: real or forged?`;
    say(number, `Picture ${turn.answered + 1} of ${round.rounds}`);
    say(tally, turn.answered ? `${turn.right} right` : "");
    say(told, "");
    if (document.activeElement === next) panel.focus({ preventScroll: true });
    next.hidden = true;
    fill(next, "Next picture");
    panel.classList.remove("told");
    marks.forEach((mark, index) => { mark.className = index === turn.answered ? "now" : index < turn.answered ? (turn.marks[index] ? "right" : "wrong") : ""; });
    draw();
  }

  async function answer(said) {
    if (!game.waiting) return;
    game.left = game.left === null ? null : left();
    game.waiting = false;
    const index = game.index;
    const was = await trying(() => speak("answers", { body: { index, forged: said } }));
    if (signal.aborted) return;
    if (!was) { await again(); return; }
    if (was.late) { finish("Time is up."); return; }
    const kind = was.correct ? "right" : "wrong";
    frame.className = `quiz-frame ${kind}`;
    fill(frame.lastChild, was.forged ? "Forged" : "Real");
    panel.classList.add("told");
    marks[index].className = kind;
    say(tally, `${was.right} right`);
    say(told, was.correct ? `Right: it is ${was.forged ? "forged" : "real"}.` : was.forged ? "Wrong: it is forged. It fooled you." : "Wrong: it is real.");
    game.ready = true;
    if (round.seconds) timer = setTimeout(advance, PAUSE[was.correct ? 0 : 1]);
    else { next.hidden = false; next.focus({ preventScroll: true }); }
  }

  async function advance() {
    if (!game.ready) return;
    game.ready = false;
    clearTimeout(timer);
    await again();
  }

  async function again() {
    const turn = await trying(() => speak("next", { method: "POST" }));
    if (signal.aborted) return;
    if (turn) { show(turn); return; }
    game.ready = true;
    say(told, "The studio does not answer.");
    fill(next, "Try again");
    next.hidden = false;
  }

  async function finish(why = "") {
    game.waiting = game.ready = false;
    clearTimeout(timer);
    if (why) say(told, why);
    await trying(() => speak("end", { method: "POST" }));
    if (!signal.aborted) over();
  }

  async function over() {
    clearInterval(tick);
    fill(root);
    await result(root, context, round, speak);
    root.querySelector("h1").focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
}

function answerButton(words, letter, arrow, kind, onclick) {
  return h("button", { type: "button", class: `quiz-answer ${kind}`, "aria-keyshortcuts": `${letter} ${arrow === "←" ? "ArrowLeft" : "ArrowRight"}`, onclick },
    h("span", {}, words), h("kbd", { "aria-hidden": "true" }, letter), h("kbd", { "aria-hidden": "true" }, arrow));
}
