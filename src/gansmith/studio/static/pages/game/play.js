// Playing: both learn, or one alone; slow motion over what was recorded.

import { ask } from "../../lib/api.js";
import { chart } from "../../lib/charts.js";
import { fill, h, icon, say, uid } from "../../lib/dom.js";
import { loop } from "../../lib/loop.js";
import { bitmap, scores, told, wall } from "../../lib/stage.js";
import { field, heading, link, segmented, trying } from "../../lib/ui.js";
import { number, percent, whole } from "../../lib/words.js";

const MOST_FRAMES = 600;
const SPEEDS = { slow: [1, 700], steady: [1, 60], fast: [20, 30] };
const TRIES = [
  ["Let the detective learn alone", "discriminator", 60, "What happens when only the detective learns? The articles warn of it: soon nothing passes. The forger still hears what to change, but look at the wishes: do they draw strokes, or only noise?"],
  ["Let the forger learn alone", "generator", 60, "Against a detective that stands still, the forger finds the one thing that passes and makes only that: look how alike the images become. That is how collapse begins."],
  ["Let both learn for a while", "both", 200, "In turn, as in training. Each one's progress is the other's problem; that is all there is to a GAN."],
];

export async function play(root, context) {
  const { signal, query } = context;
  const [runs, recipes] = await Promise.all([ask("/api/runs", { signal }), ask("/api/recipes", { signal })]);
  const game = { id: null, frames: [], at: -1, busy: false, playing: null, speed: "steady", changes: false };
  const forged = wall({ kind: "forged", first: 0, count: 24, label: "Forgery" });
  const real = wall({ kind: "real", first: 24, count: 8, label: "Real image" });
  const histogram = scores({ signal });
  const balance = chart("Who was right, step by step", { height: 120, range: [0, 1], format: percent, series: [{ label: "detective right", color: "--d" }, { label: "forgery passes", color: "--g" }] });
  const round = loop();
  const title = h("p", { class: "big" }, "Opening the game …");
  const words = h("p", { class: "quiet told" }, " ");
  const counts = h("p", { class: "hint" }, " ");
  const slow = slowMotion(game, (index) => show(index));
  signal.addEventListener("abort", () => { stop(); balance.destroy(); if (game.id) fetch(`/api/game/${game.id}`, { method: "DELETE", keepalive: true }).catch(() => {}); });

  const toggle = h("button", { type: "button", class: "primary", onclick: () => (game.playing ? stop() : start("both")) }, icon("play"), "Both learn");
  const one = h("button", { type: "button", onclick: () => once("both", 1) }, "One step");
  const detective = h("button", { type: "button", class: "d", onclick: () => once("discriminator", 1) }, "Only the detective");
  const forger = h("button", { type: "button", class: "g", onclick: () => once("generator", 1) }, "Only the forger");
  const wishes = h("label", { class: "check" }, h("input", { type: "checkbox", onchange: (event) => { game.changes = event.target.checked; show(game.at); } }), h("span", {}, "Show where the forger would change them"));
  const key = h("p", { class: "legend wish-key" }, h("span", {}, h("i", { class: "brighter" }), "brighter"), h("span", {}, h("i", { class: "darker" }), "darker, to pass"));

  root.append(
    heading("The game", "Two networks that learn from each other, on real images. You decide who learns; watch what becomes of both.", link("/game/tour", "Take the guided tour", { class: "button" })),
    h("section", { class: "card loop-card" }, round.element),
    h("section", { class: "card controls", "aria-label": "Controls" }, h("div", { class: "row" }, toggle, one, detective, forger,
      segmented("Speed", [["slow", "Slow"], ["steady", "Steady"], ["fast", "Fast"]], "steady", (each) => { game.speed = each; })), opening(runs, recipes, begin, query)),
    h("div", { class: "stage" },
      h("section", { class: "card" }, h("h2", {}, "What the forger makes"), forged.element, h("div", { class: "row between" }, wishes, key), slow.element),
      h("section", { class: "card" }, h("h2", {}, "What the detective says"), h("div", { "aria-live": "polite", class: "stack tight" }, title, words), histogram.element),
      h("section", { class: "card" }, h("h2", {}, "Real images"), real.element, h("p", { class: "hint" }, "Under each image: how sure the detective is that it is real."), counts),
      h("section", { class: "card" }, balance.element)),
    h("section", { class: "card" }, h("h2", {}, "Try this"), h("div", { class: "tries" }, TRIES.map(([name, players, steps, why]) =>
      h("article", {}, h("h3", {}, name), h("p", { class: "quiet" }, why), h("button", { type: "button", class: "small", onclick: () => many(players, steps) }, `${whole(steps)} steps`))))),
  );

  async function show(index) {
    const frame = game.frames[index];
    if (!frame) return;
    game.at = index;
    frame.picture ??= await bitmap(frame);
    forged.show(frame, frame.picture, { changes: game.changes });
    real.show(frame, frame.picture);
    histogram.show(frame);
    const [head, more] = told(frame);
    say(title, head);
    say(words, more);
    say(counts, `Detective learned ${whole(frame.learned.discriminator)} times, forger ${whole(frame.learned.generator)} times here${frame.losses ? `; losses ${number(frame.losses[0], 2)} and ${number(frame.losses[1], 2)}` : ""}${frame.paired ? ". This game compares images in pairs: scores are relative to the middle" : ""}. The strongest colour of a change stands for ${number(frame.changes.most, 2)} of the loss.`);
    balance.mark(index);
    slow.at(index);
    const [then, now] = [game.frames[index - 1]?.learned, frame.learned];
    const [d, g] = ["discriminator", "generator"].map((each) => Boolean(then) && now[each] > then[each]);
    round.learns(d && g ? "both" : d ? "discriminator" : g ? "generator" : "");
  }

  function keep(frame) {
    game.frames.push(frame);
    if (game.frames.length > MOST_FRAMES) game.frames.shift()?.picture?.close();
    const right = game.frames.map((each) => (each.right.real + each.right.forged) / 2);
    balance.set(game.frames.map((_, index) => index), [right, game.frames.map((each) => 1 - each.right.forged)]);
    show(game.frames.length - 1);
  }

  async function once(players, steps) {
    if (game.busy || !game.id) return false;
    game.busy = true;
    try {
      keep(await ask(`/api/game/${game.id}`, { body: { players, steps }, signal }));
      return true;
    } catch (error) {
      if (error.name !== "AbortError") await trying(() => { throw error; });
      return false;
    } finally {
      game.busy = false;
    }
  }

  async function many(players, steps) {
    stop();
    const stride = Math.max(1, Math.round(steps / 30));
    for (let done = 0; done < steps && !signal.aborted; done += stride) {
      if (!(await once(players, stride))) break;
      await new Promise((next) => setTimeout(next, 40));
    }
  }

  function start(players) {
    const turn = {};
    game.playing = turn;
    fill(toggle, icon("pause"), "Pause");
    (async () => {
      while (game.playing === turn && !signal.aborted) {
        const [steps, wait] = SPEEDS[game.speed];
        if (!(await once(players, steps)) && !game.busy) { stop(); break; }
        await new Promise((next) => setTimeout(next, wait));
      }
    })();
  }

  function stop() {
    game.playing = null;
    fill(toggle, icon("play"), "Both learn");
  }

  function ready(on) {
    for (const each of [toggle, one, detective, forger, ...root.querySelectorAll(".tries button")]) each.disabled = !on;
  }

  async function begin(choice) {
    stop();
    ready(false);
    say(title, "Opening the game …");
    const opened = await trying(() => ask("/api/game", { body: choice, signal }));
    if (!opened) { if (!signal.aborted) say(title, "The game could not be opened"); return; }
    ready(true);
    if (game.id) fetch(`/api/game/${game.id}`, { method: "DELETE" }).catch(() => {});
    game.id = opened.id;
    game.frames = [];
    keep(opened.frame);
  }
}

function opening(runs, recipes, begin, query) {
  const select = h("select", { id: uid("from") });
  select.append(h("optgroup", { label: "Untrained" }, recipes.map((each) => h("option", { value: `recipe ${each.name}`, selected: each.name === "mlp-bn" }, `${each.name} on MNIST`))));
  const there = runs.filter((each) => each.step);
  if (there.length) select.append(h("optgroup", { label: "Where a run is" }, there.map((each) => h("option", { value: `run ${each.run}` }, `${each.run}, step ${whole(each.step)}`))));
  const go = () => { const [kind, ...name] = select.value.split(" "); begin(kind === "run" ? { run: name.join(" ") } : { recipe: name.join(" ") }); };
  if (query.get("run") && there.some((each) => each.run === query.get("run"))) select.value = `run ${query.get("run")}`;
  select.addEventListener("change", go);
  queueMicrotask(go);
  return h("div", { class: "row from" }, h("label", { for: select.id, class: "label" }, "Begin with"), select, h("button", { type: "button", class: "ghost", onclick: go }, "Start over"));
}

function slowMotion(game, show) {
  const slider = h("input", { type: "range", min: 0, max: 0, value: 0 });
  const button = h("button", { type: "button", class: "small", "aria-label": "Play in slow motion" }, icon("play"));
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; fill(button, icon("play")); button.setAttribute("aria-label", "Play in slow motion"); };
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  button.addEventListener("click", () => {
    if (timer) { stop(); return; }
    fill(button, icon("pause"));
    button.setAttribute("aria-label", "Stop");
    let index = Number(slider.value) >= game.frames.length - 1 ? 0 : Number(slider.value);
    timer = setInterval(() => { if (index >= game.frames.length || !button.isConnected) { stop(); return; } show(index); index += 1; }, 180);
  });
  const box = field("Slow motion: go back through what you saw", slider);
  box.classList.add("slow");
  slider.before(button);
  return { element: box, at(index) { slider.max = Math.max(0, game.frames.length - 1); slider.value = index; slider.setAttribute("aria-valuetext", `frame ${index + 1} of ${game.frames.length}, step ${game.frames[index].step}`); } };
}


