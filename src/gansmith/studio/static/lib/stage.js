// What both the game and its tour draw: images with their scores, and the histogram of all scores.

import { h, say } from "./dom.js";
import { percent } from "./words.js";

const REACH = 8;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const GROUPS = [["real", "real images", "--real"], ["held", "real, never seen", "--held"], ["forged", "forgeries", "--g"]];

/** Bytes of base64. */
export const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** The images of a frame as one ImageBitmap, 8 to a row. */
export const bitmap = (frame) => createImageBitmap(new Blob([bytes(frame.images)], { type: "image/png" }));

/** Images with scores: `show(frame, bitmap, {changes})`. `first` and `count` say which of the frame's images. */
export function wall({ kind, first, count, label }) {
  const cells = Array.from({ length: count }, (_, index) => {
    const canvas = h("canvas", { width: 28, height: 28, class: "pixelated", role: "img", "aria-label": `${label} ${index + 1}` });
    const score = h("figcaption", {}, "–");
    return { canvas, score, figure: h("figure", { class: "cell" }, canvas, score) };
  });
  const element = h("div", { class: `wall ${kind}` }, cells.map((each) => each.figure));
  return {
    element,
    show(frame, picture, { changes = false } = {}) {
      const [size] = frame.size;
      const slopes = changes && frame.changes && kind === "forged" ? new Int8Array(bytes(frame.changes.values).buffer) : null;
      cells.forEach(({ canvas, score, figure }, index) => {
        const at = first + index;
        if (canvas.width !== size) canvas.width = canvas.height = size;
        const pen = canvas.getContext("2d", { willReadFrequently: true });
        pen.drawImage(picture, (at % 8) * size, Math.floor(at / 8) * size, size, size, 0, 0, size, size);
        if (slopes) overlay(pen, slopes, index, size);
        const p = (kind === "forged" ? frame.forged : frame.real)[index];
        say(score, percent(p));
        score.className = p >= 0.5 ? "passes" : "caught";
        figure.style.setProperty("--p", p);
        canvas.setAttribute("aria-label", `${label} ${index + 1}: real with ${percent(p)}, says the detective`);
      });
    },
  };
}

/** Draws over an image where it would be made brighter (orange) and darker (blue) to pass. */
function overlay(pen, slopes, index, size) {
  const image = pen.getImageData(0, 0, size, size);
  for (let pixel = 0; pixel < size * size; pixel += 1) {
    const wish = slopes[index * size * size + pixel] / 127;
    const strength = Math.min(1, Math.abs(wish) ** 0.85);
    const tint = wish > 0 ? [255, 150, 70] : [70, 140, 255];
    for (let c = 0; c < 3; c += 1) image.data[4 * pixel + c] = image.data[4 * pixel + c] * (1 - strength) * 0.55 + tint[c] * strength;
  }
  pen.putImageData(image, 0, 0);
}

/** The histogram of the detective's scores, moving from frame to frame. */
export function scores({ signal, height = 230 }) {
  const canvas = h("canvas", { class: "scores", role: "img", "aria-label": "The detective's scores, as soon as there are some", style: { "--h": `${height}px` } });
  const values = new Map(GROUPS.map(([name]) => [name, h("b", {}, "–")]));
  const legend = h("p", { class: "legend" }, GROUPS.map(([name, words, color]) => h("span", { data: { group: name } }, h("i", { style: { "--c": `var(${color})` } }), words, " ", values.get(name))));
  const element = h("div", { class: "stack tight" }, canvas, legend);
  let now = null;
  let goal = null;
  let moving = 0;

  function draw() {
    const ratio = devicePixelRatio || 1;
    const [width, tall] = [canvas.clientWidth, height];
    if (!width || !now) return;
    if (canvas.width !== Math.round(width * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(tall * ratio); }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, tall);
    const [left, right, top, base] = [8, width - 8, 12, tall - 40];
    const bins = now.real.length;
    const x = (odds) => left + ((odds + REACH) / (2 * REACH)) * (right - left);
    pen.fillStyle = css("--sunken");
    pen.fillRect(x(0), top - 6, right - x(0), base - top + 6);
    pen.strokeStyle = css("--line-strong");
    pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(left, base + 0.5); pen.lineTo(right, base + 0.5); pen.moveTo(x(0), top - 6); pen.lineTo(x(0), base + 5); pen.stroke();
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = css("--quiet");
    const texts = [[-REACH, "left", "0 %"], [-2.944, "center", "5 %"], [0, "center", "50 %"], [2.944, "center", "95 %"], [REACH, "right", "100 %"]];
    for (const [odds, align, text] of texts) { pen.textAlign = align; pen.fillText(text, x(odds), base + 17); }
    pen.textAlign = "left"; pen.fillText("← surely forged", left, base + 34);
    pen.textAlign = "right"; pen.fillText("surely real →", right, base + 34);
    for (const [name, , color] of GROUPS) {
      const column = now[name];
      if (!column) continue;
      const step = (right - left) / bins;
      pen.beginPath();
      pen.moveTo(left, base);
      column.forEach((each, index) => { const y = base - Math.sqrt(Math.min(1, each)) * (base - top); pen.lineTo(left + index * step, y); pen.lineTo(left + (index + 1) * step, y); });
      pen.lineTo(right, base);
      const tone = css(color);
      pen.globalAlpha = name === "held" ? 0 : 0.22;
      pen.fillStyle = tone; pen.fill();
      pen.globalAlpha = 1;
      pen.setLineDash(name === "held" ? [4, 3] : []);
      pen.strokeStyle = tone; pen.lineWidth = 2; pen.stroke();
      pen.setLineDash([]);
    }
  }

  function move() {
    let left = 0;
    for (const name of Object.keys(goal)) now[name] = goal[name].map((each, index) => { const from = now[name]?.[index] ?? 0; const next = from + (each - from) * 0.35; left = Math.max(left, Math.abs(each - next)); return next; });
    draw();
    moving = left > 0.002 ? requestAnimationFrame(move) : 0;
  }

  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const observer = new ResizeObserver(draw);
  observer.observe(canvas);
  window.addEventListener("themed", draw, { signal });
  signal.addEventListener("abort", () => { observer.disconnect(); cancelAnimationFrame(moving); });

  return {
    element,
    show(frame) {
      goal = frame.histograms;
      if (!now || calm.matches) { now = structuredClone(goal); draw(); }
      else if (!moving) moving = requestAnimationFrame(move);
      for (const [name, box] of values) {
        const right = frame.right[name];
        box.parentElement.hidden = right === undefined;
        if (right !== undefined) say(box, name === "forged" ? `${percent(1 - right)} pass` : `${percent(right)} believed`);
      }
      canvas.setAttribute("aria-label", `The detective's scores at step ${frame.step}: it believes ${percent(frame.right.real)} of real images, ${frame.right.held === undefined ? "" : `${percent(frame.right.held)} of real images that it never saw, `}and ${percent(1 - frame.right.forged)} of forgeries.`);
    },
  };
}

/** What can be seen in a frame, in plain words. */
export function told(frame) {
  const passes = 1 - frame.right.forged;
  const believed = frame.right.real;
  const unseen = frame.right.held;
  if (frame.learned && frame.learned.discriminator + frame.learned.generator === 0 && frame.step === 0) return ["Nobody has learned anything yet", "The forger turns noise into noise, and the detective guesses. Let both learn, or one alone."];
  if (unseen !== undefined && believed - unseen > 0.08) return ["The detective learns by heart", `It believes ${percent(believed)} of the images it trains on, but only ${percent(unseen)} of real ones it never saw. It knows its examples, not what makes an image real.`];
  if (believed < 0.42 && passes < 0.42) return ["The detective trusts nobody", `It takes even real images for forgeries: it believes ${percent(believed)} of them.`];
  if (passes < 0.05 && believed > 0.9) return ["The detective is winning", `It catches ${percent(1 - passes)} of the forgeries and believes the real ones. If that lasts, the forger hears only “wrong”, and never what would be better.`];
  if (passes > 0.75) return ["The forger is winning", `${percent(passes)} of the forgeries pass. The detective must learn what gives them away.`];
  if (passes > 0.3) return ["A close game", `${percent(passes)} of the forgeries pass, and the detective has to look closely: each learns most when the other is about as good.`];
  return ["The detective is ahead", `${percent(passes)} of the forgeries pass. The forger still hears what would be better: see where it would change its images.`];
}


