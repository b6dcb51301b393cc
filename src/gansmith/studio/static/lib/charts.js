// Curves: uPlot with the studio's colours, a legend in words, and a sentence for screen readers.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { h, say, uid } from "./dom.js";
import { number, whole } from "./words.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * A chart of lines over steps.
 *
 * series: [{label, color, dash?, points?}], `color` the name of a CSS variable; lines: [{label, color, value}] drawn across.
 * `log`: a logarithmic scale; `range`: [low, high] of the scale. Returns {element, set(steps, columns), line(label, value), mark(step)}.
 */
export function chart(title, { series, lines = [], log = false, range = null, hint = null, height = 190, format = number }) {
  const heading = h("h3", { id: uid("chart") }, title);
  const values = series.map(() => h("b", {}, "–"));
  const legend = h("p", { class: "legend" },
    series.map((each, index) => h("span", {}, h("i", { class: each.dash ? "dash" : "", style: { "--c": `var(${each.color})` } }), each.label, " ", values[index])),
    lines.map((each) => h("span", { class: "across" }, h("i", { class: "dash", style: { "--c": `var(${each.color})` } }), each.label)));
  const canvas = h("div", { class: "plot", role: "img", "aria-labelledby": heading.id, style: { "--h": `${height}px` } });
  const empty = h("p", { class: "plot-empty" }, "Nothing measured yet");
  const element = h("figure", { class: "chart" }, heading, hint && h("p", { class: "hint" }, hint), h("div", { class: "plot-box" }, canvas, empty), legend);
  let plot = null;
  let data = [[], ...series.map(() => [])];
  let marked = null;
  const across = lines.map((each) => ({ ...each }));

  function tell(index) {
    const at = index ?? data[0].length - 1;
    values.forEach((value, i) => say(value, at >= 0 ? format(lastKnown(data[i + 1], at)) : "–"));
    if (index === null || index === undefined) {
      const spoken = series.map((each, i) => `${each.label} ${at >= 0 ? format(lastKnown(data[i + 1], at)) : "not known"}`).join(", ");
      canvas.setAttribute("aria-label", `${title} at step ${whole(data[0][at] ?? 0)}: ${spoken}`);
    }
  }

  function draw(u) {
    const { ctx, bbox } = u;
    ctx.save();
    for (const each of across) {
      if (each.value === null || each.value === undefined) continue;
      const y = Math.round(u.valToPos(each.value, "y", true));
      if (y < bbox.top - 1 || y > bbox.top + bbox.height + 1) continue;
      ctx.strokeStyle = css(each.color);
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke();
    }
    if (marked !== null) {
      const x = u.valToPos(marked, "x", true);
      ctx.strokeStyle = css("--line-strong"); ctx.lineWidth = devicePixelRatio; ctx.setLineDash([]);
      ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
    }
    ctx.restore();
  }

  function build() {
    plot?.destroy();
    const axis = (more) => ({ stroke: () => css("--quiet"), grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif", ...more });
    plot = new uPlot({
      width: canvas.clientWidth || 400, height, padding: [8, 20, 0, 0], legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: { x: { time: false }, y: { distr: log ? 3 : 1, range: range ? () => range : (u, low, high) => bounds(low, high, log, across) } },
      axes: [axis({ values: (u, splits) => splits.map(whole), size: 28 }), axis({ values: (u, splits) => splits.map((v) => (v === null ? "" : number(v, 2))), size: 46, ...(log ? { splits: decades } : {}) })],
      series: [{}, ...series.map((each) => ({ stroke: () => css(each.color), width: 2, dash: each.dash ? [6, 4] : undefined, spanGaps: true, points: { show: each.points ?? false, size: 6, fill: () => css(each.color) } }))],
      hooks: { draw: [draw], setCursor: [(u) => tell(u.cursor.idx)] },
    }, data, canvas);
  }

  const observer = new ResizeObserver(() => {
    if (!canvas.clientWidth) return;
    if (plot) plot.setSize({ width: canvas.clientWidth, height });
    else build();
  });
  observer.observe(canvas);
  const themed = () => plot?.redraw();
  window.addEventListener("themed", themed);

  return {
    element,
    set(steps, columns) {
      data = [steps, ...columns];
      empty.hidden = steps.length > 0;
      plot?.setData(data);
      tell(null);
    },
    line(label, value) {
      const found = across.find((each) => each.label === label);
      if (found) found.value = value;
      plot?.setData(data);
    },
    empty(words) { say(empty, words); },
    mark(step) { marked = step; plot?.redraw(false); },
    destroy() { observer.disconnect(); window.removeEventListener("themed", themed); plot?.destroy(); plot = null; },
  };
}

/** 1, 2 and 5 times powers of ten, or powers alone where there are many. */
function decades(u, axis, low, high) {
  const wide = high / low > 200;
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const each of wide ? [1] : [1, 2, 5]) { const value = each * 10 ** power; if (value >= low && value <= high) found.push(value); }
  }
  return found;
}

function lastKnown(column, at) {
  for (let index = at; index >= 0; index -= 1) if (column[index] !== null && column[index] !== undefined) return column[index];
  return null;
}

function bounds(low, high, log, across) {
  const all = [low, high, ...across.map((each) => each.value)].filter((each) => Number.isFinite(each) && (!log || each > 0));
  if (!all.length) return log ? [0.1, 10] : [0, 1];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  if (log) return [least / 1.3, most * 1.3];
  const room = (most - least || 1) * 0.08;
  return [least >= 0 && least - room < 0 ? 0 : least - room, most + room];
}

/** Columns of rows that come piece by piece. */
export class Columns {
  constructor() { this.values = { step: [] }; }
  add(rows, reset) {
    if (reset) this.values = { step: [] };
    for (const [name, column] of Object.entries(rows)) {
      this.values[name] ??= [];
      for (const each of column) this.values[name].push(each);
    }
  }
  get(...names) { return names.map((name) => this.values[name] ?? []); }
  get steps() { return this.values.step; }
}


