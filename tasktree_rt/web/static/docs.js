// The protocol's two documents, to read: HTTP from openapi.json, WebSockets from asyncapi.json.

import { element } from "./dom.js";
import { brief, folded, json, prose, resolve, schemaView, text } from "./schema.js";
import { initTheme } from "./theme.js";
import { tryIt } from "./tryit.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const find = (id) => document.getElementById(id);

const load = async (name) => {
  const response = await fetch(`/api/v1/${name}.json`);
  if (!response.ok) throw new Error(`${name}.json: ${response.status}`);
  return response.json();
};

function card(id, head, ...children) {
  const made = element("article", "card", head, ...children);
  made.id = id;
  return made;
}

const titled = (words, ...children) => element("section", "", text("h4", "", words), ...children);

function table(headings, rows) {
  const head = element("tr", "", ...headings.map((words) => text("th", "", words)));
  const body = rows.map((cells) => element("tr", "", ...cells.map((cell) => element("td", "", cell))));
  return element("div", "scroll", element("table", "", element("thead", "", head), element("tbody", "", ...body)));
}

// --- HTTP ------------------------------------------------------------------------------------------

function* operationsOf(doc) {
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (!operation) continue;
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => resolve(doc, one));
      yield { path, method, operation, parameters };
    }
  }
}

function parameterTable(doc, parameters) {
  const rows = parameters.map(({ name, in: where, required, description, schema }) => [
    element("span", "", text("code", "key", name), ...(required ? [text("span", "needed", "required")] : [])),
    text("span", "muted", where),
    text("span", "type", brief(schema)),
    prose(description, "prose small"),
  ]);
  return table(["name", "in", "type", ""], rows);
}

function contentView(doc, content) {
  return Object.entries(content ?? {}).flatMap(([kind, { schema, example, examples }]) => {
    const views = [text("p", "kind", kind), folded(doc, brief(schema), schema)];
    if (example !== undefined) views.push(json(example));
    for (const { summary, value } of Object.values(examples ?? {})) views.push(text("p", "small muted", summary), json(value));
    return views;
  });
}

function responseView(doc, status, given) {
  const response = resolve(doc, given);
  const summary = element("summary", "", text("b", `code s${status[0]}`, status), " ", response.description.split("\n")[0].replaceAll("`", ""));
  const headers = Object.entries(response.headers ?? {}).map(([name, one]) => prose(`Header \`${name}\`: ${one.description}`, "prose small"));
  const details = element("details", "fold response", summary, ...headers, ...contentView(doc, response.content));
  details.open = status.startsWith("2");
  return details;
}

function operationView(doc, { path, method, operation, parameters }) {
  const head = element("h3", "route", text("span", `method ${method}`, method), text("code", "path", path));
  const parts = [text("p", "summary", operation.summary), prose(operation.description)];
  if (parameters.length) parts.push(titled("Parameters", parameterTable(doc, parameters)));
  const body = operation.requestBody;
  if (body) parts.push(titled("Body", ...(body.description ? [prose(body.description, "prose small")] : []), ...contentView(doc, body.content)));
  const answers = Object.entries(operation.responses).map(([status, one]) => responseView(doc, status, one));
  parts.push(titled("Answers", ...answers));
  if (method === "get") parts.push(tryIt(path, parameters));
  return card(`http/${operation.operationId}`, head, ...parts);
}

function httpSection(doc) {
  const found = [...operationsOf(doc)];
  const groups = doc.tags.map(({ name, description }) => {
    const ours = found.filter(({ operation }) => operation.tags.includes(name));
    return { name, description, cards: ours.map((one) => operationView(doc, one)), links: ours.map(linkOf) };
  });
  return { id: "http", title: "HTTP", doc, groups };
}

const linkOf = ({ path, method, operation }) => ({
  href: `#http/${operation.operationId}`,
  parts: [text("span", `method ${method}`, method), operation.summary],
  words: `${path} ${operation.summary}`,
});

// --- WebSockets --------------------------------------------------------------------------------------

function messageView(doc, id, given) {
  const message = resolve(doc, given);
  const summary = element("summary", "", text("code", "key", message.name), " ", text("span", "muted", message.summary));
  const details = element("details", "fold message", summary);
  details.id = id;
  details.addEventListener(
    "toggle",
    () => details.append(schemaView(doc, message.payload), ...message.examples.map(({ payload }) => json(payload))),
    { once: true },
  );
  return details;
}

function channelView(doc, [key, channel]) {
  const head = element("h3", "route", text("span", "method ws", "ws"), text("code", "path", channel.address));
  const { query, headers } = channel.bindings.ws;
  const rows = [["query", query], ["header", headers]].flatMap(([where, schema]) =>
    Object.entries(schema?.properties ?? {}).map(([name, one]) => [
      text("code", "key", name),
      text("span", "muted", where),
      text("span", "type", brief(one)),
      prose(resolve(doc, one).description ?? "", "prose small"),
    ]),
  );
  const said = Object.values(doc.operations).filter((one) => one.channel.$ref === `#/channels/${key}`);
  const directions = said.map(({ action, messages }) =>
    titled(action === "send" ? "The hub says" : "The hub hears", ...messages.map((one) => messageView(doc, `ws/${key}/${one.$ref.split("/").at(-1)}`, one))),
  );
  const closes = channel["x-close-codes"].map(({ code, reason, advice }) => [text("b", "code", code), reason, advice]);
  const parts = [text("p", "summary", channel.title), prose(`${channel.summary} ${channel.description}`)];
  parts.push(titled("Request", table(["name", "in", "type", ""], rows)), ...directions);
  parts.push(titled("Close codes", table(["code", "means", "the client should"], closes)));
  return card(`ws/${key}`, head, ...parts);
}

function socketSection(doc) {
  const channels = Object.entries(doc.channels);
  const links = channels.map(([key, { title, address }]) => ({
    href: `#ws/${key}`,
    parts: [text("span", "method ws", "ws"), title],
    words: `${address} ${title}`,
  }));
  const cards = channels.map((one) => channelView(doc, one));
  return { id: "ws", title: "WebSockets", doc, groups: [{ name: "Channels", description: "", cards, links }] };
}

// --- the page ----------------------------------------------------------------------------------------

function sectionView({ id, title, doc, groups }) {
  const file = id === "http" ? "openapi.json" : "asyncapi.json";
  const source = element("a", "small", file);
  source.href = `/api/v1/${file}`;
  const head = element("h1", "", title, " ", source);
  const parts = groups.flatMap(({ name, description, cards }) => [
    element("h2", "", name, ...(description ? [" ", text("span", "muted", description)] : [])),
    ...cards,
  ]);
  return element("section", "document", head, prose(doc.info.description), ...parts);
}

function contentsView({ title, groups }) {
  const parts = groups.flatMap(({ name, links }) => [
    text("h3", "", name),
    ...links.map(({ href, parts: words, words: all }) => {
      const link = element("a", "", ...words);
      link.href = href;
      link.dataset.words = all.toLowerCase();
      return link;
    }),
  ]);
  return element("section", "", text("h2", "", title), ...parts);
}

/** Keep only what has these words in it, in the contents and on the page. */
function search(words) {
  for (const link of find("contents").querySelectorAll("a")) link.hidden = !link.dataset.words.includes(words);
  for (const one of document.querySelectorAll(".card")) one.hidden = !one.textContent.toLowerCase().includes(words);
}

function toAddress() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
  target?.scrollIntoView();
  menu(false);
}

function menu(open) {
  document.body.classList.toggle("menu-open", open);
  find("menu").setAttribute("aria-expanded", open);
}

async function start() {
  initTheme(find("theme"));
  find("menu").addEventListener("click", () => menu(!document.body.classList.contains("menu-open")));
  find("search").addEventListener("input", ({ target }) => search(target.value.trim().toLowerCase()));
  try {
    const [openapi, asyncapi] = await Promise.all([load("openapi"), load("asyncapi")]);
    const sections = [httpSection(openapi), socketSection(asyncapi)];
    find("contents").replaceChildren(...sections.map(contentsView));
    find("main").replaceChildren(...sections.map(sectionView));
    addEventListener("hashchange", toAddress);
    if (location.hash) toAddress();
  } catch (error) {
    find("main").replaceChildren(text("p", "muted", `The documents cannot be read: ${error.message}`));
  }
  find("main").removeAttribute("aria-busy");
}

start();
