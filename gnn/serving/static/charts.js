// Small SVG charts, each with its figures in a table below.
import { day, h, month, percent, s, table } from "./dom.js";

export const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#A98600", "#56B4E9"];
const DASHES = ["", "7 3", "2 3", "10 3 2 3", "", "7 3"];
const W = 720, H = 260, LEFT = 44, RIGHT = 16, TOP = 12, BOTTOM = 30;

// Shares by window of time: a line for each interest.
export function lineChart(title, windows, lines) {
  const most = Math.max(0.01, ...lines.flatMap((line) => line.values)) * 1.08;
  const times = windows.map((w) => (Date.parse(w.start) + Date.parse(w.end)) / 2);
  const x = (at) => LEFT + (W - LEFT - RIGHT) * (times[at] - times[0])
    / Math.max(1, times.at(-1) - times[0]);
  const y = (share) => TOP + (H - TOP - BOTTOM) * (1 - share / most);
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((one) => most / one <= 5) ?? 0.5;
  const grid = [];
  for (let share = 0; share < most; share += step) {
    grid.push(s("line", { x1: LEFT, x2: W - RIGHT, y1: y(share), y2: y(share), class: "grid" }),
      s("text", { x: LEFT - 6, y: y(share) + 4, class: "tick", "text-anchor": "end" },
        percent(share, step < 0.01 ? 1 : 0)));
  }
  // Dates that do not touch each other.
  const ticks = [];
  let free = -Infinity;
  for (const [at, time] of times.entries()) {
    if (x(at) < free) continue;
    free = x(at) + 90;
    const anchor = x(at) < LEFT + 30 ? "start" : x(at) > W - RIGHT - 30 ? "end" : "middle";
    ticks.push(s("text", { x: x(at), y: H - 8, class: "tick", "text-anchor": anchor }, month(time)));
  }
  const drawn = lines.map(({ values }, number) => [
    s("polyline", { points: values.map((share, at) => `${x(at)},${y(share)}`).join(" "),
      fill: "none", stroke: COLORS[number % 6], "stroke-width": 2.2,
      "stroke-dasharray": DASHES[number % 6] || null }),
    values.map((share, at) => s("circle", { cx: x(at), cy: y(share), r: 3,
      fill: COLORS[number % 6] },
    s("title", {}, `${lines[number].name}: ${percent(share, 1)}, ${month(times[at])}`)))]);
  return h("figure", { className: "chart" },
    s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title }, grid, ticks, drawn),
    h("figcaption", { className: "legend" }, lines.map(({ name }, number) => h("span", null,
      s("svg", { viewBox: "0 0 26 8", class: "key", "aria-hidden": "true" }, s("line", {
        x1: 0, x2: 26, y1: 4, y2: 4, stroke: COLORS[number % 6], "stroke-width": 3,
        "stroke-dasharray": DASHES[number % 6] || null })), name))),
    h("details", null, h("summary", null, "Figures"),
      table(title, ["Interest", ...windows.map((w) => `${day(w.start)} (${w.interactions})`)],
        lines.map(({ name, values }) => [name, ...values.map((share) => percent(share, 1))]))));
}
