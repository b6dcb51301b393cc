// A round for a class, as it is shown on the wall: the code, large, and the table.

import { ask } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { card, heading, link } from "../../lib/ui.js";
import { amount } from "../../lib/words.js";
import { gone } from "./join.js";
import * as kept from "./kept.js";
import { live } from "./table.js";

export async function board(root, context, given) {
  const code = given.toUpperCase();
  let round;
  try {
    round = await ask(`/api/quiz/${encodeURIComponent(code)}`, { signal: context.signal });
  } catch (error) {
    if (error.status !== 404) throw error;
    root.append(heading("Real or forged?"), gone());
    return;
  }
  const clock = round.seconds ? `${round.seconds} seconds to think` : "no clock";
  root.append(
    heading("Real or forged?", `${amount(round.rounds, "picture")}, ${clock}. The forger is ${round.generator}.`),
    h("div", { class: "quiz-board" },
      card("Join with this code", h("p", { class: "quiz-code", "aria-label": code.split("").join(" ") }, code),
        h("p", { class: "quiet" }, "Open the studio, choose Quiz, and type the code and a name."),
        h("p", { class: "hint" }, local() ? ["This studio listens to this computer alone: for others, start it with ", h("code", {}, "--host 0.0.0.0"), " and give them the address that it prints."] : "Others open the address that the studio printed once; it lets them in."),
        link(`/quiz/${code}`, kept.secret(code) ? "Back to my game" : "Play myself", { class: "button primary" })),
      live(round, context, { invite: false })));
}

const local = () => ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
