// The sheet of the fixed noise with a slider through time.

import { h, say, uid } from "./dom.js";
import { icon } from "./ui.js";
import { whole } from "./words.js";

/** {element, set(steps, url), moved(callback)}: shows the newest sheet until somebody goes back in time. */
export function sheets({ alt, signal }) {
  const image = h("img", { class: "sheet pixelated", alt: "", width: 600, height: 600, hidden: true });
  const frame = h("div", { class: "sheet-frame" }, image, h("p", { class: "plot-empty" }, "The first sheet is being drawn"));
  const slider = h("input", { type: "range", min: 0, max: 0, value: 0, id: uid("time"), disabled: true });
  const label = h("label", { for: slider.id, class: "small" }, "Step –");
  const play = h("button", { type: "button", class: "small", "aria-label": "Play from the start", disabled: true }, icon("play"));
  const element = h("div", { class: "stack" }, frame, h("div", { class: "time" }, play, slider), label);
  let steps = [];
  let address = null;
  let following = true;
  let timer = 0;
  const loaded = new Map();
  let moved = () => {};

  function picture(step) {
    if (!loaded.has(step)) {
      const made = new Image();
      made.src = address(step);
      loaded.set(step, made);
    }
    return loaded.get(step);
  }

  async function show() {
    const step = steps[Number(slider.value)];
    if (step === undefined) return;
    const wanted = picture(step);
    try { await wanted.decode(); } catch { loaded.delete(step); return; }
    if (steps[Number(slider.value)] !== step) return;
    image.src = wanted.src;
    image.width = wanted.naturalWidth;
    image.height = wanted.naturalHeight;
    image.hidden = false;
    frame.classList.add("there");
    image.alt = `${alt} at step ${whole(step)}`;
    const words = `Step ${whole(step)}${following && steps.length > 1 ? ", the newest" : ""}${step === 0 ? ", before any training" : ""}`;
    say(label, words);
    slider.setAttribute("aria-valuetext", words);
    moved(step);
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    play.setAttribute("aria-label", "Play from the start");
    play.replaceChildren(icon("play"));
  }

  slider.addEventListener("input", () => { stop(); following = Number(slider.value) === steps.length - 1; show(); });
  play.addEventListener("click", () => {
    if (timer) { stop(); return; }
    play.setAttribute("aria-label", "Stop");
    play.replaceChildren(icon("pause"));
    slider.value = 0;
    following = false;
    show();
    timer = setInterval(() => {
      if (Number(slider.value) >= steps.length - 1) { following = true; stop(); show(); return; }
      slider.value = Number(slider.value) + 1;
      show();
    }, 260);
  });
  signal.addEventListener("abort", stop);

  return {
    element,
    set(next, url) {
      address = url;
      steps = next;
      slider.max = Math.max(0, steps.length - 1);
      slider.disabled = play.disabled = steps.length < 2;
      if (following) slider.value = slider.max;
      for (const step of steps) picture(step);
      show();
    },
    moved(callback) { moved = callback; },
  };
}
