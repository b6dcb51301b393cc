// The table of runs: sort by any column, choose some, put them side by side.

import { ask } from "../../lib/api.js";
import { fill, h, say } from "../../lib/dom.js";
import { empty, heading, link } from "../../lib/ui.js";
import { amount, duration, number, sentence, whole } from "../../lib/words.js";

const MOST = 6;
export const STATES = { training: ["live", "Training"], saving: ["warn", "Saving"], drawing: ["live", "Drawing"], finished: ["good", "Finished"], paused: ["warn", "Paused"], stopped: ["", "Stopped"], diverged: ["bad", "Diverged"], elsewhere: ["live", "Training"], broken: ["bad", "Broken off"], damaged: ["bad", "Damaged"] };
const VERDICTS = { "problems found": "bad", "near real": "good", healthy: "good" };
const beyond = (run) => run.quality?.beyond ?? (run.quality ? 1e6 + run.quality.distance : Infinity);
const COLUMNS = [
  ["Run", (run) => run.run, (run) => run.run, false],
  ["Data", (run) => run.data ?? "", (run) => run.data ?? "–", false, "roomy"],
  ["Recipe", (run) => run.recipe ?? "", (run) => run.recipe ?? "–", false, "two roomy"],
  ["Began", (run) => run.started ?? "", (run) => [(run.started ?? "–").slice(0, 10), h("small", {}, run.started?.slice(11, 16))], true, "two roomy"],
  ["Steps", (run) => run.step ?? -1, (run) => (run.step ? whole(run.step) : "–"), true, "n roomy"],
  ["Time", (run) => run.seconds ?? -1, (run) => duration(run.seconds), true, "n roomy"],
  ["Quality", beyond, null, false],
  ["Doctor", (run) => run.verdict ?? "~", null, false],
  ["State", (run) => run.state, null, false],
];

export async function table(root, context) {
  const { signal, go } = context;
  let runs = await ask("/api/runs", { signal });
  root.append(heading("Judge", "All your runs. Choose two or more to put them side by side; a difference smaller than the noise is called none."));
  if (!runs.length) {
    root.append(empty("No runs yet", "A run appears here as soon as a training begins, also one that a terminal started in this folder.", link("/train", "Train the first one", { class: "button primary" })));
    return;
  }
  const chosen = new Set();
  let [by, down] = [3, true];
  const body = h("tbody");
  const words = h("p", { class: "hint", "aria-live": "polite" });
  const button = h("button", { type: "button", class: "primary", disabled: true, onclick: () => go(`/judge/${[...chosen].map(encodeURIComponent).join("/")}`) }, "Put side by side");
  const heads = COLUMNS.map(([name, , , first, kind], index) => h("th", { scope: "col", class: kind }, h("button", { type: "button", class: "sort", onclick: () => { [by, down] = by === index ? [by, !down] : [index, first]; draw(); } }, name)));
  root.append(h("div", { class: "row between" }, words, button),
    h("div", { class: "card table-card" }, h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Runs" }, h("table", { class: "runs" }, h("caption", { class: "visually-hidden" }, "Runs"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "Choose")), heads)), body))));

  function tell() {
    button.disabled = chosen.size < 1;
    fill(button, chosen.size > 1 ? `Put ${amount(chosen.size, "run")} side by side` : "Look at it closely");
    say(words, chosen.size ? `${amount(chosen.size, "run")} chosen` : `${amount(runs.length, "run")}. Tick those that you want to compare.`);
  }

  function draw() {
    const [, key] = COLUMNS[by];
    const order = (a, b) => { const [x, y] = [key(a), key(b)]; return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1) || a.run.localeCompare(b.run); };
    heads.forEach((head, index) => { if (index === by) head.setAttribute("aria-sort", down ? "descending" : "ascending"); else head.removeAttribute("aria-sort"); });
    fill(body, [...runs].sort(order).map(row));
    tell();
  }

  function row(run) {
    const box = h("input", { type: "checkbox", checked: chosen.has(run.run), "aria-label": `Choose ${run.run}` });
    box.addEventListener("change", () => {
      if (box.checked && chosen.size >= MOST) { box.checked = false; say(words, `At most ${MOST} runs at once.`); return; }
      if (box.checked) chosen.add(run.run); else chosen.delete(run.run);
      line.classList.toggle("chosen", box.checked);
      tell();
    });
    const [kind, state] = STATES[run.state] ?? ["", run.state];
    const quality = run.quality ? [h("b", {}, sentence(run.quality.words) || run.quality.metric), h("small", {}, `${number(run.quality.distance, 2)}, real ${number(run.quality.floor, 2)}`)] : h("span", { class: "quiet" }, "not measured");
    const cells = COLUMNS.slice(1, 6).map(([, , shown, , className]) => h("td", { class: className }, shown(run)));
    const line = h("tr", { class: chosen.has(run.run) ? "chosen" : "" }, h("td", {}, box), h("th", { scope: "row" }, link(`/train/${encodeURIComponent(run.run)}`, run.run)), cells,
      h("td", { class: "two" }, quality), h("td", {}, run.verdict ? h("span", { class: `tag ${VERDICTS[run.verdict] ?? ""}` }, sentence(run.verdict)) : h("span", { class: "quiet" }, "–")), h("td", {}, h("span", { class: `tag ${kind}` }, state)));
    return line;
  }

  draw();
  const timer = setInterval(async () => {
    if (document.hidden || !runs.some((run) => ["training", "saving", "drawing", "elsewhere"].includes(run.state))) return;
    try {
      const next = await ask("/api/runs", { signal });
      if (JSON.stringify(next) !== JSON.stringify(runs) && !body.contains(document.activeElement)) { runs = next; draw(); }
    } catch { /* the next look may succeed */ }
  }, 3000);
  signal.addEventListener("abort", () => clearInterval(timer));
}
