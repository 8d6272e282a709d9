// The JSON API; a problem (RFC 9457) becomes an error with its text.
export class Problem extends Error {
  constructor(body, status) {
    super(body.detail ?? body.title ?? `The server answered ${status}.`);
    this.status = status;
  }
}

async function answered(request) {
  const answer = await request;
  if (answer.status === 401) location.assign("/login");
  const body = await answer.json();
  if (!answer.ok) throw new Problem(body, answer.status);
  return body;
}

export function get(path, parameters = {}, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) {
      if (one !== undefined && one !== null && one !== "") query.append(name, one);
    }
  }
  const text = query.toString();
  return answered(fetch(`/api/v1/${path}${text && `?${text}`}`, { signal }));
}

export function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  const facts = { method: "POST", headers, body: JSON.stringify(body), signal };
  return answered(fetch(`/api/v1/${path}`, facts));
}

let model;
export const modelFacts = () => (model ??= get("model"));
