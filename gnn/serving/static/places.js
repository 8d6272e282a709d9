// The start, an item and an interest.
import { get, modelFacts } from "./api.js";
import { count, day, dotted, h, link, path } from "./dom.js";
import { listCard, swatch } from "./lists.js";
import { network } from "./network.js";

export async function startView(page, _, __, signal) {
  const [model, some] = await Promise.all([modelFacts(), get("users", { limit: 8 }, signal)]);
  page.append(
    h("h1", null, "What users like, and what to show them next"),
    h("p", { className: "lead" }, `${count(model.users, "user")}`
      + (model.interests ? ` and ${count(model.interests, "interest")}` : "")
      + ` in the model ${model.model}`
      + (model.created ? `, trained on ${day(model.created)}.` : ".")),
    h("div", { className: "facts" }, model.domains.map((domain) => h("div", { className: "card" },
      h("strong", null, swatch(domain.name), domain.name),
      h("span", null, count(domain.items, "item")),
      h("span", { className: "soft" }, count(domain.interactions, "interaction"))))),
    h("h2", null, "Begin with a user"),
    h("p", { className: "soft" }, "Some users with interactions in several domains. Or search "
      + "above (key /) for a title, an interest or a user id."
      + (model.show_ids ? "" : " User ids are shown hashed unless the app is started with --show-ids.")),
    h("ul", { className: "users" }, some.users.map((user) => h("li", null,
      h("a", { href: link.user(user.user), className: "card" }, h("strong", null, user.label),
        h("span", { className: "soft" }, dotted(Object.entries(user.interactions)
          .filter(([, n]) => n).map(([domain, n]) => `${n} ${domain}`))))))),
    h("h2", null, "Or try your own history"),
    h("p", null, h("a", { href: "#/user/-/whatif" }, "Recommendations for somebody new"),
      ": name a few items and see the lists that follow from them."));
}

export async function itemView(page, [domain, id], query, signal) {
  const found = await get(`items/${path(domain, id)}/similar`, { k: 10 }, signal);
  page.append(h("h1", null, found.item.title),
    h("p", { className: "soft" }, swatch(domain), `${domain} · ${id}`));
  await addNetwork(page, { kind: domain, key: id, page, query });
  page.append(h("h2", null, "Similar items"),
    h("p", { className: "soft" }, "In each domain the items that the model finds closest to "
      + "this one; a bar compares a score with the best of its list."),
    h("div", { className: "cards" }, found.lists.map((list) => listCard(list, { level: "h3" }))));
}

export async function interestView(page, [name], query, signal) {
  const found = await get(`interests/${path(name)}/items`, {}, signal);
  page.append(h("h1", null, found.interest),
    h("p", { className: "soft" }, `An interest of ${count(found.users, "user")}, named by the `
      + "words that are typical of its items."));
  await addNetwork(page, { kind: "interest", key: name, page, query });
  page.append(h("h2", null, "Typical items"),
    h("p", { className: "soft" }, "A bar compares how typical an item is with the first "
      + "of its list."),
    h("div", { className: "cards" }, found.lists.map((list) => listCard(list, { level: "h3" }))));
}

export async function attributeView(page, [name], query) {
  page.append(h("h1", null, name), h("p", { className: "soft" }, "An attribute that items share."));
  await addNetwork(page, { kind: "attribute", key: name, page, query });
}

async function addNetwork(page, about) {
  if ((await modelFacts()).graph) page.append(await network(about));
}
