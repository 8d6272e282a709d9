// Ranked lists of items, each with its reasons on demand.
import { get } from "./api.js";
import { bar, h, link, percent } from "./dom.js";
import { modelFacts } from "./api.js";
import { kindColor } from "/view/colors.js";

let domains = [];
modelFacts().then((model) => { domains = model.domains.map(({ name }) => name); }, () => null);

export const swatch = (kind) => h("span", { className: "swatch", ariaHidden: "true",
  style: { backgroundColor: kindColor(kind, domains) } });

export function listCard(list, { user = null, level = "h2", moved = null } = {}) {
  return h("section", { className: "card" },
    h(level, null, swatch(list.domain), list.domain),
    list.fallback ? h("p", { className: "soft" },
      `The most popular items (${list.fallback.replace("popularity: ", "")}).`) : null,
    list.items.length ? itemList(list.items, { user, moved })
      : h("p", { className: "soft" },
        "Nothing is left to recommend: the user has all of its items."));
}

export function itemList(items, { user = null, moved = null } = {}) {
  const best = Math.max(...items.map((item) => item.score ?? 0), 1e-12);
  return h("ol", { className: "items" }, items.map((item) => {
    const reasons = h("div", { className: "reasons", hidden: true });
    const why = user && h("button", { type: "button", className: "why", "aria-expanded": "false",
      ariaLabel: `Why ${item.title}?`,
      onclick: () => toggle(why, reasons, user, item) }, "Why?");
    return h("li", null,
      h("div", { className: "row" },
        h("a", { href: link.item(item) }, item.title), moved?.(item) ?? null, why),
      item.score === null || item.score === undefined ? null : bar(item.score / best, "thin"),
      user ? reasons : null);
  }));
}

async function toggle(button, reasons, user, item) {
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(open));
  reasons.hidden = !open;
  if (!open || reasons.childElementCount) return;
  reasons.replaceChildren(h("p", { className: "soft", role: "status" }, "Looking for reasons …"));
  try {
    const found = await get("explanations", { user, domain: item.domain, item: item.item_id });
    reasons.replaceChildren(...explained(found));
  } catch (error) {
    reasons.replaceChildren(h("p", { role: "alert" }, error.message));
    reasons.removeAttribute("data-done");
  }
}

const SHOWN = 6;

// The parts of an explanation that are there.
function explained(found) {
  const parts = [h("p", { className: "sentence" }, found.sentence)];
  const shares = (title, rows, name) => {
    if (!rows?.length) return;
    const top = [...rows].sort((a, b) => Math.abs(b.share) - Math.abs(a.share)).slice(0, SHOWN);
    const widest = Math.max(...top.map((row) => Math.abs(row.share)), 1e-12);
    parts.push(h("h3", null, title), h("ul", { className: "shares" }, top.map((row) => h("li", null,
      h("div", { className: "row" }, name(row), h("span", null, percent(row.share))),
      bar(row.share / widest, "thin")))));
  };
  shares("Share of the score by earlier interaction", found.interactions, (row) =>
    h("a", { href: link.item(row) }, row.title));
  if (found.paths?.length) {
    parts.push(h("h3", null, "Paths through the graph"), h("ul", { className: "paths" }, found.paths.map((one) =>
      h("li", null, one.nodes.map((node, at) => [
        at ? h("small", { className: "soft" }, ` ${one.relations[at - 1]} → `) : null,
        h("a", { href: link.node(node.kind, node.id) }, node.label)])))));
  }
  if (found.interests?.length) {
    parts.push(h("h3", null, "Shared interests"), h("div", { className: "chips" },
      found.interests.slice(0, SHOWN).map((row) =>
        h("a", { className: "chip", href: link.interest(row.interest) }, row.interest))));
  }
  if (found.words?.length) {
    parts.push(h("p", null, h("small", { className: "soft" }, "Words in common: "),
      found.words.slice(0, 2 * SHOWN).join(", ")));
  }
  shares("Share of the score by part of the model", found.experts,
    (row) => h("span", null, row.expert));
  return parts;
}
