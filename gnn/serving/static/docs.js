// The API as OpenAPI describes it, with a form to try each GET route.
import { h } from "./dom.js";

const holder = document.getElementById("docs");
const api = await (await fetch("/api/v1/openapi.json")).json();

const typed = (schema = {}) => {
  const one = schema.anyOf?.find((part) => part.type !== "null") ?? schema;
  if (one.$ref) return one.$ref.split("/").at(-1);
  if (one.type === "array") return `list of ${typed(one.items)}`;
  const bounds = [one.minimum !== undefined ? `from ${one.minimum}` : "",
    one.maximum !== undefined ? `to ${one.maximum}` : ""].filter(Boolean).join(" ");
  return [one.type ?? "any", bounds].filter(Boolean).join(" ");
};

function route(path, method, about) {
  const fields = (about.parameters ?? []).map((one) => ({ ...one, input: h("input", {
    id: `${about.operationId}-${one.name}`, required: one.required,
    placeholder: one.schema?.default ?? "" }) }));
  const output = h("pre", { tabIndex: 0, hidden: true, ariaLabel: "Answer", role: "region" });
  const form = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    for (const { name, input, in: where } of fields) {
      if (!input.value) continue;
      if (where === "path") url = url.replace(`{${name}}`, encodeURIComponent(input.value));
      else query.append(name, input.value);
    }
    const answer = await fetch(query.size ? `${url}?${query}` : url);
    output.hidden = false;
    output.textContent = `${answer.status}\n${JSON.stringify(await answer.json(), null, 2)}`;
  } }, fields.map((one) => h("div", { className: "field" },
    h("label", { htmlFor: one.input.id }, one.name, h("small", { className: "soft" },
      ` ${typed(one.schema)}${one.required ? "" : ", optional"}`,
      one.description ? ` – ${one.description}` : "")), one.input)),
  h("button", { type: "submit" }, "Try"));
  const body = about.requestBody?.content["application/json"]?.schema;
  const answer = about.responses["200"]?.content?.["application/json"]?.schema;
  return h("section", { className: "card" },
    h("h2", null, h("code", null, `${method.toUpperCase()} ${path}`)),
    h("p", null, about.description ?? about.summary),
    body ? h("p", { className: "soft" }, "Body: ", typed(body)) : null,
    h("p", { className: "soft" }, "Answer: ", typed(answer)),
    method === "get" ? [form, output] : null);
}

holder.replaceChildren(h("h1", null, "API"),
  h("p", null, "Typed JSON; problems are those of RFC 9457. For machines: ",
    h("a", { href: "/api/v1/openapi.json" }, "openapi.json"), "."),
  ...Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, about]) => route(path, method, about))),
  h("h2", null, "Types"),
  ...Object.entries(api.components.schemas).map(([name, schema]) => h("details", null,
    h("summary", null, name), h("p", null, schema.description ?? ""),
    h("ul", null, Object.entries(schema.properties ?? {}).map(([field, one]) => h("li", null,
      h("code", null, field), ` ${typed(one)}${one.description ? ` – ${one.description}` : ""}`))))));
document.documentElement.dataset.theme = localStorage.getItem("theme")
  ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
