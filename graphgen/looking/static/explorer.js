// A view with what one needs to look around alone: search, details, dark and light.
import { kindColor, systemTheme } from "./colors.js";
import { moreText } from "./styles.js";
import { createView } from "./view.js";

const SHOWN = 12;

function make(tag, parent, facts = {}) {
  const made = Object.assign(document.createElement(tag), facts);
  parent?.append(made);
  return made;
}

// onExpand(node) and onCenter(node) are called with the facts of a node, onSearch(text) with what is
// sought beyond the picture, which is answered by offer(); without them the explorer offers none of
// these; without `themed` the page has a switch between dark and light of its own. `tools` are
// elements for the bar, such as a choice of relations.
export function createExplorer(container, elements, options = {}) {
  const { onExpand, onCenter, onSearch, tools = [], title = "", themed = true } = options;
  let theme = options.theme ?? systemTheme();
  const root = make("div", container, { className: "ig-explorer" });
  const bar = make("div", root, { className: "ig-bar" });
  if (title) make("h1", bar, { textContent: title });
  const find = make("div", bar, { className: "ig-find" });
  const input = make("input", find, { type: "search", placeholder: "Search titles" });
  input.setAttribute("aria-label", onSearch ? "Search the graph" : "Search this picture");
  const found = make("ul", find, { hidden: true });
  bar.append(...tools);
  const button = (text, act) => {
    make("button", bar, { type: "button", textContent: text }).addEventListener("click", act);
  };
  button("Fit to window", () => view.fit());
  if (themed) button("Dark / light", () => setTheme(theme === "dark" ? "light" : "dark"));
  button("Save picture", () => {
    const ground = getComputedStyle(root).backgroundColor;
    make("a", null, { href: view.cy.png({ scale: 2, full: true, bg: ground }),
      download: "neighborhood.png" }).click();
  });
  const body = make("div", root, { className: "ig-body" });
  const stage = make("div", body, { className: "ig-stage" });
  const panel = make("section", body, { className: "ig-panel" });
  panel.setAttribute("aria-label", "Details of the selected node");

  const start = elements.nodes.find((node) => node.center);
  const view = createView(stage, elements, { theme, labels: options.labels, onSelect: show,
    onExpand });

  let shown = start?.id;
  function show(node) {
    if (!node) return start ? show(view.facts(start.id)) : undefined;
    shown = node.id;
    panel.replaceChildren();
    make("h2", panel, { textContent: node.label });
    const kind = make("p", panel, { className: "ig-kind" });
    make("span", kind, { className: "ig-swatch" }).style.backgroundColor =
      kindColor(node.kind, elements.domains, theme);
    kind.append([node.kind, node.category].filter(Boolean).join(" · "));
    make("p", panel, { textContent: `${node.degree.toLocaleString("en")} links in the graph`
      + (moreText(node.more) ? `; not shown: ${moreText(node.more).replaceAll("+", "")}` : "") });
    const acts = make("p", panel, { className: "ig-acts" });
    const act = (text, call) => {
      make("button", acts, { type: "button", textContent: text })
        .addEventListener("click", () => call(node));
    };
    if (onExpand && moreText(node.more)) act("Expand", onExpand);
    if (onCenter && !node.center) act("Centre here", onCenter);
    const list = make("ul", panel);
    for (const link of node.links) {
      const entry = make("li", list);
      const go = make("button", entry, { type: "button", textContent: link.label });
      go.addEventListener("click", () => view.focus(link.id));
      make("small", entry, { textContent: ` ${link.text}` });
    }
  }

  let waiting;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    const asked = onSearch && input.value.trim();
    waiting = asked ? setTimeout(() => onSearch(input.value), 250) : null;
    list(view.search(input.value));
  });

  function list(nodes) {
    found.replaceChildren(...nodes.slice(0, SHOWN).map((node) => {
      const entry = make("li");
      make("button", entry, { type: "button", textContent: `${node.label} (${node.kind})` })
        .addEventListener("click", () => {
          if (!view.focus(node.id)) onCenter?.(node);
          stop();
        });
      return entry;
    }));
    if (!nodes.length) make("li", found, { textContent: waiting ? "Searching…" : "Nothing found" });
    found.hidden = !input.value.trim();
  }

  // Nodes of the whole graph that hold `text`, after those of the picture.
  function offer(nodes, text) {
    if (text !== input.value) return;
    waiting = null;
    const here = view.search(text), ids = new Set(here.map((node) => node.id));
    list([...here, ...nodes.filter((node) => !ids.has(node.id))]);
  }
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") found.querySelector("button")?.click();
    if (event.key === "Escape") { view.search(""); stop(); }
  });
  root.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target !== input) { event.preventDefault(); input.focus(); }
  });

  function stop() {
    input.value = "";
    found.hidden = true;
    view.cy.nodes().removeClass("match");
  }

  function setTheme(next) {
    theme = root.dataset.theme = next;
    view.setTheme(theme);
    if (shown) show(view.facts(shown));
  }

  function add(more) {
    view.add(more);
    if (shown) show(view.facts(shown));
  }

  root.dataset.theme = theme;
  if (start) show(view.facts(start.id));
  return { ...view, add, setTheme, offer, destroy() { view.destroy(); root.remove(); } };
}
