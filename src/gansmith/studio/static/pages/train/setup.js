// The form: data, recipe, length; beside it what the training will take and probably reach.

import { ask, newest } from "../../lib/api.js";
import { fill, h, icon, say } from "../../lib/dom.js";
import { busy, card, field, heading, link, segmented, toast, trying } from "../../lib/ui.js";
import { amount, duration, number, sentence, whole } from "../../lib/words.js";

const MINUTES = [1, 2, 5, 15];

export async function setup(root, context) {
  const { signal, about, query } = context;
  const [recipes, data, jobs, runs] = await Promise.all(["/api/recipes", "/api/data", "/api/trainings", "/api/runs"].map((path) => ask(path, { signal })));
  const trained = runs.filter((each) => each.step);
  const wish = {
    data: known(data, query.get("data")) ?? "mnist", recipe: recipes.find((each) => each.name === query.get("recipe"))?.name ?? "house",
    conditional: query.get("conditional") ? true : false, unit: query.get("steps") ? "steps" : "minutes",
    minutes: 2, steps: Number(query.get("steps")) || 2000, options: {}, seed: 0,
    from: trained.find((each) => each.run === query.get("from"))?.run ?? null,
  };
  const preview = dataPreview(signal);
  const plan = planCard();
  const start = h("button", { class: "primary wide", type: "button", disabled: about.read_only }, icon("play"), "Start training");
  const asked = () => ({
    data: wish.data, ...(wish.from ? { recipe: null, from_run: wish.from } : { recipe: wish.recipe, conditional: wish.conditional }),
    options: { ...wish.options, ...(wish.unit === "minutes" ? { minutes: wish.minutes } : { steps: wish.steps }), ...(wish.seed ? { seed: wish.seed } : {}) },
  });
  const calculate = newest(async () => {
    plan.wait();
    try {
      plan.show(await ask("/api/plan", { body: asked(), signal }), recipes.find((each) => each.name === (trained.find((run) => run.run === wish.from)?.recipe ?? wish.recipe)));
      start.disabled = about.read_only;
    } catch (error) {
      if (error.name === "AbortError") return;
      plan.refuse(error.message);
      start.disabled = true;
    }
  });
  let timer = 0;
  const changed = () => { clearTimeout(timer); timer = setTimeout(calculate, 200); };
  signal.addEventListener("abort", () => clearTimeout(timer));

  start.addEventListener("click", async () => {
    busy(start, true);
    const job = await trying(() => ask("/api/trainings", { body: asked() }));
    if (job) await follow(job, start, context);
    busy(start, false);
  });

  const labels = h("label", { class: "check" },
    h("input", { type: "checkbox", checked: wish.conditional, onchange: (event) => { wish.conditional = event.target.checked; changed(); } }),
    h("span", {}, "Learn the labels too, so that you can ask for a class"));
  const choose = (id) => { wish.data = id; preview.show(id, (found) => { labels.hidden = found.classes.length < 2 || Boolean(wish.from); if (labels.hidden) { wish.conditional = false; labels.querySelector("input").checked = false; } }); changed(); };
  const list = recipeList(recipes, wish.recipe, (name) => { wish.recipe = name; changed(); });
  const begin = beginning(trained, wish.from, (run) => { wish.from = run; list.hidden = Boolean(run); choose(wish.data); });
  list.hidden = Boolean(wish.from);
  const form = h("div", { class: "stack setup-form" },
    card("1 · Data", dataList(data, wish.data, choose, about), preview.element, labels),
    card("2 · Recipe", begin, list),
    card("3 · Length", lengthChoice(wish, changed), advanced(wish, changed)));
  const active = h("div", { class: "stack" });
  root.append(heading("Train", "Two networks learn against each other. The generator forges images; the discriminator tells forged from real. Choose what they learn from."),
    welcome(), active, h("div", { class: "setup" }, form, h("aside", { class: "stack setup-side", "aria-label": "What to expect" }, plan.element, start,
      about.read_only ? h("p", { class: "hint" }, "This studio only shows. Start it without --read-only to train.") : h("p", { class: "hint" }, "It trains in a process of its own: you may close this page, or stop the studio, and find it again."))));
  showActive(active, jobs);
  choose(wish.data);
  reveal(list, list.querySelector(":checked")?.closest("label"));
}

/** Scrolls the list to a choice below its end; the Tab key still begins at the top of the page, as after scrollIntoView it may not. */
function reveal(list, choice) {
  if (choice) list.scrollTop += Math.max(0, choice.getBoundingClientRect().bottom - list.getBoundingClientRect().bottom);
}

/** New networks, or those of a run: fine-tuning. Nothing where there is no run. */
function beginning(trained, from, chosen) {
  if (!trained.length) return null;
  const select = h("select", {}, h("option", { value: "" }, "New networks, which know nothing"), h("optgroup", { label: "The networks of a run, to train them further or on other data" },
    trained.map((each) => h("option", { value: each.run, selected: each.run === from }, `${each.run}, ${each.recipe} after ${whole(each.step)} steps`))));
  select.addEventListener("change", () => chosen(select.value || null));
  return field("Begin with", select);
}

const known = (data, id) => data.find((each) => each.id === id)?.id;

/** For whoever is here for the first time; gone for good once it was closed. */
function welcome() {
  try { if (localStorage.getItem("welcomed")) return ""; } catch { /* storage may be closed */ }
  const box = h("div", { class: "banner welcome" }, h("span", {}, h("b", {}, "New here? "), "See in five minutes what the two networks do to each other, and what can go wrong."),
    link("/game/tour", "Take the tour", { class: "button small" }), h("button", { type: "button", class: "ghost small", "aria-label": "Close", onclick: () => { box.remove(); try { localStorage.setItem("welcomed", "1"); } catch { /* as above */ } } }, "×"));
  return box;
}

function showActive(box, jobs) {
  const running = jobs.filter((job) => job.alive);
  const failed = jobs.slice(0, 1).filter((job) => !job.alive && job.error && !job.run);
  fill(box,
    running.map((job) => h("div", { class: "banner" }, h("span", { class: "tag live" }, "Training"), h("span", {}, job.run ?? `${job.recipe} on ${job.data}`),
      job.run ? link(`/train/${encodeURIComponent(job.run)}`, "Watch", { class: "button small" }) : h("span", { class: "quiet" }, "is getting ready"))),
    failed.map((job) => h("div", { class: "banner bad" }, h("span", { class: "tag bad" }, "Not started"), h("span", {}, sentence(job.error)))));
  box.hidden = !box.children.length;
}

/** Waits until a job has a run, and goes there. */
export async function follow(job, button, { signal, go }) {
  const label = button.textContent;
  while (!signal.aborted) {
    const now = await trying(() => ask(`/api/trainings/${job.id}`, { signal }));
    if (!now) break;
    if (now.run) { go(`/train/${encodeURIComponent(now.run)}`); return; }
    if (!now.alive) { toast(sentence(now.error || "the training ended before it began"), "error"); break; }
    const doing = now.doing ?? {};
    say(button, doing.total ? `${sentence(doing.what)}: ${whole(doing.done)} of ${whole(doing.total)}` : "Getting ready …");
    await new Promise((done) => setTimeout(done, 250));
  }
  fill(button, icon("play"), label);
}

function dataList(data, value, chosen, about) {
  const list = h("div", { class: "choices", role: "radiogroup", "aria-label": "Data" });
  const add = (each, checked) => list.append(h("label", { class: "choice" },
    h("input", { type: "radio", name: "data", value: each.id, checked, onchange: () => chosen(each.id) }),
    h("span", {}, h("b", {}, each.name), h("small", {}, { shipped: "comes along", uploaded: "uploaded", folder: "in your folder" }[each.kind]))));
  for (const each of data) add(each, each.id === value);
  if (about.read_only) return list;
  const input = h("input", { type: "file", accept: ".zip,application/zip", class: "visually-hidden", id: "zip" });
  const words = h("span", {}, h("b", {}, "Your own images"), h("small", {}, "drop a zip here, or choose one"));
  const zone = h("label", { class: "choice drop", for: "zip" }, icon("upload"), words);
  const send = async (file) => {
    if (!file) return;
    fill(words, h("b", {}, `Reading ${file.name} …`), h("small", {}, "it is checked before it is used"));
    const made = await trying(() => ask("/api/data/uploads", { raw: file, headers: { "x-name": file.name.replace(/[^\w.-]+/g, "-").slice(-100) } }));
    fill(words, h("b", {}, "Your own images"), h("small", {}, "drop a zip here, or choose one"));
    if (made) { zone.before(""); add(made, true); list.append(input, zone); chosen(made.id); }
    input.value = "";
  };
  input.addEventListener("change", () => send(input.files[0]));
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => { event.preventDefault(); zone.classList.remove("over"); send(event.dataTransfer.files[0]); });
  list.append(input, zone);
  return list;
}

function dataPreview(signal) {
  const picture = h("img", { class: "preview pixelated", alt: "", width: 698, height: 234, hidden: true });
  const words = h("p", { class: "hint" }, " ");
  const element = h("div", { class: "stack preview-box" }, h("div", { class: "preview-frame" }, picture), words);
  let last = null;
  return {
    element,
    async show(id, found) {
      last = id;
      element.classList.add("waiting");
      try {
        const about = await ask(`/api/data/${encodeURIComponent(id)}`, { signal });
        if (last !== id) return;
        picture.src = about.picture ?? "";
        picture.hidden = !about.picture;
        picture.alt = `48 images of ${about.name}`;
        const [channels, height, width] = about.shape ?? [];
        const parts = [about.shape && `${amount(about.count, "image")}, ${height}×${width}, ${channels === 1 ? "grey" : "colour"}`,
          about.classes.length ? amount(about.classes.length, "class") : "no labels", about.skipped ? `${about.skipped} left out (${about.problems[0]})` : null, ...about.notes];
        say(words, `${parts.filter(Boolean).join(" · ")}.`);
        found(about);
      } catch (error) {
        if (error.name !== "AbortError" && last === id) { picture.hidden = true; say(words, error.message); }
      } finally {
        if (last === id) element.classList.remove("waiting");
      }
    },
  };
}

function recipeList(recipes, value, chosen) {
  return h("div", { class: "choices recipes", role: "radiogroup", "aria-label": "Recipe" }, recipes.map((each) =>
    h("label", { class: "choice" }, h("input", { type: "radio", name: "recipe", value: each.name, checked: each.name === value, onchange: () => chosen(each.name) }),
      h("span", {}, h("b", {}, each.name), h("small", {}, sentence(each.note)), h("small", { class: "fine" }, `${each.author}${each.year ? ` ${each.year}` : ""}${each.generator === null ? "" : ` · ${short(each.generator)} + ${short(each.discriminator)} parameters`}`)))));
}

const short = (count) => (count >= 1e6 ? `${(count / 1e6).toFixed(1)} M` : `${Math.round(count / 1e3)} k`);

function lengthChoice(wish, changed) {
  const minutes = h("input", { type: "number", min: 0.1, max: 10000, step: "any", value: wish.minutes, "aria-label": "Minutes" });
  const steps = h("input", { type: "number", min: 1, max: 100000000, step: 1, value: wish.steps, "aria-label": "Steps" });
  const set = (input, name) => input.addEventListener("input", () => { const value = Number(input.value); if (value > 0) { wish[name] = name === "steps" ? Math.round(value) : value; changed(); } });
  set(minutes, "minutes");
  set(steps, "steps");
  const quick = h("span", { class: "row" }, MINUTES.map((each) => h("button", { type: "button", class: "small", onclick: () => { minutes.value = each; wish.minutes = each; changed(); } }, `${each} min`)));
  const byTime = h("div", { class: "row length" }, minutes, quick);
  const bySteps = h("div", { class: "row length" }, steps, h("span", { class: "hint" }, "updates of both players"));
  const show = () => { byTime.hidden = wish.unit !== "minutes"; bySteps.hidden = wish.unit !== "steps"; };
  show();
  return h("div", { class: "row" }, segmented("Length in", [["minutes", "Minutes"], ["steps", "Steps"]], wish.unit, (unit) => { wish.unit = unit; show(); changed(); }), byTime, bySteps);
}

function advanced(wish, changed) {
  const rows = h("div", { class: "stack" });
  const draw = () => fill(rows, Object.entries(wish.options).map(([name, value]) => h("p", { class: "row" }, h("code", {}, `${name} = ${JSON.stringify(value)}`),
    h("button", { type: "button", class: "small ghost", "aria-label": `Take back ${name}`, onclick: () => { delete wish.options[name]; draw(); changed(); } }, "Take back"))));
  const name = h("input", { type: "text", placeholder: "discriminator_optimizer.lr", spellcheck: "false", autocomplete: "off" });
  const value = h("input", { type: "text", placeholder: "1e-4", spellcheck: "false", autocomplete: "off" });
  const add = () => {
    if (!name.value.trim() || !value.value.trim()) { toast("Give a field's name and a value."); return; }
    let parsed = value.value.trim();
    try { parsed = JSON.parse(parsed); } catch { /* a word */ }
    wish.options[name.value.trim().replace(/^--/, "").replaceAll("-", "_")] = parsed;
    name.value = value.value = "";
    draw();
    changed();
  };
  const seed = h("input", { type: "number", min: 0, step: 1, value: 0 });
  seed.addEventListener("input", () => { wish.seed = Math.max(0, Math.round(Number(seed.value) || 0)); changed(); });
  return h("details", {}, h("summary", {}, "For those who know what they want"), h("div", { class: "stack inside" },
    field("Seed", seed, "Decides everything random: the same seed, the same images."),
    h("div", { class: "pair" }, field("Field of the recipe", name), field("Value", value), h("button", { type: "button", onclick: add }, "Change")), rows));
}

function planCard() {
  const words = h("p", { class: "big" }, " ");
  const fine = h("p", { class: "hint" }, " ");
  const facts = h("dl", { class: "facts" });
  const warnings = h("div", { class: "stack" });
  const layers = h("details", { hidden: true }, h("summary", {}, "Both networks, layer by layer"), h("div", { class: "stack inside" }));
  let patience = 0;
  const element = h("section", { class: "card plan", "aria-live": "polite" }, h("h2", {}, "What to expect"), words, fine, facts, warnings, layers);
  return {
    element,
    wait() {
      clearTimeout(patience);
      patience = setTimeout(() => { if (element.classList.contains("waiting")) { say(words, "Looking at the data …"); say(fine, "The first time with these data, some recipes sort them into kinds of images. That takes some seconds, once."); } }, 1800);
      element.classList.add("waiting"); element.setAttribute("aria-busy", "true"); if (!facts.children.length) say(words, "Measuring one step on this machine …");
    },
    refuse(message) { done(element); say(words, "This cannot be trained"); say(fine, message); fill(facts); fill(warnings); layers.hidden = true; },
    show(plan) {
      done(element);
      const { known: expected, twice } = plan;
      const longer = expected && !plan.expected;
      say(words, expected ? `${sentence(plan.words) || "Known ground"}${longer ? ", or better" : ""}` : "No forecast");
      say(fine, longer
        ? `Runs of ours had Fréchet distance about ${number(expected.middle, 2)} after ${whole(expected.steps)} steps${plan.floor ? `, where real images have ${number(plan.floor, 2)}` : ""}; nobody tried longer.`
        : expected ? `Fréchet distance about ${number(expected.middle, 2)}, between ${number(expected.low, 2)} and ${number(expected.high, 2)} in 8 of 10 runs${plan.floor ? `; real images have ${number(plan.floor, 2)}` : ""}. ${twice ? `Twice the time: about ${number(twice.middle, 2)}.` : "Nobody tried twice the time."}`
        : "None of our runs had these settings; the page will show how it goes.");
      const [channels, height, width] = plan.shape;
      const rows = [["Takes", duration(plan.seconds)], ["Steps", `${whole(plan.steps)}, of ${plan.batch_size} images`], ["Sees each image", `about ${number(plan.passes, 2)} times`],
        ["A step", `${number(plan.seconds_per_step * 1000, 2)} ms, ${number(plan.gflop, 2)} GFLOP`], ["Images", `${whole(plan.count)} of ${height}×${width}${channels === 3 ? ", colour" : ""}`], ["On", `${plan.device}, ${plan.precision}, ${amount(plan.threads, "thread")}`]];
      fill(facts, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
      fill(warnings, plan.warnings.map((each) => h("p", { class: "notice warn" }, sentence(each))));
      layers.hidden = false;
      fill(layers.querySelector(".inside"), table("Generator", plan.layers.generator), table("Discriminator", plan.layers.discriminator));
    },
  };
}

function done(element) {
  element.classList.remove("waiting");
  element.removeAttribute("aria-busy");
}

function table(name, rows) {
  const total = rows.reduce((sum, row) => sum + row.parameters, 0);
  return h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": `${name}, layer by layer` }, h("table", { class: "layers" }, h("caption", {}, `${name}: ${amount(total, "parameter")}`),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Layer"), h("th", { scope: "col" }, "Output"), h("th", { scope: "col", class: "n" }, "Parameters"))),
    h("tbody", {}, rows.map((row) => h("tr", {}, h("td", {}, row.layer), h("td", {}, row.output.join("×")), h("td", { class: "n" }, whole(row.parameters)))))));
}
