// One run closely, or several side by side: what is more than noise, curves, sheets, what was set otherwise, and copies.

import { ask } from "../../lib/api.js";
import { chart } from "../../lib/charts.js";
import { h, icon, say } from "../../lib/dom.js";
import { sheets } from "../../lib/sheet.js";
import { alone, busy, card, heading, link, toast, trying } from "../../lib/ui.js";
import { number, percent, sentence, whole } from "../../lib/words.js";
import { nearest } from "./nearest.js";
import { STATES } from "./table.js";

const FEW = 12;
const COLORS = ["--d", "--g", "--real", "--held", "--warn", "--ink"];

export async function compare(root, context, names) {
  const { signal, about } = context;
  const wanted = names.map((each) => `run=${encodeURIComponent(each)}`).join("&");
  let found;
  try {
    found = await ask(`/api/compare?${wanted}`, { signal });
  } catch (error) {
    if (![404, 422].includes(error.status)) throw error;
    root.append(alone("These cannot be shown", error.message, link("/judge", "See all runs", { class: "button primary" })));
    return;
  }
  const { runs } = found;
  const many = runs.length > 1;
  const name = (index) => (many ? `${letter(index)} · ${runs[index].run}` : runs[index].run);
  const charts = [];
  signal.addEventListener("abort", () => charts.forEach((each) => each.destroy()));

  root.append(h("p", { class: "crumb" }, link("/judge", "Judge"), " / ", many ? `${runs.length} runs` : runs[0].run),
    heading(many ? "Side by side" : runs[0].run, many ? null : `${runs[0].recipe} on ${runs[0].data}, ${whole(runs[0].step ?? 0)} steps`),
    verdict(found, many, unmeasured()));
  const curvesOf = () => [card("Quality", curve("Fréchet distance from real images", "quality", "fd", { log: true, points: true })), card("The two players", curve("Forgeries that pass", "metrics", "generator_accuracy", { range: [0, 1], format: percent }))];
  if (many) root.append(h("div", { class: "columns", style: { "--n": runs.length } }, runs.map((run, index) => column(run, index))), measured(found, many), h("div", { class: "grid-2" }, curvesOf()));
  else root.append(h("div", { class: "grid-2" }, column(runs[0], 0), h("div", { class: "stack" }, curvesOf())), measured(found, many));
  root.append(many ? settings(found) : "", nearest(runs, name, context));

  function column(run, index) {
    const [kind, state] = STATES[run.state] ?? ["", run.state];
    const sheet = sheets({ alt: `What the same noise gives in ${run.run}`, signal });
    const base = `/api/runs/${encodeURIComponent(run.run)}`;
    if (run.sheets.length) sheet.set(run.sheets, (step) => `${base}/sheets/${step}.png`);
    const evaluate = h("button", { type: "button", class: "small", disabled: about.read_only }, "Evaluate");
    evaluate.addEventListener("click", async () => { if (await measure(evaluate, run.run)) context.go(location.pathname); else busy(evaluate, false, "Evaluate"); });
    return h("section", { class: "card", style: { "--tone": `var(${many ? COLORS[index] : "--line-strong"})` } },
      h("h2", { class: "lettered" }, many && h("i", {}, letter(index)), link(`/train/${encodeURIComponent(run.run)}`, run.run)),
      h("p", { class: "row" }, h("span", { class: `tag ${kind}` }, state), run.verdict && h("span", { class: "tag" }, `Doctor: ${run.verdict}`)),
      sheet.element, h("p", { class: "row" }, run.report ? h("a", { class: "button small", href: `${base}/report`, target: "_blank", rel: "noopener" }, "Report") : null, evaluate, link(`/game?run=${encodeURIComponent(run.run)}`, "Play on from here", { class: "button small" })));
  }

  /** Evaluates a run, with its progress on the button; whether it came to its end. */
  async function measure(button, run) {
    busy(button, true, `Measuring ${run} …`);
    const job = await trying(() => ask(`/api/runs/${encodeURIComponent(run)}/evaluation`, { method: "POST" }));
    while (job && !signal.aborted) {
      await new Promise((next) => setTimeout(next, 700));
      const now = await trying(() => ask(`/api/trainings/${job.id}`, { signal }));
      if (!now) return false;
      if (!now.alive) {
        toast(now.error ? sentence(now.error) : `${run} is evaluated.`, now.error ? "error" : "note");
        return !now.error && !signal.aborted;
      }
      if (now.doing?.total) say(button, `${sentence(now.doing.what)}: ${percent(now.doing.done / now.doing.total)}`);
    }
    return false;
  }

  /** A button that evaluates all runs that were not, so that something can be said; nothing where that would not help. */
  function unmeasured() {
    const left = runs.filter((_, index) => !found.evaluations[index]);
    if (!many || !left.length || about.read_only || found.metrics.verdict) return null;
    const words = `Evaluate ${left.length === 1 ? left[0].run : left.length === 2 ? "both" : `all ${left.length}`}`;
    const button = h("button", { type: "button", class: "small primary" }, words);
    button.addEventListener("click", async () => {
      for (const each of left) if (!(await measure(button, each.run))) { busy(button, false, words); return; }
      context.go(location.pathname);
    });
    return h("p", {}, button);
  }

  function curve(title, log, columnName, more) {
    const steps = [...new Set(runs.flatMap((run) => run.logs[log].step))].sort((a, b) => a - b);
    const place = new Map(steps.map((step, index) => [step, index]));
    const columns = runs.map((run) => {
      const values = steps.map(() => null);
      run.logs[log].step.forEach((step, index) => { values[place.get(step)] = run.logs[log][columnName][index]; });
      return values;
    });
    const floor = log === "quality" ? runs.find((run) => run.protocol)?.protocol.floor ?? null : null;
    const made = chart(title, { ...more, hint: log === "quality" ? "Measured while they trained; lower is better." : "Share of forgeries that the discriminator takes for real.", height: 210,
      series: runs.map((run, index) => ({ label: many ? letter(index) : run.run, color: many ? COLORS[index] : "--g", points: more.points })), lines: log === "quality" ? [{ label: "real images", color: "--real", value: floor }] : [] });
    if (log === "quality") made.empty("Not measured while training.");
    made.set(steps, columns);
    charts.push(made);
    return made.element;
  }
}

function verdict({ metrics }, many, help) {
  if (!many) return "";
  if (metrics.groups.length === 1) {
    return h("section", { class: "verdict" }, icon("judge"), h("div", {}, h("h2", {}, "The same training with different seeds"), h("p", {}, "They count as one: the figures below are their means, and ± is the spread from seed to seed. Compare them with another recipe's."),
      metrics.notes.map((each) => h("p", { class: "small" }, sentence(each)))));
  }
  const none = metrics.verdict === "no significant difference";
  const [kind, head] = !metrics.verdict ? ["", "Nothing can be said yet"] : none ? ["", "They differ by less than noise"] : ["good", metrics.verdict];
  const text = !metrics.verdict ? metrics.notes[0] ?? "They were not measured." : none
    ? "Their Fréchet distances lie closer together than two measurements of the same run may. Neither is better, as far as can be told."
    : "The difference of their Fréchet distances is more than twice the noise.";
  return h("section", { class: `verdict ${kind}` }, icon(none || !metrics.verdict ? "judge" : "check"), h("div", {}, h("h2", {}, head), h("p", {}, sentence(text)),
    metrics.notes.slice(metrics.verdict ? 0 : 1).map((each) => h("p", { class: "small" }, sentence(each))), help));
}

function measured({ runs, metrics, evaluations }, many) {
  const apart = metrics.groups.length > 1;
  const alone = metrics.groups.length === runs.length;
  const own = !many && evaluations[0];
  const lines = own ? own.figures.map((each) => ({ name: each.name, better: each.better, values: [each.value], noise: [each.spread], floor: each.floor, words: each.words, best: [], verdict: "" })) : metrics.lines;
  if (!lines.length && runs.some((run) => run.quality)) return apiece(runs);
  if (!lines.length) return card("Figures", h("p", { class: "hint" }, "Not measured yet. “Evaluate” measures a run with 10,000 images; while a run trains, it is measured now and then."));
  const heads = many ? metrics.groups.map((each) => (alone ? each.letter : each.name)) : ["Value"];
  const best = (line, index) => line.best.length && line.best.length < metrics.groups.length && line.best.includes(metrics.groups[index].name);
  return h("section", { class: "card" }, h("h2", {}, metrics.of === "evaluation" || own ? "Figures of the evaluation" : "Figures, as measured while training"),
    many && alone ? h("p", { class: "hint" }, metrics.groups.map((each) => `${each.letter}: ${each.name}`).join(" · ")) : "",
    h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Figures" }, h("table", {}, h("caption", { class: "visually-hidden" }, "Figures"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Metric"), heads.map((each) => h("th", { scope: "col", class: "n" }, each)), h("th", { scope: "col", class: "n" }, "Real images"), h("th", { scope: "col" }, "Better"), apart && h("th", { scope: "col" }, "Which"))),
      h("tbody", {}, lines.map((line) => h("tr", {}, h("th", { scope: "row" }, line.name), line.values.map((value, index) => h("td", { class: `n ${best(line, index) ? "best" : ""}` }, number(value), line.noise[index] ? h("small", { class: "quiet" }, ` ± ${number(line.noise[index], 2)}`) : "")), h("td", { class: "n" }, number(line.floor)), h("td", {}, line.better), apart && h("td", {}, line.verdict.startsWith("no ") ? sentence(line.verdict) : line.verdict)))))));
}

/** What each run was measured at, where the measurements cannot be compared. */
function apiece(runs) {
  const cell = (value) => h("td", { class: "n" }, number(value));
  return h("section", { class: "card" }, h("h2", {}, "Figures, as each was measured"), table("Figures", ["Run", "Metric", "Distance", "Real images", "Images", "In words"], runs.map((run, index) => {
    const q = run.quality;
    return h("tr", {}, h("th", { scope: "row" }, `${letter(index)} · ${run.run}`), q ? [h("td", {}, q.metric), cell(q.distance), cell(q.floor), cell(q.samples), h("td", {}, sentence(q.words))] : h("td", { colspan: 5, class: "quiet" }, "not measured"));
  }), [2, 3, 4]));
}

const letter = (index) => String.fromCharCode(65 + index);

/** A table in a box of its own, which scrolls where it is too wide. `numbers` are the columns of numbers. */
function table(name, heads, rows, numbers = []) {
  return h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": name }, h("table", {}, h("caption", { class: "visually-hidden" }, name),
    h("thead", {}, h("tr", {}, heads.map((each, index) => h("th", { scope: "col", class: numbers.includes(index) ? "n" : "" }, each)))), h("tbody", {}, rows)));
}

function settings({ differences, runs }) {
  const body = differences.map((each) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, each.field)), each.values.map((value) => h("td", {}, value === null ? "–" : typeof value === "number" ? number(value, 4) : String(value)))));
  const all = () => table("Differences of configuration", ["Field", ...runs.map((run, index) => `${letter(index)} · ${run.run}`)], body);
  const words = differences.some((each) => each.field === "recipe.name") ? `Different recipes: ${body.length} fields differ.` : `${body.length} fields differ.`;
  return card("What was set otherwise", !body.length ? h("p", { class: "hint" }, "Nothing: the same recipe, data, seed and length.")
    : body.length <= FEW ? all() : h("details", {}, h("summary", {}, words), h("div", { class: "inside" }, all())));
}
