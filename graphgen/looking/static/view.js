// The one drawing of a neighbourhood, for the page, the notebook and the web application.
// createView(container, elements, options) draws what graphgen.looking.elements.elements returns:
// the centre in the middle, its neighbours in columns to both sides, each under the node it was
// reached from, so that every title can be read. Other links show when a node is pointed at.
import cytoscape from "./cytoscape.esm.min.mjs";
import { FONT, kindColor, systemTheme, wheelZooms } from "./colors.js";
import {
  CROSSING, DASHES, GAP, NAMES, NARROW, ROW, SIZE, SMALL_ROW, STRAIGHT, THICK, WIDEST, fitted,
  moreText, plain, plural, styles,
} from "./styles.js";

// It would warn of links between nodes that have no place yet.
cytoscape.warnings(false);

export function createView(container, elements, options = {}) {
  const { onSelect, onExpand, labels = {} } = options;
  const named = (kind) => labels[kind] ?? NAMES[kind] ?? kind;
  const domains = elements.domains ?? [];
  // Cytoscape adds a <style> of its own unless this name is taken; view.css has its one rule.
  if (!document.getElementById("__________cytoscape_stylesheet")) {
    const taken = document.createElement("meta");
    taken.id = "__________cytoscape_stylesheet";
    document.head.append(taken);
  }
  const part = (className, parent) => {
    const made = document.createElement("div");
    made.className = className;
    parent.append(made);
    return made;
  };
  const root = part("ig-view", container);
  const legend = part("ig-legend", root);
  const canvas = part("ig-canvas", root);
  const live = part("ig-live", root);
  legend.setAttribute("role", "group");
  legend.setAttribute("aria-label", "Kinds of nodes; press to hide or show");
  live.setAttribute("aria-live", "polite");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Neighbourhood. Arrow keys move between nodes, Enter selects, "
    + "plus expands, Escape clears.");

  let theme = options.theme ?? systemTheme();
  let hidden = new Set();
  let current = null;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const cy = cytoscape({
    container: canvas, style: styles(theme, domains), layout: { name: "preset" }, elements: [],
    minZoom: 0.15, maxZoom: 3, autoungrabify: true, boxSelectionEnabled: false,
  });

  function put(data) {
    const widest = data.center ? 1.4 * WIDEST : WIDEST;
    const [text, width] = fitted(data.label, SIZE + (data.center ? 1 : 0), widest);
    cy.add({ group: "nodes", data: { ...data, text, width: Math.ceil(width) + 20 } });
  }

  function add(more) {
    const fresh = new Set(), center = more.nodes.find((node) => node.center)?.id;
    const first = cy.nodes("[?center]").empty();
    for (const node of more.nodes) {
      if (!cy.getElementById(node.id).empty()) continue;
      fresh.add(node.id);
      put({ ...node, center: first && node.center });
    }
    for (const edge of more.edges) {
      if (!cy.getElementById(edge.id).empty()) continue;
      // A link between two nodes that were there already does not move them.
      const tree = edge.tree && (fresh.has(edge.source) || fresh.has(edge.target));
      cy.add({ group: "edges", data: { ...edge, ...STRAIGHT },
        classes: tree ? "tree" : "extra" });
    }
    if (!first && center) foundBehind(cy.getElementById(center), fresh);
    arrange(first);
    drawLegend();
    if (current) light(current);
    if (!first) bringIn(cy.getElementById(center ?? "").closedNeighborhood());
  }

  // Move the picture where a part of it would be outside, once it stands still.
  function bringIn(part) {
    setTimeout(() => {
      const box = part.renderedBoundingBox();
      if (box.x1 < 0 || box.y1 < 0 || box.x2 > cy.width() || box.y2 > cy.height()) {
        cy.animate({ center: { eles: part }, duration: calm ? 0 : 200 });
      }
    }, calm ? 0 : 300);
  }

  // Fewer are left out behind a node once it has been expanded.
  function foundBehind(node, fresh) {
    const left = { ...node.data("more") };
    for (const edge of node.connectedEdges(".tree")) {
      const other = edge.source().id() === node.id() ? edge.target() : edge.source();
      const kind = other.data("kind");
      if (fresh.has(other.id()) && edge.data("relation") !== "shared users" && left[kind]) {
        left[kind] -= 1;
      }
    }
    node.data("more", left);
  }

  function remove(id) {
    cy.remove(cy.getElementById(id));
    const kept = reached();
    cy.remove(cy.nodes().filter((node) => !kept.has(node.id()) && !node.hasClass("more")));
    arrange(false);
    drawLegend();
  }

  // Nodes by id that hidden kinds do not cut off, with their children in the tree.
  function reached() {
    const start = cy.nodes("[?center]");
    const tree = new Map();
    const queue = start.empty() ? [] : [start.id()];
    if (queue.length) tree.set(start.id(), []);
    while (queue.length) {
      const id = queue.shift();
      for (const edge of cy.getElementById(id).connectedEdges(".tree")) {
        const other = edge.source().id() === id ? edge.target() : edge.source();
        if (tree.has(other.id()) || hidden.has(other.data("kind"))) continue;
        if (hidden.has(edge.data("relation"))) continue;
        tree.set(other.id(), []);
        tree.get(id).push({ node: other, edge });
        queue.push(other.id());
      }
    }
    return tree;
  }

  function arrange(whole) {
    cy.remove(".more");
    const tree = reached(), center = cy.nodes("[?center]");
    cy.nodes().forEach((node) => node.toggleClass("hidden", !tree.has(node.id())));
    cy.edges().forEach((edge) => edge.toggleClass("hidden",
      hidden.has(edge.data("relation")) || !tree.has(edge.source().id())
      || !tree.has(edge.target().id())));
    if (center.empty()) return;
    const order = [...domains, "interest", "attribute", "user"];
    const rank = ({ node }) => (order.indexOf(node.data("kind")) + order.length + 1) % (order.length + 1);
    for (const children of tree.values()) children.sort((a, b) => rank(a) - rank(b));
    for (const id of tree.keys()) putMore(id, tree);

    const height = new Map();
    const rows = (id, alone) => {
      const children = tree.get(id) ?? [];
      const inner = children.reduce((sum, child) => sum + rows(child.node.id()), 0);
      const own = cy.getElementById(id).hasClass("more") ? SMALL_ROW : ROW;
      height.set(id, Math.max(inner, alone ? 0 : own));
      return height.get(id);
    };
    rows(center.id(), true);
    const first = tree.get(center.id());
    const narrow = canvas.clientWidth < NARROW;
    const total = height.get(center.id());
    const sides = { 1: [], "-1": [] };
    let used = 0;
    for (const child of first) {
      const tall = height.get(child.node.id());
      sides[narrow || used + tall / 2 <= total / 2 || !used ? 1 : -1].push(child);
      used += tall;
    }
    const place = new Map([[center.id(), { x: 0, y: 0 }]]);
    for (const side of [1, -1]) {
      const columns = [];
      const measure = (children, depth) => children.forEach(({ node }) => {
        columns[depth] = Math.max(columns[depth] ?? 0, node.data("width"));
        measure(tree.get(node.id()) ?? [], depth + 1);
      });
      measure(sides[side], 0);
      const starts = [center.data("width") / 2 + GAP];
      columns.forEach((width, depth) => starts.push(starts[depth] + width + GAP));
      const put = (children, depth, top, parent) => {
        for (const { node, edge } of children) {
          const tall = height.get(node.id());
          const x = side * (starts[depth] + node.data("width") / 2);
          const y = top + tall / 2;
          place.set(node.id(), { x, y });
          const from = place.get(parent.id());
          bend(edge, parent, side, x - side * node.data("width") / 2
            - from.x - side * parent.data("width") / 2, y - from.y);
          put(tree.get(node.id()) ?? [], depth + 1, top, node);
          top += tall;
        }
      };
      const tall = sides[side].reduce((sum, child) => sum + height.get(child.node.id()), 0);
      put(sides[side], 0, -tall / 2, center);
    }
    const still = calm || whole;
    for (const [id, position] of place) {
      const node = cy.getElementById(id);
      if (still || node.hasClass("more")) node.position(position);
      else node.animate({ position, duration: 250 });
    }
    if (whole) fit();
  }

  // A link leaves both its ends sideways, as in a mind map: control points halfway across.
  function bend(edge, parent, side, dx, dy) {
    const outward = edge.source().id() === parent.id();
    const [near, far] = side > 0 ? ["50% 0%", "-50% 0%"] : ["-50% 0%", "50% 0%"];
    const length = Math.hypot(dx, dy) || 1;
    const away = (dx * dy) / (2 * length), first = (dx * dx) / (2 * length * length);
    edge.data({ from: outward ? near : far, to: outward ? far : near, bend: [-away, away],
      along: [first, 1 - first] });
  }

  // "+117 users" behind the centre and its neighbours.
  function putMore(id, tree) {
    const node = cy.getElementById(id), center = cy.nodes("[?center]").id();
    const near = id === center || tree.get(center).some((child) => child.node.id() === id)
      || (tree.get(id) ?? []).length;
    const text = moreText(node.data("more"));
    if (!near || !text) return;
    const [short, width] = fitted(text, 12, WIDEST);
    const more = cy.add({ group: "nodes", classes: "more",
      data: { id: `more ${id}`, kind: "more", owner: id, label: text, text: short,
        width: Math.ceil(width) + 10 } });
    const edge = cy.add({ group: "edges", classes: "more behind",
      data: { id: `behind ${id}`, source: id, target: more.id(), relation: "more", text: "",
        ...STRAIGHT } });
    more.position(node.position());
    tree.get(id).push({ node: more, edge });
  }

  function fit() {
    cy.resize();
    const shown = cy.elements(":visible");
    cy.fit(shown, 16);
    const narrow = canvas.clientWidth < NARROW, center = cy.nodes("[?center]");
    const wide = (cy.width() - 32) / shown.boundingBox().w;
    // Where not all of it can be read at once, the centre is in view, and one drags for the rest.
    const least = narrow ? Math.max(0.72, Math.min(wide, 1)) : 0.62;
    if (cy.zoom() > 1.15) cy.zoom(1.15), cy.center(shown);
    if (cy.zoom() < least) {
      cy.zoom(least);
      cy.center(center);
      if (narrow) cy.panBy({ x: center.renderedWidth() / 2 + 8 - cy.width() / 2, y: 0 });
    }
  }

  function light(node, naming = true) {
    dim();
    // Of the links across the picture only the strongest: more would hide it.
    const weak = node.connectedEdges(".extra").not(".hidden")
      .sort((a, b) => b.data("weight") - a.data("weight")).slice(CROSSING);
    const edges = node.connectedEdges().not(".hidden").not(weak);
    const around = edges.union(edges.connectedNodes()).union(node).not(".hidden");
    cy.elements().not(around.addClass("lit")).addClass("faded");
    if (naming && edges.not(".more").length <= 8) edges.not(".more").addClass("named");
  }

  const dim = () => cy.elements().removeClass("faded lit named");

  function facts(node) {
    const { text, width, ...data } = node.data();
    const links = node.connectedEdges().not(".hidden, .more").map((edge) => {
      const other = edge.source().id() === node.id() ? edge.target() : edge.source();
      return { id: other.id(), kind: other.data("kind"), label: other.data("label"),
        text: edge.data("text") };
    });
    return { ...data, links };
  }

  function choose(node, { quiet = false } = {}) {
    cy.nodes().removeClass("chosen");
    current = node;
    node.addClass("chosen");
    light(node);
    const { label, kind, links } = facts(node);
    live.textContent = `${label}, ${named(kind)}, ${plural(links.length, "link")} shown`;
    if (!quiet) onSelect?.(facts(node));
  }

  function expand(node) {
    const owner = node.hasClass("more") ? cy.getElementById(node.data("owner")) : node;
    if (onExpand) onExpand(facts(owner));
    else choose(owner);
  }

  function clear() {
    cy.nodes().removeClass("chosen");
    current = null;
    dim();
    live.textContent = "";
    onSelect?.(null);
  }

  function focus(id, move = true) {
    const node = cy.getElementById(id);
    if (node.empty() || node.hasClass("hidden")) return false;
    choose(node);
    const box = node.renderedBoundingBox();
    const out = box.x1 < 0 || box.y1 < 0 || box.x2 > cy.width() || box.y2 > cy.height();
    if (move && out) cy.animate({ center: { eles: node }, duration: calm ? 0 : 200 });
    return true;
  }

  function setHidden(kinds) {
    hidden = new Set(kinds);
    arrange(false);
    drawLegend();
  }

  function search(text) {
    cy.nodes().removeClass("match");
    dim();
    const wanted = plain(text.trim());
    if (!wanted) return [];
    const found = cy.nodes().not(".more, .hidden").filter(
      (node) => plain(`${node.data("label")} ${node.data("category") ?? ""}`).includes(wanted));
    if (found.nonempty()) cy.elements().not(found).addClass("faded");
    found.addClass("match");
    return found.map(facts);
  }

  function setTheme(next) {
    theme = next;
    root.dataset.theme = theme;
    cy.style(styles(theme, domains));
    drawLegend();
  }

  function drawLegend() {
    const kinds = [...domains, "interest", "attribute", "user"].filter(
      (kind) => cy.nodes().some((node) => node.data("kind") === kind && !node.data("center")));
    const relations = [...new Set(cy.edges().not(".more").map((edge) => edge.data("relation")))];
    legend.replaceChildren(...[...kinds, ...relations.sort()].map((kind) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = named(kind);
      button.setAttribute("aria-pressed", String(!hidden.has(kind)));
      const mark = document.createElement("span");
      mark.className = relations.includes(kind) ? "ig-line" : "ig-swatch";
      if (relations.includes(kind)) {
        const thick = THICK[kind] ?? (DASHES[kind] ? 2 : 1);
        mark.style.borderTop = `${thick}px ${DASHES[kind] ?? "solid"}`;
      }
      else mark.style.backgroundColor = kindColor(kind, domains, theme);
      button.prepend(mark);
      button.addEventListener("click", () => {
        const next = new Set(hidden);
        if (!next.delete(kind)) next.add(kind);
        setHidden(next);
        [...legend.children].find((one) => one.textContent === named(kind))?.focus();
      });
      return button;
    }));
  }

  cy.on("mouseover", "node", ({ target }) => target.hasClass("more") || light(target));
  cy.on("mouseout", "node", () => (current ? light(current) : dim()));
  cy.on("tap", "node", ({ target }) => (target.hasClass("more") ? expand(target) : choose(target)));
  cy.on("dbltap", "node", ({ target }) => target.hasClass("more") || expand(target));
  cy.on("tap", ({ target }) => target === cy && clear());
  cy.on("tapstart", () => canvas.focus({ preventScroll: true }));
  canvas.addEventListener("wheel", (event) => wheelZooms(canvas) || event.stopPropagation(), true);

  // Arrow keys go to the nearest node in that direction.
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const way = ways[event.key];
    if (way) {
      const from = current ?? cy.nodes("[?center]");
      if (!current) focus(from.id());
      else {
        const here = from.position();
        let best = null, least = Infinity;
        cy.nodes().not(".hidden, .more").forEach((node) => {
          const there = node.position();
          const along = (there.x - here.x) * way[0] + (there.y - here.y) * way[1];
          const across = Math.abs((there.x - here.x) * way[1]) + Math.abs((there.y - here.y) * way[0]);
          const cost = along + 2.5 * across;
          if (along > 1 && cost < least) [best, least] = [node, cost];
        });
        if (best) focus(best.id());
      }
    } else if (event.key === "Enter" && current) onSelect?.(facts(current));
    else if (event.key === "+" && current) expand(current);
    else if (event.key === "Escape") clear();
    else return;
    event.preventDefault();
  });
  let size = "";
  const resized = new ResizeObserver(() => {
    const now = `${canvas.clientWidth} ${canvas.clientHeight}`;
    if (now !== size && canvas.clientWidth && canvas.clientHeight) {
      size = now;
      cy.resize();
      arrange(true);
    }
  });

  root.dataset.theme = theme;
  add(elements);
  resized.observe(canvas);
  return { add, remove, focus, setHidden, search, setTheme, fit, clear, cy,
    facts: (id) => (cy.getElementById(id).empty() ? null : facts(cy.getElementById(id))),
    destroy() { resized.disconnect(); cy.destroy(); root.remove(); } };
}
