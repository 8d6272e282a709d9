// A combobox over users, interests and items (ARIA 1.2 pattern).
import { get } from "./api.js";
import { calmly, h } from "./dom.js";

let serial = 0;

export function searchBox(holder, { label, placeholder, kinds = () => true, onPick }) {
  const id = `hits${(serial += 1)}`;
  let hits = [], at = -1;
  const list = h("ul", { id, role: "listbox", ariaLabel: "Hits", hidden: true });
  const input = h("input", {
    type: "search", placeholder, ariaLabel: label, autocomplete: "off", spellcheck: false,
    role: "combobox", "aria-expanded": "false", "aria-controls": id, "aria-autocomplete": "list",
  });
  holder.append(input, list);

  function show(open) {
    list.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    input.removeAttribute("aria-activedescendant");
    at = -1;
  }

  function mark(next) {
    list.children[at]?.setAttribute("aria-selected", "false");
    at = (next + hits.length) % hits.length;
    const chosen = list.children[at];
    chosen.setAttribute("aria-selected", "true");
    chosen.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", chosen.id);
  }

  function pick(hit) {
    show(false);
    input.value = "";
    onPick(hit);
  }

  const look = calmly(async () => {
    const text = input.value.trim();
    if (!text) return show(false);
    const found = await get("search", { q: text, limit: 12 }).catch(() => ({ hits: [] }));
    if (text !== input.value.trim()) return;
    hits = found.hits.filter((hit) => kinds(hit.kind));
    list.replaceChildren(...hits.map((hit, number) => h("li",
      { id: `${id}-${number}`, role: "option", "aria-selected": "false",
        onpointerdown: (event) => { event.preventDefault(); pick(hit); } },
      h("span", null, hit.label), h("small", null, ` ${hit.kind}`))));
    if (!hits.length) {
      list.append(h("li", { className: "soft", role: "option", "aria-disabled": "true" },
        `Nothing is called “${text}”.`));
    }
    show(true);
  });

  input.addEventListener("input", look);
  input.addEventListener("blur", () => show(false));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(false);
    if (!hits.length || list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      mark(event.key === "ArrowDown" ? at + 1 : Math.max(at, 0) - 1);
    }
    if (event.key === "Enter") {
      event.preventDefault();
      pick(hits[Math.max(at, 0)]);
    }
  });
  return input;
}
