// Migration between domains: a Sankey diagram of what follows what.
import { get, modelFacts } from "./api.js";
import { h, s, table } from "./dom.js";
import { kindColor } from "/view/colors.js";

const WIDE = 760, LEAST = 350, TOP = 16, GAP = 14, NODE = 14;
const LETTER = 7.5, LONGEST = 24;

export async function migrationView(page, _, query, signal) {
  const [found, model] = await Promise.all([get("migration", {}, signal), modelFacts()]);
  const names = [...new Set(found.moves.flatMap((move) => [move.source, move.target]))].sort();
  const known = found.by === "domain" ? model.domains.map(({ name }) => name) : names;
  const color = (name) => kindColor(name, known);
  const between = found.moves.filter((move) => move.source !== move.target);
  const stays = found.moves.filter((move) => move.source === move.target);
  page.append(h("h1", null, found.ordered ? `Migration between ${found.by}s`
    : `Users that ${found.by}s share`),
    h("p", { className: "soft" }, found.ordered
      ? `From left to right: an interaction in one ${found.by}, and the next interaction of the `
        + `same user in another. The wider a ribbon, the more such steps; steps within one `
        + `${found.by} are in the table.`
      : `The interactions have no times, so there is no direction: the wider a ribbon, the more `
        + `users are active in both ${found.by}s.`));
  const all = between.reduce((sum, move) => sum + move.steps, 0);
  if (!all) {
    page.append(h("p", null, `No user is active in two ${found.by}s.`));
    return;
  }
  page.append(sankey(between, names, color, found),
    table(found.ordered ? "All moves" : "Users of both",
      found.ordered ? ["From", "To", "Users", "Steps"] : [found.by, "and", "Users"],
      [...between, ...stays].sort((a, b) => b.steps - a.steps).map((move) => [move.source,
        move.target, ...[move.users, move.steps].slice(0, found.ordered ? 2 : 1)
          .map((n) => n.toLocaleString("en"))])));
}

function sankey(moves, names, color, found) {
  const tall = Math.max(300, 60 * names.length);
  const short = (name) => (name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name);
  const side = 14 + LETTER * Math.max(...names.map((name) => short(name).length));
  const width = Math.max(LEAST, 2 * side + 100, Math.min(WIDE, window.innerWidth - 40));
  const sum = (name, end) => moves.filter((move) => move[end] === name)
    .reduce((total, move) => total + move.steps, 0);
  const all = moves.reduce((total, move) => total + move.steps, 0);
  const scale = (tall - GAP * (names.length - 1)) / all;
  const starts = {};
  const nodes = [];
  for (const [end, x] of [["source", side], ["target", width - side - NODE]]) {
    let y = TOP;
    for (const name of names) {
      const high = sum(name, end) * scale;
      starts[`${end} ${name}`] = y;
      if (high) {
        nodes.push(s("rect", { x, y, width: NODE, height: Math.max(1, high), fill: color(name),
          rx: 3 }));
        const left = end === "source";
        nodes.push(s("text", { x: left ? x - 8 : x + NODE + 8, y: y + high / 2 + 4,
          "text-anchor": left ? "end" : "start", class: "name" }, short(name)));
      }
      y += high + GAP;
    }
  }
  const order = [...moves].sort((a, b) => names.indexOf(a.source) - names.indexOf(b.source)
    || names.indexOf(a.target) - names.indexOf(b.target));
  const ribbons = order.map((move) => {
    const high = move.steps * scale;
    const from = starts[`source ${move.source}`], to = starts[`target ${move.target}`];
    starts[`source ${move.source}`] += high;
    starts[`target ${move.target}`] += high;
    const [x0, x1] = [side + NODE, width - side - NODE], middle = (x0 + x1) / 2;
    return s("path", { class: "ribbon", fill: color(move.source),
      d: `M${x0},${from}C${middle},${from} ${middle},${to} ${x1},${to}V${to + high}`
        + `C${middle},${to + high} ${middle},${from + high} ${x0},${from + high}Z` },
    s("title", {}, `${move.source} ${found.ordered ? "→" : "and"} ${move.target}: `
      + (found.ordered ? `${move.steps.toLocaleString("en")} steps of ` : "")
      + `${move.users.toLocaleString("en")} users`));
  });
  return h("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Diagram" },
    s("svg", { viewBox: `0 0 ${width} ${tall + 2 * TOP}`, width, class: "sankey", role: "img",
      "aria-label": `Migration between ${found.by}s; its figures are in the table below` },
    ribbons, nodes));
}
