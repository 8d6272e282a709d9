// Elements, numbers and dates. Texts are always set as text, never as HTML.
const SVG = "http://www.w3.org/2000/svg";

function filled(made, facts, children) {
  for (const [name, value] of Object.entries(facts ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(made.style, value);
    else if (name in made && !(made instanceof SVGElement)) made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

export const h = (tag, facts, ...children) => filled(document.createElement(tag), facts, children);
export const s = (tag, facts, ...children) =>
  filled(document.createElementNS(SVG, tag), facts, children);

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
export const count = (n, noun, plural = `${noun}s`) =>
  `${n.toLocaleString("en")} ${n === 1 ? noun : plural}`;
// "13 beauty · 10 games": parts that stay whole where the line breaks.
export const dotted = (parts) => parts.map((part, at) => [at ? " · " : "",
  h("span", { className: "whole" }, part)]).flat();
export const day = (time) => (time ? new Date(time).toISOString().slice(0, 10) : "");
export const month = (time) =>
  new Date(time).toLocaleDateString("en", { month: "short", year: "numeric", timeZone: "UTC" });

export const path = (...parts) => parts.map(encodeURIComponent).join("/");
export const link = {
  user: (id, tab = "") => `#/user/${path(id)}${tab && `/${tab}`}`,
  item: (item) => `#/item/${path(item.domain, item.item_id)}`,
  interest: (name) => `#/interest/${path(name)}`,
  node: (kind, key) => {
    if (kind === "user") return link.user(key);
    if (kind === "attribute") return `#/attribute/${path(key)}`;
    return kind === "interest" ? link.interest(key) : link.item({ domain: kind, item_id: key });
  },
};

export function say(text) {
  document.getElementById("live").textContent = text;
}

// Waits until nothing has happened for a while.
export function calmly(act, wait = 150) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), wait);
  };
}

// Columns of numbers stand to the right, others to the left.
export function table(caption, head, rows) {
  const text = head.map((_, at) => (rows.some((row) => /\p{L}/u.test(row[at])) ? "text" : ""));
  return h("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption },
    h("table", null, h("caption", null, caption),
      h("thead", null, h("tr", null, head.map((name, at) =>
        h("th", { scope: "col", className: text[at] }, name)))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, at) =>
        (at ? h("td", { className: text[at] }, cell) : h("th", { scope: "row" }, cell))))))));
}

// A bar whose length is a share of the widest, from the left or, signed, from the middle.
export function bar(share, className = "") {
  const wide = `${Math.min(100, 100 * Math.abs(share)).toFixed(1)}%`;
  return h("span", { className: `bar ${className} ${share < 0 ? "against" : ""}`, ariaHidden: "true" },
    h("span", { style: { width: wide } }));
}
