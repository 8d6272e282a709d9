// Migration between domains: a Sankey diagram of what follows what.
import { get, modelFacts } from "./api.js";
import { h, s, table } from "./dom.js";
import { kindColor } from "/view/colors.js";

const W = 760, TOP = 16, GAP = 14, NODE = 14, SIDE = 190;

export async function migrationView(page, _, query, signal) {
  const [found, model] = await Promise.all([get("migration", {}, signal), modelFacts()]);
  const names = [...new Set(found.moves.flatMap((move) => [move.source, move.target]))].sort();
  const known = found.by === "domain" ? model.domains.map(({ name }) => name) : names;
  const color = (name) => kindColor(name, known);
  const between = found.moves.filter((move) => move.source !== move.target);
  const stays = found.moves.filter((move) => move.source === move.target);
  page.append(h("h1", null, `Migration between ${found.by}s`),
    h("p", { className: "soft" }, found.ordered
      ? `From left to right: an interaction in one ${found.by}, and the user's next in another. `
        + "Steps within one are in the table."
      : `The log has no order: ribbons are users of both ${found.by}s.`));
  const all = between.reduce((sum, move) => sum + move.steps, 0);
  if (!all) {
    page.append(h("p", null, "Nothing migrates here."));
    return;
  }
  page.append(sankey(between, names, color, found),
    table(found.ordered ? "All moves" : "Users of both",
      found.ordered ? ["From", "To", "Users", "Steps"] : ["One", "Other", "Users"],
      [...between, ...stays].sort((a, b) => b.steps - a.steps).map((move) => [move.source,
        move.target, ...[move.users, move.steps].slice(0, found.ordered ? 2 : 1)
          .map((n) => n.toLocaleString("en"))])));
}

function sankey(moves, names, color, found) {
  const tall = Math.max(300, 60 * names.length);
  const sum = (name, side) => moves.filter((move) => move[side] === name)
    .reduce((total, move) => total + move.steps, 0);
  const all = moves.reduce((total, move) => total + move.steps, 0);
  const scale = (tall - GAP * (names.length - 1)) / all;
  const starts = {};
  const nodes = [];
  for (const [side, x] of [["source", SIDE], ["target", W - SIDE - NODE]]) {
    let y = TOP;
    for (const name of names) {
      const high = sum(name, side) * scale;
      starts[`${side} ${name}`] = y;
      if (high) {
        nodes.push(s("rect", { x, y, width: NODE, height: Math.max(1, high), fill: color(name),
          rx: 3 }));
        const left = side === "source";
        nodes.push(s("text", { x: left ? x - 8 : x + NODE + 8, y: y + high / 2 + 4,
          "text-anchor": left ? "end" : "start", class: "name" },
        name.length > 24 ? `${name.slice(0, 23)}…` : name));
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
    const [x0, x1] = [SIDE + NODE, W - SIDE - NODE], middle = (x0 + x1) / 2;
    return s("path", { class: "ribbon", fill: color(move.source),
      d: `M${x0},${from}C${middle},${from} ${middle},${to} ${x1},${to}V${to + high}`
        + `C${middle},${to + high} ${middle},${from + high} ${x0},${from + high}Z` },
    s("title", {}, `${move.source} ${found.ordered ? "→" : "and"} ${move.target}: `
      + (found.ordered ? `${move.steps.toLocaleString("en")} steps of ` : "")
      + `${move.users.toLocaleString("en")} users`));
  });
  return h("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Diagram" },
    s("svg", { viewBox: `0 0 ${W} ${tall + 2 * TOP}`, class: "sankey", role: "img",
      "aria-label": `Migration between ${found.by}s; its figures are in the table below` },
    ribbons, nodes));
}
