// The neighbourhood of a node: click to look, expand to see more.
import { get } from "./api.js";
import { h, link, path, say } from "./dom.js";
import { keep } from "./user.js";
import { createExplorer } from "/view/explorer.js";

const WAYS = { user: (key) => `users/${path(key)}`, interest: (key) => `interests/${path(key)}` };
const way = ({ kind, key }) =>
  `${WAYS[kind]?.(key) ?? `items/${path(kind, key)}`}/neighborhood`;
const EXPANDED = 16;

// An explorer with its tools; it is drawn when the page stands in the document.
export async function network({ kind, key, page, query = new URLSearchParams() }) {
  const settings = { hops: query.get("hops") ?? 2, limit: 40,
    others: query.get("others") === "true" };
  const holder = h("div", { className: "network" });
  const hops = h("select", { ariaLabel: "Steps from the centre" },
    [1, 2, 3].map((n) => h("option", { value: n, selected: n === Number(settings.hops) },
      `${n} step${n > 1 ? "s" : ""}`)));
  const others = h("input", { type: "checkbox", checked: settings.others });
  const tools = [hops, h("label", null, others, "show other users")];
  let explorer = null;
  const theme = () => document.documentElement.dataset.theme;

  async function draw() {
    const elements = await get(way({ kind, key }), settings);
    explorer?.destroy();
    explorer = createExplorer(holder, elements, {
      theme: theme(), tools, themed: false,
      onExpand: async (node) => {
        const more = await get(way(node), { hops: 1, limit: EXPANDED, others: settings.others });
        explorer.add(more);
        say(`${more.nodes.length - 1} nodes around ${node.label}`);
      },
      onCenter: (node) => location.assign(`${link.node(node.kind, node.key)}${
        node.kind === "user" ? "/network" : ""}`),
    });
    holder.explorer = explorer;
  }
  const changed = () => {
    Object.assign(settings, { hops: hops.value, others: others.checked });
    query.set("hops", settings.hops);
    query.set("others", settings.others);
    keep(query);
    draw().catch((error) => holder.replaceChildren(h("p", { role: "alert" }, error.message)));
  };
  hops.addEventListener("change", changed);
  others.addEventListener("change", changed);
  const themed = ({ detail }) => (holder.isConnected
    ? explorer?.setTheme(detail) : removeEventListener("theme", themed));
  addEventListener("theme", themed);
  page.addEventListener("shown", () => draw().catch((error) =>
    holder.replaceChildren(h("p", { role: "alert" }, error.message))), { once: true });
  return holder;
}
