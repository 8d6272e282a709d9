// The interest map: topics by name, items as dots, and a user's way over it.
import { get, modelFacts } from "./api.js";
import { count, day, h, link, s } from "./dom.js";
import { swatch } from "./lists.js";
import { kindColor } from "/view/colors.js";

// The picture is SIZE wide, and FLAT as high.
const SIZE = 1000, FLAT = 0.75, LABELS = 60, STEPS = 20;
const across = (x) => ((x + 1) / 2) * SIZE;
const down = (y) => ((y + 1) / 2) * SIZE * FLAT;

export async function mapView(page, _, query, signal) {
  page.append(h("h1", null, "Interest map"), await mapPanel({
    user: query.get("user"), model: await modelFacts(), signal }));
}

export async function mapPanel({ user, model, signal }) {
  const found = await get("map", { user }, signal);
  const domains = model.domains.map(({ name }) => name);
  const color = (item) => kindColor(item.domain, domains);
  const dot = (item, radius, name) => s("circle", { cx: across(item.x), cy: down(item.y), r: radius,
    fill: color(item), class: name }, s("title", {}, `${item.title} (${item.domain})`));
  const way = found.way;
  const svg = s("svg", { viewBox: `0 0 ${SIZE} ${SIZE * FLAT}`, class: "map", role: "group",
    "aria-label": `${count(found.topics.length, "interest")} and ${count(found.items.length, "item")}`
      + (way.length ? `, and the way of the user over ${count(way.length, "item")}` : "") });
  const labels = s("g", { class: "labels" });
  svg.append(
    s("g", { class: way.length ? "dim" : "" }, found.items.map((item) => dot(item, 3, "dot"))),
    found.ordered ? s("g", { class: "way" }, steps(way)) : "",
    s("g", {}, way.map((item) => dot(item, 7, "step"))),
    ...(way.length && found.ordered ? [mark(way.at(-Math.min(way.length, STEPS + 1)), "first"), mark(way.at(-1), "last")] : []), labels);
  // A pixel of the screen, in units of the picture: names stay legible on a phone.
  const pixel = () => view.size / (svg.clientWidth || SIZE);
  const place = () => {
    svg.style.setProperty("--k", pixel());
    labels.replaceChildren(...placed(found.topics, view, way, pixel()));
  };
  const view = { x: 0, y: 0, size: SIZE };

  // Shows a part `size` wide around a point.
  function look(size, cx, cy) {
    view.size = Math.min(SIZE, Math.max(SIZE / 12, size));
    view.x = Math.min(SIZE - view.size, Math.max(0, cx - view.size / 2));
    view.y = Math.min(FLAT * (SIZE - view.size), Math.max(0, cy - FLAT * view.size / 2));
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.size} ${FLAT * view.size}`);
    place();
  }
  const zoom = (by) => look(view.size * by, view.x + view.size / 2, view.y + FLAT * view.size / 2);
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    const px = (event.clientX - box.left) / box.width, py = (event.clientY - box.top) / box.height;
    const x = view.x + px * view.size, y = view.y + py * FLAT * view.size;
    const size = Math.min(SIZE, Math.max(SIZE / 12, view.size * (event.deltaY > 0 ? 1.2 : 1 / 1.2)));
    look(size, x + (0.5 - px) * size, y + (0.5 - py) * FLAT * size);
  }, { passive: false });
  svg.addEventListener("pointermove", (event) => {
    if (!(event.buttons & 1)) return;
    const scale = view.size / svg.getBoundingClientRect().width;
    look(view.size, view.x + view.size / 2 - event.movementX * scale,
      view.y + FLAT * view.size / 2 - event.movementY * scale);
  });
  new ResizeObserver(place).observe(svg);
  look(SIZE, SIZE / 2, FLAT * SIZE / 2);
  const tool = (text, label, act) =>
    h("button", { type: "button", ariaLabel: label, onclick: act }, text);
  const move = (dx, dy) => look(view.size, view.x + view.size * (0.5 + dx),
    view.y + FLAT * view.size * (0.5 + dy));
  const holder = h("div", { className: "maphold", tabIndex: 0, role: "group",
    ariaLabel: "Map; plus and minus zoom, arrow keys move", onkeydown: (event) => {
      const act = { "+": () => zoom(1 / 1.4), "=": () => zoom(1 / 1.4), "-": () => zoom(1.4),
        ArrowLeft: () => move(-0.2, 0), ArrowRight: () => move(0.2, 0),
        ArrowUp: () => move(0, -0.2), ArrowDown: () => move(0, 0.2) }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    } }, svg);
  return h("div", null,
    h("p", { className: "soft" }, "Interests that share users or contents lie near each other; "
      + "a dot is an item, near its interests; names are interests. Zoom in for more names.",
      !way.length ? "" : found.ordered ? " The line is the user's way over the latest items, from the ring to the full mark."
        : " Large dots are the user's items."),
    h("div", { className: "row tools" },
      h("div", { className: "legend" }, domains.map((name) => h("span", null, swatch(name), name))),
      h("div", { className: "choice" }, tool("+", "Zoom in", () => zoom(1 / 1.4)),
        tool("−", "Zoom out", () => zoom(1.4)),
        tool("Whole map", "Whole map", () => look(SIZE, SIZE / 2, FLAT * SIZE / 2)))),
    holder,
    h("details", null, h("summary", null, way.length ? "The user's items as a list" : "Interests as a list"),
      way.length
        ? h("ol", null, way.map((item) => h("li", null, h("a", { href: link.item(item) }, item.title),
          h("small", { className: "soft" }, ` ${item.domain} ${day(item.time)}`))))
        : h("ul", { className: "columns" }, [...found.topics].sort((a, b) => b.share - a.share)
          .map((one) => h("li", null, h("a", { href: link.interest(one.interest) },
            one.interest))))));
}

// The latest steps of the way, the older the fainter.
function steps(way) {
  const latest = way.slice(-STEPS - 1);
  return latest.slice(1).map((item, at) => s("line", {
    x1: across(latest[at].x), y1: down(latest[at].y), x2: across(item.x), y2: down(item.y),
    "stroke-opacity": (0.08 + (0.72 * (at + 1)) / (latest.length - 1)).toFixed(2) }));
}

function mark(item, name) {
  return s("circle", { cx: across(item.x), cy: down(item.y), r: 12, class: `end ${name}` });
}

// The names of the largest interests in sight that do not cover each other.
function placed(topics, view, way, k) {
  const tall = 17 * k, wide = 7.4 * k;
  const taken = [], names = [];
  const near = (one) => way.some((item) => Math.hypot(item.x - one.x, item.y - one.y) < 0.06);
  const order = [...topics].sort((a, b) => near(b) - near(a) || b.share - a.share);
  for (const one of order) {
    const x = across(one.x), y = down(one.y);
    if (x < view.x || x > view.x + view.size || y < view.y || y > view.y + FLAT * view.size) continue;
    const text = one.interest.length > 30 ? `${one.interest.slice(0, 29)}…` : one.interest;
    const half = (text.length * wide) / 2;
    const left = Math.min(Math.max(x, view.x + half), view.x + view.size - half);
    const box = [left - half, y - tall, left + half, y + tall / 3];
    if (taken.some((b) => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1])) continue;
    taken.push(box);
    names.push(s("a", { href: link.interest(one.interest) },
      s("text", { x: left, y, "font-size": 13 * k, "text-anchor": "middle" }, text)));
    if (names.length >= LABELS) break;
  }
  return names;
}
