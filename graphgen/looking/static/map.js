// A map of items: dots in two dimensions, by domain or by topic, and the way of a user over it.
import { COLORS, FONT, THEMES, kindColor, systemTheme, wheelZooms } from "./colors.js";

const NEAR = 9, NAMED = 14;

// `content` is what graphgen.looking.itemmap.ItemMap.to_dict returns: points, [{x, y, domain, topic,
// title}], domains, topics, way (places of the items of a user, in order), color.
export function createMap(container, content, options = {}) {
  const { points, domains, topics, way = [] } = content;
  let color = content.color ?? "domain", theme = options.theme ?? systemTheme();
  let hidden = new Set(), found = null, size = [1, 1], view = null, chosen = null;
  const make = (tag, parent, facts = {}) => {
    const made = Object.assign(document.createElement(tag), facts);
    parent.append(made);
    return made;
  };
  const root = make("div", container, { className: "ig-view ig-map" });
  const legend = make("div", root, { className: "ig-legend" });
  const stage = make("div", root, { className: "ig-canvas" });
  const canvas = make("canvas", stage);
  const tip = make("div", stage, { className: "ig-tip", hidden: true });
  const live = make("div", root, { className: "ig-live" });
  live.setAttribute("aria-live", "polite");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  const pen = canvas.getContext("2d");

  const count = new Map();
  for (const point of points) count.set(point.topic, (count.get(point.topic) ?? 0) + 1);
  count.delete("");
  const large = [...count].sort((a, b) => b[1] - a[1]).map(([topic]) => topic);
  const kinds = () => (color === "domain" ? domains : large.slice(0, COLORS.length));
  const kindOf = (point) => point[color];
  const tone = (point) => {
    const at = color === "domain" ? 0 : large.indexOf(point.topic);
    if (color === "domain") return kindColor(point.domain, domains, theme);
    return at >= 0 && at < COLORS.length ? COLORS[at] : THEMES[theme].line;
  };
  const spots = [...new Set(large.slice(0, NAMED))].map((topic) => {
    const own = points.filter((point) => point.topic === topic);
    const middle = (axis) => own.map((point) => point[axis]).sort((a, b) => a - b)[own.length >> 1];
    return { topic, x: middle("x"), y: middle("y") };
  });
  canvas.setAttribute("aria-label", `Map of ${points.length} items. Topics: `
    + large.slice(0, NAMED).join("; "));

  function fit() {
    const range = (axis) => {
      const values = points.map((point) => point[axis]);
      return [Math.min(...values), Math.max(...values)];
    };
    const [x0, x1] = range("x"), [y0, y1] = range("y");
    const scale = 0.92 * Math.min(size[0] / (x1 - x0 || 1), size[1] / (y1 - y0 || 1));
    view = { scale, x: size[0] / 2 - (scale * (x0 + x1)) / 2,
      y: size[1] / 2 + (scale * (y0 + y1)) / 2, least: scale };
    draw();
  }

  const at = (point) => [view.x + view.scale * point.x, view.y - view.scale * point.y];

  function draw() {
    if (!view) return;
    const t = THEMES[theme], ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, ...size);
    const radius = Math.min(6, 2.4 * Math.sqrt(view.scale / view.least));
    for (const point of points) {
      if (hidden.has(kindOf(point))) continue;
      const [x, y] = at(point);
      pen.globalAlpha = found && !found.has(point) ? 0.12 : 0.75;
      pen.fillStyle = tone(point);
      pen.beginPath();
      pen.arc(x, y, found?.has(point) ? radius + 2 : radius, 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
    drawWay(t);
    pen.font = `600 12px ${FONT}`;
    pen.textAlign = "center";
    pen.lineWidth = 4;
    const taken = [];
    for (const spot of spots) {
      const [x, y] = at(spot), half = pen.measureText(spot.topic).width / 2 + 4;
      if (taken.some(([a, b, c]) => Math.abs(a - x) < half + c && Math.abs(b - y) < 18)) continue;
      taken.push([x, y, half]);
      pen.strokeStyle = t.ground;
      pen.strokeText(spot.topic, x, y);
      pen.fillStyle = t.ink;
      pen.fillText(spot.topic, x, y);
    }
    if (chosen) {
      const [x, y] = at(chosen);
      pen.strokeStyle = t.ink;
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(x, y, radius + 4, 0, 7);
      pen.stroke();
    }
  }

  function drawWay(t) {
    if (!way.length) return;
    pen.strokeStyle = t.ink;
    pen.lineWidth = 1.2;
    pen.globalAlpha = 0.55;
    pen.beginPath();
    way.forEach((place, step) => pen[step ? "lineTo" : "moveTo"](...at(points[place])));
    pen.stroke();
    pen.globalAlpha = 1;
    pen.font = `600 10px ${FONT}`;
    pen.textAlign = "center";
    const numbered = [];
    way.forEach((place, step) => {
      const [x, y] = at(points[place]);
      const free = numbered.every(([a, b]) => Math.hypot(a - x, b - y) > 15);
      pen.fillStyle = t.ink;
      pen.beginPath();
      pen.arc(x, y, free ? 7.5 : 3.5, 0, 7);
      pen.fill();
      if (!free) return;
      numbered.push([x, y]);
      pen.fillStyle = t.ground;
      pen.fillText(String(step + 1), x, y + 3.5);
    });
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null, least = NEAR ** 2;
    for (const point of points) {
      if (hidden.has(kindOf(point))) continue;
      const [a, b] = at(point), away = (a - x) ** 2 + (b - y) ** 2;
      if (away < least) [best, least] = [point, away];
    }
    return [best, x, y];
  }

  function show(point, x, y) {
    tip.hidden = !point;
    canvas.style.cursor = point ? "pointer" : "grab";
    if (!point) return;
    tip.replaceChildren(Object.assign(document.createElement("b"), { textContent: point.title }),
      Object.assign(document.createElement("small"),
        { textContent: [point.domain, point.topic].filter(Boolean).join(" · ") }));
    tip.style.left = `${Math.max(0, Math.min(x + 12, size[0] - 240))}px`;
    tip.style.top = `${y + 12 + tip.offsetHeight > size[1] ? y - 12 - tip.offsetHeight : y + 12}px`;
  }

  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = [event.clientX - view.x, event.clientY - view.y, event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag) {
      [view.x, view.y] = [event.clientX - drag[0], event.clientY - drag[1]];
      tip.hidden = true;
      draw();
    } else show(...nearest(event));
  });
  canvas.addEventListener("pointerup", (event) => {
    const still = drag && Math.hypot(event.clientX - drag[2], event.clientY - drag[3]) < 4;
    drag = null;
    if (still) choose(nearest(event)[0]);
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("wheel", (event) => {
    if (!wheelZooms(canvas)) return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (step[event.key]) view.x += step[event.key][0], view.y += step[event.key][1], draw();
    else if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.3 : 1 / 1.3);
    else if (event.key === "0") fit();
    else return;
    event.preventDefault();
  });

  function zoom(by, x = size[0] / 2, y = size[1] / 2) {
    const scale = Math.max(view.least / 2, Math.min(view.least * 60, view.scale * by));
    view.x = x - ((x - view.x) * scale) / view.scale;
    view.y = y - ((y - view.y) * scale) / view.scale;
    view.scale = scale;
    tip.hidden = true;
    draw();
  }

  function choose(point) {
    chosen = point;
    live.textContent = point ? `${point.title}, ${point.domain}, ${point.topic}` : "";
    draw();
    options.onSelect?.(point);
  }

  function search(text) {
    const wanted = text.trim().toLowerCase();
    const hits = wanted ? points.filter((point) => point.title.toLowerCase().includes(wanted)) : [];
    found = wanted ? new Set(hits) : null;
    draw();
    return hits;
  }

  function drawLegend() {
    const choices = large.length ? ["domain", "topic"] : [];
    legend.replaceChildren(...choices.map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `by ${name}`;
      button.className = "ig-choice";
      button.setAttribute("aria-pressed", String(color === name));
      button.addEventListener("click", () => {
        color = name;
        hidden = new Set();
        drawLegend();
        draw();
      });
      return button;
    }), ...kinds().map((kind) => {
      const button = document.createElement("button");
      button.type = "button";
      const mark = make("span", button, { className: "ig-swatch" });
      mark.style.backgroundColor = tone({ [color]: kind });
      button.append(kind);
      button.setAttribute("aria-pressed", String(!hidden.has(kind)));
      button.addEventListener("click", () => {
        if (!hidden.delete(kind)) hidden.add(kind);
        button.setAttribute("aria-pressed", String(!hidden.has(kind)));
        draw();
      });
      return button;
    }));
    const input = make("input", legend, { type: "search", placeholder: "Search titles" });
    input.setAttribute("aria-label", "Search titles in this map");
    input.addEventListener("input", () => search(input.value));
  }

  function setTheme(next) {
    theme = root.dataset.theme = next;
    drawLegend();
    draw();
  }

  const resized = new ResizeObserver(() => {
    size = [stage.clientWidth, stage.clientHeight];
    if (!size[0] || !size[1]) return;
    const ratio = devicePixelRatio || 1;
    [canvas.width, canvas.height] = size.map((length) => Math.round(length * ratio));
    fit();
  });
  setTheme(theme);
  resized.observe(stage);
  return { search, setTheme, fit, place: at,
    destroy() { resized.disconnect(); root.remove(); } };
}
