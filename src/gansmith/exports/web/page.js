"use strict";
(() => {
  const byId = (id) => document.getElementById(id), facts = JSON.parse(byId("facts").textContent);
  const model = JSON.parse(byId("model").textContent);
  model.weights = byId("weights").textContent.trim();
  Gansmith.plain = location.hash === "#plain"; // the engine without WebAssembly, to compare
  const g = Gansmith(model), told = model.conditions > 0, MOST = 10000;
  const columns = model.turns > 1 && model.turns <= 12 ? model.turns : 10, COUNT = columns * (columns > 7 ? 6 : 8);
  const directions = facts.directions.map((each) => ({ name: each.name, z: Float32Array.from(each.z) }));
  const strengths = directions.map(() => 0);
  let seed = 0, first = 0, only = null, wall = [], chosen = null, ends = [null, null];

  // Points: noise, and the vector of what the generator is told beside it.
  function point(index, choice = only) {
    const label = g.label(index, choice);
    return { seed, index, z: g.latent(seed, index), label, told: told ? g.vector(label) : null };
  }
  const classOf = (label) => (model.made ? label : Math.floor(label / Math.max(1, model.kinds)));
  const className = (label) => (told && model.turns > 1 ? model.classes[classOf(label)] : "");
  function moved(z) {
    const to = Float32Array.from(z);
    directions.forEach((each, k) => { if (strengths[k]) for (let i = 0; i < to.length; i++) to[i] += strengths[k] * each.z[i]; });
    return to;
  }
  function between(a, b, t, sphere) { // along the sphere where the noise is normal, else straight
    const to = new Float32Array(a.length), center = sphere ? model.noise.center * 1 : 0;
    let aa = 0, bb = 0, ab = 0;
    for (let i = 0; i < a.length; i++) { const x = a[i] - center, y = b[i] - center; aa += x * x; bb += y * y; ab += x * y; }
    const angle = Math.acos(Math.max(-1, Math.min(1, ab / Math.sqrt(aa * bb || 1))));
    let [p, q] = [1 - t, t];
    if (sphere && angle > 1e-4 && angle < Math.PI - 1e-4) {
      [p, q] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
      const length = Math.sqrt(aa) * (1 - t) + Math.sqrt(bb) * t;
      p *= length / Math.sqrt(aa); q *= length / Math.sqrt(bb);
    }
    for (let i = 0; i < a.length; i++) to[i] = center + p * (a[i] - center) + q * (b[i] - center);
    return to;
  }
  const make = (points) => g.images(points.map((each) => each.z), told ? points.map((each) => each.told) : null);
  function draw(canvas, data) {
    if (canvas.width !== g.size) canvas.width = canvas.height = g.size;
    canvas.getContext("2d").putImageData(data, 0, 0);
  }
  const show = (canvas, each) => draw(canvas, g.picture(make([each]), 0));
  const describe = (each) => `image ${each.index} of seed ${each.seed}${className(each.label) ? `: ${className(each.label)}` : ""}`;

  // The wall, made in slices so that the page answers meanwhile.
  let filling = 0;
  function fill() {
    const mine = ++filling, from = only === null ? first : first;
    wall = Array.from({ length: COUNT }, (_, i) => point(from + i));
    byId("range").textContent = `${first} to ${first + COUNT - 1}`;
    byId("before").disabled = first === 0;
    byId("after").disabled = first + 2 * COUNT > MOST;
    const tiles = [...byId("wall").children];
    tiles.forEach((tile, i) => tile.setAttribute("aria-label", describe(wall[i])));
    mark();
    paint(mine, tiles, 0);
  }
  function paint(mine, tiles, at) {
    if (mine !== filling) return;
    const end = performance.now() + 12, together = byId("together").checked;
    while (at < COUNT && performance.now() < end) {
      const part = wall.slice(at, at + model.batch).map((each) => (together ? { ...each, z: moved(each.z) } : each)), made = make(part);
      part.forEach((_, i) => draw(tiles[at + i].firstChild, g.picture(made, i)));
      at += part.length;
    }
    if (at < COUNT) requestAnimationFrame(() => paint(mine, tiles, at));
  }
  function mark() {
    [...byId("wall").children].forEach((tile, i) => {
      const is = chosen && wall[i].seed === chosen.seed && wall[i].index === chosen.index;
      tile.setAttribute("aria-pressed", is ? "true" : "false");
    });
  }
  function choose(each) {
    if (!byId("together").checked) strengths.fill(0);
    chosen = { ...each };
    sliders();
    mark();
    work();
  }
  const current = () => ({ ...chosen, z: moved(chosen.z) });
  function work() {
    byId("where").textContent = describe(chosen)[0].toUpperCase() + describe(chosen).slice(1);
    show(byId("large"), current());
    byId("large").setAttribute("aria-label", `The chosen image: ${describe(chosen)}`);
    document.querySelectorAll("#labels button").forEach((button, k) => button.setAttribute("aria-pressed", String(k === classOf(chosen.label))));
    if (byId("together").checked) paint(++filling, [...byId("wall").children], 0);
  }
  function sliders() {
    document.querySelectorAll("#sliders input").forEach((input, k) => {
      input.value = strengths[k];
      input.nextElementSibling.textContent = strengths[k].toFixed(1);
    });
  }
  for (let i = 0; i < COUNT; i++) {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.tabIndex = i ? -1 : 0;
    tile.append(document.createElement("canvas"));
    tile.addEventListener("click", () => { focusOn(i, false); choose(wall[i]); });
    byId("wall").append(tile);
  }
  if (columns === 10) byId("wall").classList.add("classes");
  function focusOn(i, move = true) {
    [...byId("wall").children].forEach((tile, k) => { tile.tabIndex = k === i ? 0 : -1; });
    if (move) byId("wall").children[i].focus();
  }
  byId("wall").addEventListener("keydown", (event) => {
    const i = [...byId("wall").children].indexOf(document.activeElement);
    const across = getComputedStyle(byId("wall")).gridTemplateColumns.split(" ").length;
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1, ArrowDown: i + across, ArrowUp: i - across, Home: 0, End: COUNT - 1 }[event.key];
    if (i < 0 || to === undefined || to < 0 || to >= COUNT) return;
    event.preventDefault();
    focusOn(to);
  });
  byId("before").addEventListener("click", () => { first = Math.max(0, first - COUNT); fill(); });
  byId("after").addEventListener("click", () => { first += COUNT; fill(); });
  byId("seed").addEventListener("change", (event) => {
    const value = Math.floor(Number(event.target.value));
    seed = Number.isSafeInteger(value) && value >= 0 ? value : 0;
    event.target.value = seed;
    first = 0;
    fill();
    choose(wall[0]);
  });
  byId("surprise").addEventListener("click", () => {
    byId("seed").value = Math.floor(Math.random() * 1e6);
    byId("seed").dispatchEvent(new Event("change"));
  });
  byId("class")?.addEventListener("change", (event) => {
    only = event.target.value === "" ? null : Number(event.target.value);
    first = 0;
    fill();
    choose(wall[0]);
  });

  // Sliders and labels.
  directions.forEach((each, k) => {
    const label = document.createElement("label"), name = document.createElement("span"), input = document.createElement("input"), output = document.createElement("output");
    name.textContent = each.name;
    Object.assign(input, { type: "range", min: -3, max: 3, step: 0.05, value: 0 });
    output.textContent = "0.0";
    input.addEventListener("input", () => {
      strengths[k] = Number(input.value);
      output.textContent = strengths[k].toFixed(1);
      work();
    });
    label.append(name, input, output);
    byId("sliders").append(label);
  });
  if (byId("labels")) {
    const row = document.createElement("div");
    model.classes.forEach((name, k) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => {
        const kinds = Math.max(1, model.kinds);
        chosen.label = model.made ? k : k * kinds + (chosen.label % kinds);
        chosen.told = g.vector(chosen.label);
        work();
      });
      row.append(button);
    });
    byId("labels").append(row);
  }
  byId("reset").addEventListener("click", () => {
    strengths.fill(0);
    const at = wall.find((each) => each.index === chosen.index && each.seed === chosen.seed);
    if (at) chosen = { ...at };
    sliders();
    work();
  });
  byId("together").addEventListener("change", () => paint(++filling, [...byId("wall").children], 0));
  function keep(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  byId("save").addEventListener("click", () => {
    const canvas = document.createElement("canvas"), times = Math.max(1, Math.floor(560 / g.size));
    canvas.width = canvas.height = g.size * times;
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(byId("large"), 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => keep(`${model.name}-${chosen.seed}-${chosen.index}.png`, blob));
  });

  // The film.
  let playing = false, begun = 0, frames = 0, shownAt = 0, clock = 0, way = 1;
  const sphere = model.noise.distribution === "normal";
  const mixed = (a, b, t) => ({ z: between(a.z, b.z, t, sphere), told: told ? between(a.told, b.told, t, true) : null });
  function frame() {
    const t = Number(byId("place").value);
    byId("place-text").textContent = `${Math.round(100 * t)} %`;
    show(byId("between"), mixed(ends[0], ends[1], t));
  }
  function setEnd(which, each) {
    ends[which] = each;
    show(byId(which ? "to" : "from"), each);
  }
  byId("set-from").addEventListener("click", () => { setEnd(0, current()); frame(); });
  byId("set-to").addEventListener("click", () => { setEnd(1, current()); frame(); });
  byId("place").addEventListener("input", () => { stop(); frame(); });
  function stop() {
    playing = false;
    byId("play").textContent = "Play";
    byId("play").setAttribute("aria-pressed", "false");
  }
  byId("play").addEventListener("click", () => {
    if (playing) return stop();
    playing = true;
    byId("play").textContent = "Pause";
    byId("play").setAttribute("aria-pressed", "true");
    begun = shownAt = clock = performance.now();
    frames = 0;
    requestAnimationFrame(tick);
  });
  function tick(now) {
    if (!playing) return;
    let t = Number(byId("place").value) + (way * Math.min(100, now - clock)) / 2500;
    clock = now;
    if (byId("through").checked) {
      way = 1;
      if (t >= 1) {
        t = 0;
        const at = wall.findIndex((each) => ends[1].index === each.index && ends[1].seed === each.seed);
        setEnd(0, ends[1]);
        setEnd(1, wall[(at + 1) % COUNT]);
      }
    } else if (t >= 1 || t <= 0) {
      way = t >= 1 ? -1 : 1;
      t = Math.max(0, Math.min(1, t));
    }
    byId("place").value = t;
    frame();
    frames++;
    if (now - shownAt > 1000) {
      byId("rate").textContent = `${Math.round((1000 * frames) / (now - shownAt))} frames a second`;
      shownAt = now;
      frames = 0;
    }
    requestAnimationFrame(tick);
  }

  // The quiz.
  const ROUNDS = 10;
  let round = 0, right = 0, answer = null, deck = [];
  function chance(k, n) { // of as many right answers, or more, by guessing
    let sum = 0;
    for (let i = k, c; i <= n; i++) {
      c = 1;
      for (let j = 0; j < i; j++) c = (c * (n - j)) / (j + 1);
      sum += c;
    }
    return sum / 2 ** n;
  }
  function ask() {
    if (round === 0) {
      right = 0;
      byId("marks").replaceChildren();
      byId("answer").textContent = "";
      deck = Array.from({ length: facts.real.count }, (_, i) => i).sort(() => Math.random() - 0.5);
      ["real", "forged"].forEach((id) => { byId(id).disabled = false; });
    }
    byId("round").textContent = `Image ${round + 1} of ${ROUNDS}`;
    const forged = Math.random() < 0.5, size = g.size * g.size * g.channels;
    const pixels = forged ? make([drawn()]) : realPixels.subarray(deck[round] * size, (deck[round] + 1) * size);
    answer = { forged, data: g.picture(pixels, 0) };
    draw(byId("question"), answer.data);
  }
  function drawn() {
    const index = Math.floor(Math.random() * MOST), from = Math.floor(Math.random() * 1e9), label = g.label(index, null);
    return { z: g.latent(from, index), told: told ? g.vector(label) : null };
  }
  function reply(forged) {
    if (!answer || round >= ROUNDS) return;
    const good = forged === answer.forged;
    right += good ? 1 : 0;
    const item = document.createElement("li"), canvas = document.createElement("canvas");
    draw(canvas, answer.data);
    item.className = good ? "right" : "wrong";
    item.dataset.mark = good ? "✓" : "✗";
    item.setAttribute("aria-label", `${answer.forged ? "forged" : "real"}: you were ${good ? "right" : "wrong"}`);
    item.append(canvas);
    byId("marks").append(item);
    byId("answer").textContent = `${good ? "Right" : "Wrong"}: it is ${answer.forged ? "forged" : "real"}.`;
    round++;
    if (round < ROUNDS) return ask();
    const lucky = chance(right, ROUNDS);
    byId("round").textContent = `${right} of ${ROUNDS} right`;
    byId("answer").textContent = lucky < 0.05 ? "Better than guessing: you have an eye for forgeries." : right < 3 ? "You saw the difference, and read it the wrong way round." : "That is what guessing gives: the forgeries pass.";
    byId("real").disabled = true;
    byId("forged").disabled = true;
    const again = document.createElement("button");
    again.type = "button";
    again.textContent = "Play again";
    again.addEventListener("click", () => { round = 0; ask(); byId("real").focus(); });
    byId("answer").append(" ", again);
    again.focus();
  }
  let realPixels = null;
  if (facts.real) {
    const letters = atob(byId("real-pixels").textContent.trim());
    realPixels = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    byId("real").addEventListener("click", () => reply(false));
    byId("forged").addEventListener("click", () => reply(true));
    document.addEventListener("keydown", (event) => {
      if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
      const box = byId("quiz").getBoundingClientRect();
      if (box.bottom < 0 || box.top > innerHeight) return;
      if (event.key === "r" || event.key === "R") reply(false);
      if (event.key === "f" || event.key === "F") reply(true);
    });
    ask();
  }

  // For artists.
  window.gansmith = g;
  window.generate = g.generate;
  byId("engine").addEventListener("click", () => {
    const text = `${byId("engine-source").textContent}\nconst GANSMITH_MODEL = ${JSON.stringify(model)};\n`;
    keep(`${model.name}.js`, new Blob([text], { type: "text/javascript" }));
  });

  // Light and dark.
  byId("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });

  byId("about").textContent = g.simd ? "" : "This browser computes without SIMD, which is slower.";
  const start = performance.now();
  fill();
  choose(wall[0]);
  setEnd(0, wall[0]);
  setEnd(1, wall[Math.min(COUNT - 1, 3)]);
  frame();
  document.documentElement.dataset.ready = String(Math.round(performance.now() - start));
})();
