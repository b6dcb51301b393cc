// The table that all see: it moves as people answer.

import { listen } from "../../lib/api.js";
import { fill, h, say } from "../../lib/dom.js";
import { card, link } from "../../lib/ui.js";
import { amount, percent } from "../../lib/words.js";

/** A round's table as a card that is kept up to date. `first` is what was known last; `me` the name of who looks. */
export function live(first, { signal }, { invite = true, me = null } = {}) {
  const body = h("tbody");
  const words = h("p", { class: "hint quiz-count", role: "status" });
  const nobody = h("p", { class: "quiet" }, "Nobody plays yet. The first name appears here.");
  const lost = h("p", { class: "hint", hidden: true }, "The line to the studio is broken; it comes back by itself.");
  const heads = [["Place", "n place"], ["Name"], ["Right", "n"], ["Pictures"], ["Time", "n"]].map(([name, kind]) => h("th", { scope: "col", class: kind }, name));
  const box = h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Table" },
    h("table", { class: "quiz-table" }, h("caption", { class: "visually-hidden" }, "Who has how many right"), h("thead", {}, h("tr", {}, heads)), body));
  const element = card(h("span", { class: "row" }, "The table", h("code", {}, first.code)), box, nobody, words, lost,
    invite ? h("p", { class: "hint" }, "Others join with the code ", h("b", {}, first.code), "; ", link(`/quiz/${first.code}/table`, "the table large"), ".") : null);

  function draw(round) {
    const { players } = round;
    fill(body, players.map((each, index) => h("tr", { class: each.name === me ? "me" : null },
      h("td", { class: "n place" }, index + 1), h("th", { scope: "row" }, h("bdi", {}, each.name), each.name === me ? h("small", {}, " (you)") : null), h("td", { class: "n" }, h("b", {}, each.right)),
      h("td", {}, h("span", { class: "quiz-way" }, h("span", { class: "bar", "aria-hidden": "true", style: { "--share": each.answered / round.rounds } }, h("i")), h("small", {}, each.over ? (each.answered === round.rounds ? "done" : `ended at ${each.answered}`) : `${each.answered} of ${round.rounds}`))),
      h("td", { class: "n" }, `${each.spent.toFixed(1)} s`))));
    box.hidden = !players.length;
    nobody.hidden = Boolean(players.length);
    const done = players.filter((each) => each.over).length;
    const [right, all] = ["right", "answered"].map((name) => players.reduce((sum, each) => sum + each[name], 0));
    say(words, players.length ? `${amount(players.length, "player")}, ${done} finished${all ? `; ${percent(right / all)} of ${amount(all, "answer")} right, where guessing gives 50 %` : ""}` : "");
  }

  draw({ players: [], ...first });
  listen(`/api/quiz/${first.code}/live`, { heard: draw, lost: (on) => { lost.hidden = !on; }, signal });
  return element;
}
