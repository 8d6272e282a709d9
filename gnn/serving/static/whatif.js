// What if: add or remove interactions, and see the lists change.
import { get, post } from "./api.js";
import { count, day, h, link, path, say } from "./dom.js";
import { listCard, swatch } from "./lists.js";
import { searchBox } from "./search.js";

const SHOWN = 10, LOOKED = 100;
const key = (item) => `${item.domain}\u0000${item.item_id}`;
const named = ({ domain, item_id }) => ({ domain, item_id });

export async function whatIf({ body, id, model, history, signal }) {
  const stranger = id === null;
  const added = new Map(), removed = new Set();
  const lists = h("div", { className: "cards" });
  const mine = h("ul", { className: "history" });
  const find = h("div", { className: "find" });
  const status = h("p", { className: "soft", role: "status" });
  const before = new Map();
  if (!stranger) {
    const found = await get(`users/${path(id)}/recommendations`, { k: LOOKED }, signal);
    for (const list of found.lists) {
      for (const item of list.items) before.set(key(item), item.rank);
    }
  }

  function moved(item) {
    if (stranger || !(added.size || removed.size)) return null;
    const old = before.get(key(item));
    const by = old === undefined ? null : old - item.rank;
    if (by === 0) return null;
    const text = by === null ? "new" : by > 0 ? `▲ ${by}` : `▼ ${-by}`;
    const said = by === null ? "new in the list" : `${by > 0 ? "up" : "down"} ${Math.abs(by)}`;
    return h("small", { className: by < 0 ? "down" : "up", title: said }, text);
  }

  let running = null;
  async function ask() {
    running?.abort();
    running = new AbortController();
    const start = performance.now();
    const gone = history.items.filter((item) => removed.has(key(item))).map(named);
    try {
      const found = await post("recommendations", { user: id, k: SHOWN, without: gone,
        history: [...added.values()].map(named) }, running.signal);
      lists.replaceChildren(...found.lists.map((list) => listCard(list, { moved })));
      const changes = added.size + removed.size;
      reset.disabled = !changes;
      status.textContent = `${count(changes, stranger ? "item" : "change")}; lists made in `
        + `${Math.round(performance.now() - start)} ms.`
        + (stranger || !changes ? "" : " ▲ ▼ places gained or lost by the changes.");
      say(`Lists after ${count(changes, "change")}`);
    } catch (error) {
      if (error.name !== "AbortError") status.textContent = error.message;
    }
  }

  function draw() {
    mine.replaceChildren(
      ...[...added.values()].map((item) => h("li", { className: "added" },
        h("span", null, swatch(item.domain), item.title),
        h("button", { type: "button", ariaLabel: `Take ${item.title} back`,
          onclick: () => { added.delete(key(item)); draw(); ask(); } }, "✕"))),
      ...history.items.map((item) => h("li", null, h("label", null,
        h("input", { type: "checkbox", checked: !removed.has(key(item)), onchange: (event) => {
          if (event.target.checked) removed.delete(key(item)); else removed.add(key(item));
          ask();
        } }), swatch(item.domain), h("span", null, item.title,
          item.time ? h("small", { className: "soft" }, ` ${day(item.time)}`) : null)))));
  }

  const domains = model.domains.map(({ name }) => name);
  searchBox(find, { label: "Add an item", placeholder: "Add an item by its title",
    kinds: (kind) => domains.includes(kind),
    onPick: (hit) => {
      const item = { domain: hit.kind, item_id: hit.id, title: hit.label };
      added.set(key(item), item);
      draw();
      ask();
    } });
  const reset = h("button", { type: "button", onclick: () => {
    added.clear();
    removed.clear();
    draw();
    ask();
  } }, "Undo all");
  draw();
  body.append(
    h("p", null, stranger ? "Add a few items that somebody likes; the lists follow at once."
      : "How would the lists change? Untick interactions to leave them out, or add items; the "
        + "lists follow at once. Nothing is saved."),
    h("div", { className: "split" },
      h("section", { ariaLabel: "History" }, find, h("div", { className: "row" },
        h("strong", null, stranger ? "Items" : "History"), reset), mine),
      h("section", { ariaLabel: "Recommendations" }, status, lists)));
  if (!model.inductive) {
    body.prepend(h("p", { role: "alert" },
      `${model.model} scores only users as they were in training.`));
  }
  await ask();
}

export async function strangerView(page, model, signal) {
  page.append(h("h1", null, "Somebody new"));
  const body = h("div", { className: "tab" });
  page.append(body);
  await whatIf({ body, id: null, model, history: { items: [] }, signal });
}
