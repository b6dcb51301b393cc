// Where a quiz begins: choose the forger and the clock, play, open a round for a class, or join one.

import { ask } from "../../lib/api.js";
import { h, say, uid } from "../../lib/dom.js";
import { busy, card, empty, field, heading, link, segmented, trying } from "../../lib/ui.js";
import * as kept from "./kept.js";

const CLOCKS = [["30", "30 s"], ["60", "60 s"], ["120", "2 min"], ["", "No clock"]];
const NOTES = { mnist: "Handwritten digits; comes along", "fashion-mnist": "Clothes; real ones must be on this machine" };

export async function lobby(root, context) {
  const { signal, go, query } = context;
  const there = (await ask("/api/quiz", { signal })).sort((a, b) => (b.name === "mnist") - (a.name === "mnist"));
  root.append(heading("Real or forged?", "Twenty pictures: some are real, some a generator made. A good forger leaves you no better than a coin."));
  if (!there.length) {
    root.append(empty("No forger yet", "Train one first: as soon as it has saved a checkpoint, you can play against it.", link("/train", "Train the first one", { class: "button primary" })));
    return;
  }
  const state = { seconds: "60" };
  const forger = forgers(there, query.get("run"));
  const start = h("button", { type: "submit", class: "primary wide" }, "Start");
  const open = h("button", { type: "button", class: "wide", onclick: () => begin(open, "table") }, "Open a round for a class");
  const refused = h("p", { class: "notice warn breaking", role: "alert", hidden: true });
  const form = h("form", { class: "stack", onsubmit: (event) => { event.preventDefault(); begin(start, "play"); } },
    forger.element,
    h("div", { class: "field" }, h("p", { class: "label", "aria-hidden": "true" }, "Time to think, for all twenty"), segmented("Time to think, for all twenty", CLOCKS, state.seconds, (value) => { state.seconds = value; })),
    h("p", { class: "hint quiz-keys" }, "Keys: ", h("kbd", {}, "R"), " or ", h("kbd", {}, "←"), " for real, ", h("kbd", {}, "F"), " or ", h("kbd", {}, "→"), " for forged. The clock stands still while you read what it was."),
    start, open, refused);
  root.append(h("div", { class: "quiz-lobby" }, card("Play", form), h("div", { class: "stack" }, joining(context), how())));

  async function begin(button, view) {
    const words = button.textContent;
    busy(button, true, "Drawing the pictures …");
    refused.hidden = true;
    const made = await ask("/api/quiz", { body: { ...forger.chosen(), seconds: state.seconds ? Number(state.seconds) : null }, signal }).catch((error) => {
      if (error.name === "AbortError") return;
      say(refused, error.message);
      refused.hidden = false;
      refused.scrollIntoView({ block: "center" });
    });
    if (made && view === "play") {
      const mine = await trying(() => ask(`/api/quiz/${made.code}/players`, { body: { name: kept.name() }, signal }));
      if (mine) kept.keepSecret(made.code, mine.player);
    }
    if (signal.aborted) return;
    busy(button, false, words);
    if (made) go(view === "table" ? `/quiz/${made.code}/table` : `/quiz/${made.code}`);
  }
}

/** The generators: those that come along as cards, runs in a list. */
function forgers(there, wanted) {
  const group = uid("forger");
  const own = there.filter((each) => each.run);
  const select = h("select", { "aria-label": "Which run", onchange: () => { radio.checked = true; } }, own.map((each) => h("option", { value: each.run }, each.run)));
  const radio = h("input", { type: "radio", name: group, value: "", disabled: !own.length });
  const cards = there.filter((each) => each.pretrained).map((each, index) =>
    h("label", { class: "choice" }, h("input", { type: "radio", name: group, value: each.pretrained, checked: index === 0 }), h("span", {}, h("b", {}, each.name), h("small", {}, NOTES[each.name] ?? "Comes along"))));
  const mine = own.length
    ? h("div", { class: "stack tight" }, h("label", { class: "choice" }, radio, h("span", {}, h("b", {}, "One of my runs"), h("small", {}, "As it is now"))), select)
    : h("p", { class: "hint" }, "A run of your own can be the forger as soon as it has a checkpoint: ", link("/train", "train one"), ".");
  if (wanted && own.some((each) => each.run === wanted)) { select.value = wanted; radio.checked = true; }
  const element = h("fieldset", { class: "stack tight" }, h("legend", { class: "label" }, "The forger"), h("div", { class: "choices" }, cards), mine);
  return {
    element,
    chosen() {
      const name = element.querySelector("input:checked")?.value ?? "";
      return name ? { pretrained: name } : { run: select.value };
    },
  };
}

function joining({ signal, go }) {
  const code = h("input", { type: "text", maxlength: 4, autocomplete: "off", autocapitalize: "characters", spellcheck: "false", class: "code-input", required: true });
  const said = h("p", { class: "hint", role: "status" });
  const form = h("form", { class: "stack", onsubmit: async (event) => {
    event.preventDefault();
    const given = code.value.trim().toUpperCase();
    if (!/^[A-Z]{4}$/.test(given)) { say(said, "A code has four letters."); code.focus(); return; }
    try {
      await ask(`/api/quiz/${given}`, { signal });
      go(`/quiz/${given}`);
    } catch (error) {
      if (error.name !== "AbortError") { say(said, `${error.message}.`.replace("..", ".")); code.select(); }
    }
  } }, field("Code", code), said, h("button", { type: "submit", class: "wide" }, "Join"));
  return card("Join a round", form);
}

const how = () => card("A class plays together",
  h("ol", { class: "steps quiet" },
    h("li", {}, "Open a round: a code of four letters appears, and the table."),
    h("li", {}, "Everybody opens this studio, types the code and a name, and plays the same pictures."),
    h("li", {}, "The table moves as they answer.")),
  h("p", { class: "hint" }, "For other computers, start it with ", h("code", {}, "gansmith studio --host 0.0.0.0"), " and give them the address that it prints."));

