// A user: recommendations, profile, neighbourhood, new interests, what if, map.
import { get, modelFacts } from "./api.js";
import { calmly, count, day, dotted, h, link, path, percent, say, bar } from "./dom.js";
import { itemList, listCard } from "./lists.js";
import { lineChart } from "./charts.js";
import { mapPanel } from "./map.js";
import { network } from "./network.js";
import { strangerView, whatIf } from "./whatif.js";

export const NOBODY = "-";

const TABS = { recommendations: "Recommendations", profile: "Profile", network: "Network",
  expansions: "New interests", whatif: "What if", map: "Map" };

export async function userView(page, [id, tab = "recommendations"], query, signal) {
  if (id === NOBODY) return strangerView(page, await modelFacts(), signal);
  const [model, history] = await Promise.all([
    modelFacts(), get(`users/${path(id)}/history`, {}, signal)]);
  const by = Object.entries(history.interactions).filter(([, n]) => n);
  page.append(
    h("h1", null, history.label),
    h("p", { className: "soft" }, count(history.items.length, "interaction"), ": ",
      by.map(([domain, n]) => `${n.toLocaleString("en")} in ${domain}`).join(", "),
      history.items[0]?.time ? `; the latest on ${day(history.items[0].time)}.` : "."),
    h("nav", { className: "tabs", ariaLabel: "About this user" },
      Object.entries(TABS).map(([name, label]) => h("a", {
        href: link.user(history.user, name), "aria-current": name === tab ? "page" : null }, label))));
  const body = h("div", { className: "tab" });
  page.append(body);
  page.addEventListener("shown", () => page.querySelector(".tabs [aria-current]")
    ?.scrollIntoView({ block: "nearest", inline: "center" }), { once: true });
  const about = { page, body, id: history.user, model, history, query, signal };
  const views = { recommendations, profile, network: around, expansions, whatif: whatIf, map: way };
  await (views[tab] ?? recommendations)(about);
}

// Keeps a setting in the address, without a new entry in the history.
export function keep(query) {
  const [way] = location.hash.split("?");
  history.replaceState(null, "", `${way}${query.size ? `?${query}` : ""}`);
}

async function recommendations({ body, id, model, query, signal }) {
  const lists = h("div", { className: "cards" });
  const chosen = query.get("domain") ?? "";
  const choice = h("div", { className: "choice", role: "group", ariaLabel: "Domain" });
  const load = async (domain) => {
    for (const one of choice.children) {
      one.setAttribute("aria-pressed", String(one.dataset.domain === domain));
    }
    const found = await get(`users/${path(id)}/recommendations`,
      { domain, k: domain ? 30 : 10 }, signal);
    if (domain !== (query.get("domain") ?? "")) return;  // Another was chosen since.
    lists.replaceChildren(...found.lists.map((list) => listCard(list, { user: id })));
    say(`${found.lists.length} lists of recommendations`);
  };
  const names = model.domains.map(({ name }) => name);
  for (const name of names.length > 1 ? ["", ...names] : []) {
    choice.append(h("button", { type: "button", onclick: () => {
      if (name) query.set("domain", name); else query.delete("domain");
      keep(query);
      load(name);
    } }, name || "All domains"));
    choice.lastChild.dataset.domain = name;
  }
  body.append(choice, h("p", { className: "soft" }, "The best items of each domain that the "
    + "user does not have yet; a bar compares a score with the best of its list."), lists);
  await load(chosen);
}

async function profile({ body, id, model, query, signal }) {
  const windows = model.has_time ? query.get("windows") ?? "auto" : undefined;
  const found = await get(`users/${path(id)}/profile`, { windows, k: 12 }, signal);
  const widest = Math.max(...found.interests.map((row) => row.high), 0.01);
  body.append(h("p", { className: "lead" }, found.sentence));
  if (found.evolution) body.append(evolution(found.evolution));
  else if (!model.has_time) {
    body.append(h("p", { className: "soft" },
      "The interactions have no times, so changes of interests over time cannot be shown."));
  }
  body.append(h("h2", null, "Interests"),
    h("p", { className: "soft" }, "Share of the user's interactions that belongs to an interest: "
      + "the estimate (mark) and its 90 % interval (bar). Established interests come "
      + "first; a grey bar marks those that could be chance."),
    h("ol", { className: "interests" }, found.interests.map((row) => h("li",
      { className: row.established ? "" : "faint" },
      h("div", { className: "row" },
        h("a", { href: link.interest(row.interest) }, row.interest),
        h("span", null, percent(row.share, 1), " ",
          h("small", null, `(${percent(row.low, 1)} to ${percent(row.high, 1)})`))),
      span(row, widest),
      h("small", { className: "soft" }, dotted([count(row.interactions, "interaction"),
        row.domains.join(", "),
        row.last_seen ? `last ${day(row.last_seen)}` : null,
        row.trend > 0.01 ? "rising" : row.trend < -0.01 ? "falling" : null,
      ].filter(Boolean))),
      h("div", { className: "chips" }, row.items.slice(0, 4).map((item) =>
        h("a", { href: link.item(item), className: "chip" }, item.title)))))));
}

// The interval of a share, and the share in it.
function span(row, widest) {
  const at = (share) => `${(100 * share / widest).toFixed(1)}%`;
  return h("span", { className: "span", ariaHidden: "true" },
    h("span", { style: { left: at(row.low), width: at(row.high - row.low) } }),
    h("b", { style: { left: at(row.share) } }));
}

function evolution(moves) {
  const names = Object.keys(moves.windows[0]?.shares ?? {});
  const lines = names.map((name) => ({ name, values: moves.windows.map((w) => w.shares[name]) }));
  const verdict = moves.drifts
    ? `Interests have moved from ${moves.away_from} towards ${moves.towards}`
      + ` since ${day(moves.since)} (permutation test, p = ${moves.p_value.toFixed(3)}).`
    : `No significant change over time (permutation test, p = ${moves.p_value.toFixed(2)}).`;
  return h("section", null, h("h2", null, "Change over time"), h("p", null, verdict),
    moves.windows.length > 1
      ? lineChart("Shares of interests over time", moves.windows, lines)
      : h("p", { className: "soft" }, "All interactions are in one window of time."));
}

async function expansions({ body, id, query, signal }) {
  const slider = h("input", { type: "range", id: "boldness", min: 0, max: 1, step: 0.1,
    value: query.get("boldness") ?? 0 });
  const shown = h("output", { htmlFor: "boldness" });
  const list = h("div", { className: "cards" });
  const load = async () => {
    const boldness = slider.value;
    shown.value = Number(boldness).toFixed(1);
    slider.setAttribute("aria-valuetext", `${shown.value} of 1`);
    const found = await get(`users/${path(id)}/expansions`, { boldness, k: 6 }, signal);
    if (boldness !== slider.value) return;  // A slow answer to an earlier question.
    list.replaceChildren(...found.expansions.map(expansion));
    say(`New interests at boldness ${shown.value}: `
      + found.expansions.map((row) => row.interest).join("; "));
  };
  const soon = calmly(() => load().catch((error) => list.replaceChildren(error.message)));
  slider.addEventListener("input", () => {
    shown.value = Number(slider.value).toFixed(1);
    query.set("boldness", slider.value);
    keep(query);
    soon();
  });
  body.append(h("p", null, "Interests that this user does not have yet, with items to start with. "
    + "A higher boldness favours interests farther from the present ones, at a lower chance of "
    + "being liked. Distance: 0 is the same, 1 is unrelated."),
    h("div", { className: "slider" }, h("label", { htmlFor: "boldness" }, "Boldness"),
      h("span", { className: "soft", ariaHidden: "true" }, "close"), slider,
      h("span", { className: "soft", ariaHidden: "true" }, "far"), shown), list);
  await load();
}

function expansion(row) {
  return h("article", { className: "card" },
    h("h2", null, h("a", { href: link.interest(row.interest) }, row.interest)),
    h("p", null, h("small", { className: "soft" }, `starts in ${row.domain} · distance `,
      row.distance.toFixed(2)), bar(row.distance, "thin")),
    h("p", null, row.because, "."),
    itemList(row.items.map((item, at) => ({ ...item, rank: at + 1 }))));
}

async function around({ body, id, page, query }) {
  body.append(await network({ kind: "user", key: id, page, query }));
}

async function way({ body, id, model, signal }) {
  body.append(await mapPanel({ user: id, model, signal }));
}
