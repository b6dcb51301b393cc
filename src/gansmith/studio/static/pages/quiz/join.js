// A round by its code: play it, see the result, or say first who plays.

import { ask } from "../../lib/api.js";
import { fill, h, say } from "../../lib/dom.js";
import { card, empty, field, heading, link } from "../../lib/ui.js";
import { amount } from "../../lib/words.js";
import * as kept from "./kept.js";
import { play } from "./play.js";
import { result } from "./result.js";
import { live } from "./table.js";

export const gone = () => empty("There is no such round", "The code may be mistyped, or the round is over: it ends two hours after the last look, and when the studio is restarted.", link("/quiz", "To the quiz", { class: "button primary" }));

export async function join(root, context, given) {
  const { signal } = context;
  const code = given.toUpperCase();
  let round;
  try {
    round = await ask(`/api/quiz/${encodeURIComponent(code)}`, { signal });
  } catch (error) {
    if (error.status !== 404) throw error;
    root.append(heading("Real or forged?"), gone());
    return;
  }
  const secret = kept.secret(code);
  if (secret) {
    const speak = speaker(code, secret, signal);
    try {
      const now = await speak("next", { method: "POST" });
      await (now.over ? result(root, context, round, speak) : play(root, context, round, speak, now));
      return;
    } catch (error) {
      if (error.status !== 403) throw error;
      kept.forget(code);
    }
  }
  form(root, context, round);
}

/** Speaks for one player of a round. */
export function speaker(code, secret, signal) {
  return (path, options = {}) => ask(`/api/quiz/${code}/${path}`, { ...options, headers: { "x-player": secret }, signal });
}

function form(root, context, round) {
  const { signal } = context;
  const name = h("input", { type: "text", maxlength: 24, autocomplete: "nickname", value: kept.name() });
  const said = h("p", { class: "hint", role: "status" });
  const clock = round.seconds ? `${round.seconds} seconds to think` : "no clock";
  const ask_ = async (event) => {
    event.preventDefault();
    try {
      const mine = await ask(`/api/quiz/${round.code}/players`, { body: { name: name.value }, signal });
      kept.keepName(name.value.trim());
      kept.keepSecret(round.code, mine.player);
      fill(root);
      await join(root, context, round.code);
    } catch (error) {
      if (error.name !== "AbortError") { say(said, `${error.message}.`); name.focus(); }
    }
  };
  root.append(heading(`Round ${round.code}`, `${amount(round.rounds, "picture")}, ${clock}. The forger is ${round.generator}; the real ones are ${round.real}.`),
    h("div", { class: "quiz-lobby" },
      card("Join", h("form", { class: "stack", onsubmit: ask_ }, field("Your name, as the table shows it", name), said, h("button", { type: "submit", class: "primary wide" }, "Play"))),
      live(round, context)));
  name.focus();
}
