// The router: every view has its address behind the #.
import { Problem, modelFacts } from "./api.js";
import { h, link } from "./dom.js";
import { searchBox } from "./search.js";
import { attributeView, itemView, interestView, startView } from "./places.js";
import { mapView } from "./map.js";
import { migrationView } from "./migration.js";
import { userView } from "./user.js";
import { systemTheme } from "/view/colors.js";

const VIEWS = { "": startView, user: userView, item: itemView, interest: interestView,
  attribute: attributeView, map: mapView, migration: migrationView };
const main = document.getElementById("main");
let running = null;

function parsed() {
  const [way, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: way.split("/").map(decodeURIComponent), query: new URLSearchParams(query) };
}

async function route() {
  if (location.hash && !location.hash.startsWith("#/")) return;
  running?.abort();
  const { signal } = (running = new AbortController());
  const { parts: [name, ...rest], query } = parsed();
  for (const one of document.querySelectorAll("header nav a")) {
    if (one.hash === `#/${name}`) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  const page = h("div", { className: "page" });
  try {
    const view = VIEWS[name];
    if (!view) throw new Problem({ detail: "There is no such view." }, 404);
    main.setAttribute("aria-busy", "true");
    await view(page, rest, query, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) console.error(error);
    page.replaceChildren(h("h1", null, "This could not be shown"),
      h("p", { role: "alert" }, error.message), h("p", null, h("a", { href: "#/" }, "To the start")));
  }
  if (signal.aborted) return;
  main.replaceChildren(page);
  main.setAttribute("aria-busy", "false");
  page.dispatchEvent(new Event("shown"));
  const heading = page.querySelector("h1");
  document.title = heading ? `${heading.textContent} – Interest explorer` : "Interest explorer";
  if (started) main.focus({ preventScroll: true });
  started = true;
  scrollTo(0, 0);
}

let started = false;
const theme = document.getElementById("theme");

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  dispatchEvent(new CustomEvent("theme", { detail: name }));
}

theme.addEventListener("click", () => {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", next);
  setTheme(next);
});
setTheme(localStorage.getItem("theme") ?? systemTheme());
const box = searchBox(document.getElementById("find"), {
  label: "Search a user, an item or an interest", placeholder: "Search users, items, interests",
  onPick: (hit) => location.assign(link.node(hit.kind, hit.id)),
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
    event.preventDefault();
    box.focus();
  }
});
addEventListener("hashchange", route);
modelFacts().catch(() => null).then(route);
