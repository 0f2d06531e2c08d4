// People in the loop: a project's open questions with what answers them, and commands to its orchestrator.

import { element } from "./list.js";

const COMMANDS = ["cancel", "retry", "pause", "resume"];
const COMMAND_WAIT = 30; // seconds in which the orchestrator may say what became of a command

/** What the hub answers to a POST of `body`; throws an Error with its words where it refuses. */
async function post(path, body, token) {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(`/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail ?? answer.statusText);
  return found;
}

/** The questions of the project that is shown: one card each, kept while it is open, with what was typed there. */
export class Prompts {
  constructor(place, token) {
    this._place = place;
    this._token = token;
    this._drawn = null;
    this._cards = new Map(); // what the question says -> its card
  }

  draw(prompts) {
    if (prompts === this._drawn) return;
    this._drawn = prompts;
    const cards = new Map();
    for (const one of prompts) {
      const key = JSON.stringify(one);
      cards.set(key, this._cards.get(key) ?? this._card(one));
    }
    this._cards = cards;
    this._place.replaceChildren(...cards.values());
    this._place.hidden = !cards.size;
  }

  _card(prompt) {
    const [words, about, trouble] = [element("p", "question"), element("p", "muted"), element("p", "trouble")];
    words.textContent = String(prompt.message);
    about.textContent = aboutOf(prompt);
    const form = element("form", "answers");
    const card = element("div", "prompt", words, about, form, trouble);
    const give = async (answer) => {
      for (const one of form.elements) one.disabled = true;
      trouble.textContent = "";
      try {
        await post(`/prompts/${encodeURIComponent(prompt.prompt_id)}/answer`, answer, this._token());
      } catch (error) {
        trouble.textContent = error.message;
        for (const one of form.elements) one.disabled = false;
      }
    };
    form.append(...choices(prompt, form, give, trouble));
    return card;
  }
}

function aboutOf({ node_id: node, user_id: user, deadline, default: fallback }) {
  const until = new Date(deadline);
  const value = fallback?.value === undefined ? "" : ` (${JSON.stringify(fallback.value)})`;
  return [
    node === undefined ? "" : `about ${node}`,
    user === undefined ? "" : `for ${user}`,
    `until ${Number.isNaN(until.getTime()) ? deadline : until.toLocaleString()}`,
    `then: ${fallback?.proceed ? "yes" : "no"}${value}`,
  ].filter(Boolean).join(" · ");
}

function choices(prompt, form, give, trouble) {
  const no = button("No", () => give({ proceed: false }));
  if (Array.isArray(prompt.options)) {
    return [...prompt.options.map(({ id, label }) => button(label, () => give({ proceed: true, value: id }))), no];
  }
  if (prompt.schema === undefined) return [button("Yes", () => give({ proceed: true })), no];
  const field = element("input");
  field.placeholder = "a JSON value";
  field.ariaLabel = "value";
  field.title = JSON.stringify(prompt.schema);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      give({ proceed: true, value: read(field.value, prompt.schema) });
    } catch {
      trouble.textContent = 'This is no JSON: text stands in "quotes".';
    }
  });
  const send = element("button", "chip", "Answer");
  return [field, send, no];
}

/** JSON; where the schema asks for text, the text as it is. */
const read = (text, schema) => (schema.type === "string" ? text : JSON.parse(text));

function button(words, click) {
  const made = element("button", "chip");
  made.type = "button";
  made.textContent = words;
  made.addEventListener("click", click);
  return made;
}

/** The commands for the node that is chosen. `target()` is `{projectId, nodeId}`. */
export class Commands {
  constructor(place, said, token, target) {
    this._said = said;
    this._token = token;
    this._target = target;
    this._shown = null;
    place.append(...COMMANDS.map((name) => button(name, () => this._send(name))));
  }

  /** Another node is shown: what was said of the one before is of no interest. */
  draw(nodeId) {
    if (nodeId === this._shown) return;
    this._shown = nodeId;
    this._say("");
  }

  async _send(name) {
    const { projectId, nodeId } = this._target();
    const say = (words) => nodeId === this._shown && this._say(words);
    say(`${name}…`);
    try {
      const path = `/projects/${encodeURIComponent(projectId)}/commands?wait=${COMMAND_WAIT}`;
      const { status, message } = await post(path, { name, node_id: nodeId }, this._token());
      say(`${name}: ${message ? `${status}, ${message}` : status}`);
    } catch (error) {
      say(`${name}: ${error.message}`);
    }
  }

  _say(words) {
    this._said.textContent = words;
  }
}
