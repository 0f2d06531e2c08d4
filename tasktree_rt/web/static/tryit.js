// "Try it": a GET against this hub, with what it answers.

import { element } from "./dom.js";
import { text } from "./schema.js";

const MOST = 64 * 1024; // characters that are shown
const STREAM_FOR = 3_000; // milliseconds that a stream is listened to

export function tryIt(path, parameters) {
  const fields = parameters.map((one) => [one, input(one)]);
  const send = text("button", "send", "Try it");
  const form = element("form", "try", ...fields.map(([one, field]) => element("label", "", one.name, field)), send);
  const answer = element("div", "answer");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    answer.replaceChildren(text("p", "muted", "…"));
    try {
      await ask(path, fields, answer);
    } catch (error) {
      answer.replaceChildren(text("p", "muted", `No answer: ${error.message}`));
    }
    send.disabled = false;
  });
  return element("section", "", form, answer);
}

function input({ name, example, required, schema }) {
  const field = element("input");
  field.name = name;
  field.required = Boolean(required);
  field.placeholder = String(example ?? schema.default ?? "");
  field.autocomplete = "off";
  field.spellcheck = false;
  return field;
}

function addressOf(path, fields) {
  const query = new URLSearchParams();
  const headers = {};
  let target = path;
  for (const [{ name, in: where }, { value }] of fields) {
    if (where === "path") target = target.replace(`{${name}}`, encodeURIComponent(value));
    else if (value && where === "query") query.set(name, value);
    else if (value) headers[name] = value;
  }
  return { url: query.size ? `${target}?${query}` : target, headers };
}

async function ask(path, fields, answer) {
  const { url, headers } = addressOf(path, fields);
  const token = sessionStorage.getItem("tasktree-rt.token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const stop = new AbortController();
  const response = await fetch(url, { headers, signal: stop.signal });
  const type = response.headers.get("Content-Type") ?? "";
  const body = type.startsWith("text/event-stream") ? await listen(response, stop) : await response.text();
  const shown = /json/.test(type) ? JSON.stringify(JSON.parse(body), null, 2) : body;
  answer.replaceChildren(
    text("p", "kind", `GET ${url}`),
    text("p", `code s${String(response.status)[0]}`, `${response.status} ${type}`),
    text("pre", "example", shown.length > MOST ? `${shown.slice(0, MOST)}…` : shown),
  );
}

async function listen(response, stop) {
  setTimeout(() => stop.abort(), STREAM_FOR);
  const decoder = new TextDecoder();
  let body = "";
  try {
    for await (const piece of response.body) body += decoder.decode(piece, { stream: true });
  } catch {
    body += "\n(the stream goes on; this page stopped listening)";
  }
  return body;
}
