// How the nodes and links of a view look, and the words it uses.
import { COLORS, FONT, THEMES, kindColor } from "./colors.js";

export const SIZE = 13, ROW = 31, SMALL_ROW = 22, GAP = 38, WIDEST = 210, NARROW = 760;
// Links across the picture that a node shows at once, at most.
export const CROSSING = 6;
export const DASHES = { similar: "dashed", about: "dotted" };
// What a relation is called in the legend.
export const NAMES = { interacts: "interacted with", about: "about an interest",
  similar: "similar content", next: "next item", rejects: "rejected",
  co_consumed: "liked by the same users", friend: "friend", during: "liked in" };
export const THICK = { interacts: 2.2 };
export const STRAIGHT = { bend: [0, 0], along: [0.3, 0.7], from: "0% 0%", to: "0% 0%" };

const mixed = (color, ground, share) => {
  const part = (text, at) => parseInt(text.slice(at, at + 2), 16);
  const channel = (at) => Math.round(part(color, at) * share + part(ground, at) * (1 - share));
  return `rgb(${channel(1)}, ${channel(3)}, ${channel(5)})`;
};

export function styles(theme, domains) {
  const t = THEMES[theme];
  const tone = (node) => kindColor(node.data("kind"), domains, theme);
  const past = (node) => domains.indexOf(node.data("kind")) >= COLORS.length;
  return [
    { selector: "node", style: {
      label: "data(text)", width: "data(width)", height: 24, "font-family": FONT,
      "font-size": SIZE, color: t.ink, "text-valign": "center", "text-halign": "center",
      shape: (node) => (node.data("kind") === "interest" ? "cut-rectangle" : "round-rectangle"),
      "background-color": (node) => mixed(tone(node), t.ground,
        node.data("kind") === "interest" ? t.tint / 1.6 : t.tint),
      "border-width": 1.5, "border-color": tone,
      "border-style": (node) => (past(node) ? "double" : "solid"),
      "transition-property": "opacity", "transition-duration": 120,
      "overlay-color": t.ink, "overlay-opacity": 0, "z-index": 2 } },
    { selector: "node[?center]", style: {
      "background-color": t.ink, color: t.ground, "font-weight": "bold", height: 30,
      "border-color": t.ink } },
    { selector: "node.more", style: {
      "background-opacity": 0, "border-width": 0, color: t.soft, "font-size": 12, height: 16 } },
    { selector: "edge", style: {
      width: (edge) => THICK[edge.data("relation")] ?? 1.2, "line-color": t.line, "curve-style": "unbundled-bezier", opacity: 0.85,
      "control-point-distances": "data(bend)", "control-point-weights": "data(along)",
      "edge-distances": "endpoints",
      "source-endpoint": "data(from)", "target-endpoint": "data(to)",
      "line-style": (edge) => DASHES[edge.data("relation")] ?? "solid",
      "line-dash-pattern": [6, 3], "target-arrow-color": t.line, "arrow-scale": 0.8,
      "target-arrow-shape": (edge) => (edge.data("relation") === "next" ? "triangle" : "none"),
      "transition-property": "opacity", "transition-duration": 120, "z-index": 1 } },
    { selector: "edge.behind", style: { "line-style": "dotted", width: 1 } },
    { selector: "edge.extra", style: {
      opacity: 0, events: "no", "curve-style": "straight",
      "edge-distances": "intersection",
      "source-endpoint": "outside-to-node", "target-endpoint": "outside-to-node" } },
    { selector: ".hidden", style: { display: "none" } },
    { selector: ".faded", style: { opacity: 0.18 } },
    { selector: "edge.extra.faded", style: { opacity: 0 } },
    { selector: "edge.lit", style: {
      opacity: 1, "line-color": t.ink, "target-arrow-color": t.ink, "z-index": 8 } },
    { selector: "edge.extra.lit", style: { opacity: 0.75 } },
    { selector: "edge.named", style: {
      label: "data(text)", "font-size": 10.5, "font-family": FONT, color: t.ink,
      "text-background-color": t.ground, "text-background-opacity": 0.92,
      "text-background-padding": 2, "z-index": 9 } },
    { selector: "node.lit, node.match", style: { "z-index": 10 } },
    { selector: "node.match", style: { "border-width": 3 } },
    { selector: "node.chosen", style: {
      "outline-width": 2.5, "outline-color": t.ink, "outline-offset": 2 } },
  ];
}

export const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
export const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

// "+117 users, +40 items": what a picture leaves out behind a node.
export function moreText(more) {
  const { user = 0, interest = 0, attribute = 0, ...domains } = more ?? {};
  const items = Object.values(domains).reduce((sum, n) => sum + n, 0);
  const parts = [[user, "user"], [items, "item"], [user || items ? 0 : interest, "interest"],
    [user || items || interest ? 0 : attribute, "attribute"]];
  return parts.filter(([n]) => n).map(([n, noun]) => `+${plural(n, noun)}`).join(", ");
}

const pen = document.createElement("canvas").getContext("2d");

// A label cut to a width in pixels, and the width it has.
export function fitted(label, size, widest) {
  pen.font = `${size}px ${FONT}`;
  const text = [...label].slice(0, 200);
  if (pen.measureText(label).width > widest) {
    while (text.length > 1 && pen.measureText(text.join("") + "…").width > widest) text.pop();
    text.push("…");
  }
  return [text.join(""), pen.measureText(text.join("")).width];
}
