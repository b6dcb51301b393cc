// One run as it goes: the same noise through time, the two players' curves, quality, and what the doctor says.

import { ask, listen } from "../../lib/api.js";
import { Columns, chart } from "../../lib/charts.js";
import { fill, h, icon, say } from "../../lib/dom.js";
import { sheets } from "../../lib/sheet.js";
import { alone, busy, card, figure, heading, link, toast, trying } from "../../lib/ui.js";
import { duration, number, percent, sentence, whole } from "../../lib/words.js";
import { follow } from "./setup.js";

const STATES = {
  training: ["live", "Training"], saving: ["warn", "Saving"], drawing: ["live", "Drawing the pictures"], finished: ["good", "Finished"], paused: ["warn", "Paused"],
  stopped: ["", "Stopped"], diverged: ["bad", "Diverged"], elsewhere: ["live", "Trained by another program"], broken: ["bad", "Broken off"], damaged: ["bad", "Damaged"],
};
const EXPLAINED = {
  paused: "It saved itself. Resume goes on in the same bytes as if it had never stopped.",
  stopped: "It saved itself, and its pictures are drawn. Resume goes on where it was.",
  broken: "Its process was killed. What came after the last checkpoint is lost; resume goes on from there, to the same bytes.",
  diverged: "A value was no longer finite. The doctor below says what to try.",
  elsewhere: "It was started in a terminal: Ctrl-C there saves it.",
};
export const RUNNING = ["training", "saving", "drawing", "elsewhere"];

export async function watch(root, context, id) {
  const { signal } = context;
  const base = `/api/runs/${encodeURIComponent(id)}`;
  let status;
  try {
    status = await ask(base, { signal });
  } catch (error) {
    if (error.status !== 404) throw error;
    root.append(alone("There is no such run", "It may have been removed, or the studio was started over another folder.", link("/train", "Train one", { class: "button primary" }), link("/judge", "See all runs", { class: "button" })));
    return;
  }
  const view = build(root, id, context, base, () => status);
  const logs = { metrics: new Columns(), quality: new Columns(), timing: new Columns() };
  const doctor = doctorCard(id, context, () => status);
  view.findings.replaceWith(doctor.element);

  function news(message) {
    if (message.type === "status") {
      status = message.status;
      view.status(status, logs);
      doctor.look(status);
    } else if (message.type === "rows") {
      logs[message.log].add(message.rows, message.reset);
      view.draw(message.log, logs, status);
    } else if (message.type === "sheets") {
      view.sheet.set(message.steps, (step) => `${base}/sheets/${step}.png`);
    }
  }

  view.status(status, logs);
  listen(`${base}/live`, { signal, heard: news, lost: connection });
  signal.addEventListener("abort", () => connection(false));
}

function connection(lost, why = "No connection. Training goes on; looking for the studio …") {
  const note = document.getElementById("connection");
  note.hidden = !lost;
  if (lost) say(note, why);
}

function build(root, id, context, base, current) {
  const { signal } = context;
  const tag = h("span", { class: "tag" }, "…");
  const actions = h("div", { class: "row" });
  const onward = h("nav", { class: "row onward", "aria-label": "What to do with this run" });
  const bar = h("div", { class: "bar" }, h("i", {}));
  const explained = h("p", { class: "hint" });
  const figures = { step: figure("Step"), left: figure("Time left"), rate: figure("Images a second"), quality: figure("Quality") };
  const sheet = sheets({ alt: `What the same noise gives in ${id}`, signal });
  const charts = curves();
  signal.addEventListener("abort", () => Object.values(charts).forEach((each) => each.destroy()));
  const findings = h("div");
  const refresh = buttons(actions, onward, base, context, current);
  const head = heading(id, null, actions, onward);
  head.querySelector("div").append(h("p", { class: "row sub" }, tag, explained));
  root.append(h("p", { class: "crumb" }, link("/train", "Train"), " / ", h("span", {}, id)), head,
    h("section", { class: "card progress", "aria-label": "Progress" }, bar, h("dl", { class: "figures" }, Object.values(figures))),
    h("div", { class: "watch" },
      h("section", { class: "card" }, h("h2", {}, "The same noise, as it learns"), sheet.element),
      h("div", { class: "stack" }, card("The two players", charts.losses.element, charts.accuracies.element))),
    h("div", { class: "grid-2" }, card("How good", charts.quality.element), card("Pixels", charts.pixels.element)), findings);
  sheet.moved((step) => Object.values(charts).forEach((each) => each.mark(step)));

  return {
    sheet, findings,
    status(now, logs) { showStatus(now, logs, { tag, explained, bar, figures, charts, id }); refresh(); },
    draw(log, logs, now) { draw(charts, log, logs); progress(now, logs, { bar, figures }); },
  };
}

function curves() {
  return {
    losses: chart("Losses", { hint: "A tug of war: flat means balance, not standstill.", height: 150, series: [{ label: "discriminator", color: "--d" }, { label: "generator", color: "--g" }] }),
    accuracies: chart("Who is right", { hint: "How often the discriminator is right, and how often a forgery passes.", height: 150, range: [0, 1], format: percent, series: [{ label: "discriminator right", color: "--d" }, { label: "forgery passes", color: "--g" }] }),
    quality: chart("Fréchet distance from real images", { hint: "Lower is better; the dashed line is what real images have among themselves.", log: true, series: [{ label: "generated", color: "--g", points: true }], lines: [{ label: "real images", color: "--real", value: null }] }),
    pixels: chart("Brightness and contrast of forged pixels", { hint: "They should drift to the dashed lines, which are the data's.", series: [{ label: "mean", color: "--g" }, { label: "spread", color: "--held" }], lines: [{ label: "data's mean", color: "--g", value: null }, { label: "data's spread", color: "--held", value: null }] }),
  };
}

function draw(charts, log, logs) {
  const { metrics, quality } = logs;
  if (log === "metrics") {
    charts.losses.set(metrics.steps, metrics.get("discriminator_loss", "generator_loss"));
    charts.accuracies.set(metrics.steps, metrics.get("discriminator_accuracy", "generator_accuracy"));
    charts.pixels.set(metrics.steps, metrics.get("pixel_mean", "pixel_std"));
  } else if (log === "quality") {
    charts.quality.set(quality.steps, quality.get("fd"));
  }
}

function showStatus(now, logs, { tag, explained, bar, figures, charts, id }) {
  const [kind, words] = STATES[now.state] ?? ["", now.state];
  tag.className = `tag ${kind}`;
  say(tag, words);
  say(explained, now.state === "damaged" ? now.error : EXPLAINED[now.state] ?? (now.error ? sentence(now.error) : `${now.recipe} on ${now.data}, seed ${now.seed ?? 0}${now.from ? `, begun from ${now.from}` : ""}`));
  document.title = `${words} · ${id}`;
  if (now.protocol) charts.quality.line("real images", now.protocol.floor);
  charts.quality.empty(now.evaluate_every === 0 ? "This run is not measured while it trains; its Judge page evaluates it." : "Nothing measured yet");
  if (now.images) { charts.pixels.line("data's mean", now.images.mean); charts.pixels.line("data's spread", now.images.std); }
  progress(now, logs, { bar, figures });
}

function progress(now, logs, { bar, figures }) {
  const { timing, metrics } = logs;
  const step = Math.max(now.step ?? 0, metrics.steps.at(-1) ?? 0);
  const seconds = timing.get("seconds")[0];
  const spent = seconds.at(-1) ?? now.seconds ?? 0;
  const running = now.state === "training" || now.state === "elsewhere";
  const back = Math.max(0, seconds.length - 6);
  const pace = seconds.length > 1 ? (timing.steps.at(-1) - timing.steps[back]) / Math.max(1e-6, seconds.at(-1) - seconds[back]) : 0;
  const left = now.minutes ? now.minutes * 60 - spent : pace ? (now.steps - step) / pace : null;
  const share = now.state === "finished" ? 1 : now.minutes ? spent / (now.minutes * 60) : step / (now.steps || 1);
  bar.style.setProperty("--share", Math.min(1, Math.max(0, share)));
  bar.classList.toggle("running", running);
  figures.step.set(whole(step), now.steps ? `of ${whole(now.steps)}` : now.minutes ? `in ${number(now.minutes)} min` : "");
  figures.left.set(running && left !== null ? duration(Math.max(0, left)) : "–", `${duration(spent)} so far`);
  figures.rate.set(number(timing.get("images_per_second")[0].at(-1)), pace ? `${number(pace, 2)} steps a second` : "");
  const q = now.quality;
  figures.quality.set(q ? sentence(q.words) || number(q.distance) : "Not measured yet", q ? `distance ${number(q.distance, 2)}, real ${number(q.floor, 2)}` : "");
}

function buttons(box, places, base, context, current) {
  const { about } = context;
  const act = (button, word, body = undefined) => async () => {
    busy(button, true);
    const done = await trying(() => ask(`${base}/${word}`, { method: "POST", body }));
    if (done && word === "resume") await follow(done, button, { ...context, go: () => {} });
    else if (done) toast(word === "pause" ? "It saves, and pauses." : "It saves, draws its pictures, and stops.");
    busy(button, false);
  };
  const make = (word, name, words, kind, body) => {
    const button = h("button", { type: "button", class: kind, disabled: about.read_only }, icon(name), words);
    button.addEventListener("click", act(button, word, body));
    return button;
  };
  const pause = make("pause", "pause", "Pause", "");
  const stop = make("stop", "stop", "Stop", "");
  const resume = make("resume", "play", "Resume", "primary", {});
  const longer = h("button", { type: "button", disabled: about.read_only }, icon("play"), "Train longer");
  longer.addEventListener("click", () => act(longer, "resume", { steps: 2 * Math.max(1, current().step ?? 1) })());
  const single = h("button", { type: "button", disabled: about.read_only, title: "One update of both players, with its pictures; the game makes steps faster" }, "One step");
  single.addEventListener("click", () => act(single, "resume", { steps: (current().step ?? 0) + 1 })());
  const own = encodeURIComponent(current().run);
  const go = (path, words) => link(path, words, { class: "button small" });
  const fork = link(`/train?from=${own}`, "Begin another from it", { class: "button" });
  const report = h("a", { class: "button small", href: `${base}/report`, target: "_blank", rel: "noopener" }, "Report");
  const trained = [go(`/explore?run=${own}`, "Explore"), go(`/quiz?run=${own}`, "Quiz"), go(`/game?run=${own}`, "Step by step")];
  const judge = go(`/judge/${own}`, "Judge");
  let shown = null;
  return () => {
    const { state, report: has } = current();
    const key = `${state} ${has} ${Boolean(current().step)}`;
    if (key === shown) return;
    shown = key;
    const running = state === "training";
    fill(box, running ? [pause, stop] : null, ["paused", "stopped", "broken"].includes(state) ? [resume, single] : null, state === "finished" ? [longer, single] : null, !running && current().step && !about.read_only ? fork : null);
    fill(places, current().step ? trained : null, judge, has ? report : null);
  };
}

function doctorCard(id, context, current) {
  const list = h("div", { class: "stack", "aria-live": "polite" });
  const verdict = h("p", { class: "hint" }, "It looks at the run as soon as there is something to see.");
  const element = h("section", { class: "card" }, h("h2", {}, "The doctor"), verdict, list);
  let last = 0;
  let waiting = false;
  let seen = "";
  async function look(status) {
    const key = `${status.state} ${Math.floor((status.step ?? 0))}`;
    if (waiting || key === seen || (!status.step && status.state !== "diverged")) return;
    const pause = RUNNING.includes(status.state) ? 4000 - (Date.now() - last) : 0;
    if (pause > 0) return;
    waiting = true;
    seen = key;
    if (!list.children.length) say(verdict, "The doctor is looking …");
    try {
      show(await ask(`/api/runs/${encodeURIComponent(id)}/findings`, { signal: context.signal }));
    } catch (error) {
      if (error.name !== "AbortError") say(verdict, error.message);
    }
    last = Date.now();
    waiting = false;
  }
  function show(found) {
    say(verdict, `${sentence(found.verdict)}: ${found.reason}.`);
    fill(list, found.findings.map((each) => finding(each, context, current)));
  }
  return { element, look };
}

function finding(each, context, current) {
  const over = each.until !== null;
  const kind = over ? "" : each.severity === "problem" ? "bad" : "warn";
  const rows = [["Evidence", sentence(each.evidence)], ["Likely cause", sentence(each.cause)], each.follows.length ? ["Also", each.follows.join(", ")] : null].filter(Boolean);
  const again = h("button", { type: "button", class: "small primary", disabled: context.about.read_only }, icon("play"), "Train anew with ", h("code", {}, each.remedy));
  again.addEventListener("click", async () => {
    busy(again, true);
    const job = await trying(async () => ask("/api/trainings", { body: await request(each.changes, current()) }));
    if (job) await follow(job, again, context);
    busy(again, false);
  });
  return h("article", { class: `finding ${kind}` }, h("h3", {}, h("span", { class: `tag ${kind}` }, over ? "Over" : sentence(each.severity)), " ", sentence(each.name), h("span", { class: "quiet" }, `, ${each.when}`)),
    h("p", {}, sentence(each.what)), h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])), over ? null : h("p", {}, again));
}

async function request(changes, status) {
  const again = await ask(`/api/runs/${encodeURIComponent(status.run)}/request`);
  return { ...again, recipe: changes.recipe ?? again.recipe, conditional: changes.conditional ?? again.conditional, options: { ...(changes.recipe ? pick(again.options) : again.options), ...changes.options, ...("steps" in changes.options ? { minutes: null } : {}) } };
}

const pick = ({ steps, minutes, seed }) => Object.fromEntries(Object.entries({ steps, minutes, seed }).filter(([, value]) => value !== undefined));
