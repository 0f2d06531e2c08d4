// The page: the project in the address is watched, and whatever changed is drawn once per frame.

import { Follower } from "./follow.js";
import { Link } from "./link.js";
import { element, List } from "./list.js";
import { Commands, Prompts } from "./people.js";
import { Projects } from "./projects.js";
import { Rows, titleOf } from "./rows.js";
import { initTheme } from "./theme.js";

const TOKEN = "tasktree-rt.token";
const MOST_FIELD = 4_000; // characters of a field that are shown
const REBUILD_SHARE = 8; // rebuilding the rows takes at most one part in so many of the time

const find = (id) => document.getElementById(id);
const screens = ["empty", "token", "project"].map(find);
let token = takeToken();
let follower = null;
let rows = null;
let link = null;
let connection = { name: "idle", words: "choose a project", until: null };
let scheduled = false;
let rebuiltAt = 0;
let rebuildCost = 0;
let rate = { at: 0, seq: null, events: 0 };

const list = new List(find("tree"), find("canvas"), {
  onFold: (id, folded) => (rows.fold(id, folded), schedule()),
  onChoose: () => schedule(),
  wanted: () => schedule(),
});
const prompts = new Prompts(find("prompts"), () => token);
const commands = new Commands(find("commands"), find("told"), () => token, () => ({
  projectId: follower.projectId,
  nodeId: list.chosen,
}));
const projects = new Projects(find("projects"), { token, onList, onDenied: () => askForToken("") });

/** A token may come as #token=…, where no server and no log ever sees it. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(TOKEN, given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(TOKEN) ?? "";
}

function show(id) {
  for (const screen of screens) screen.hidden = screen.id !== id;
}

function addressed() {
  const match = /^#\/(.+)$/.exec(location.hash);
  try {
    return match && decodeURIComponent(match[1]);
  } catch {
    return null;
  }
}

function watch(projectId) {
  link?.close();
  list.choose(null);
  follower = new Follower(projectId);
  rows = new Rows(follower.tree);
  rows.filter(find("filter").value, null);
  find("tree").scrollTop = 0;
  projects.choose(projectId);
  document.title = `${projectId} · tasktree-rt`;
  side(false);
  show("project");
  link = new Link(follower, { token, changed: schedule, moved });
  schedule();
}

function moved(state) {
  connection = state;
  if (state.name === "token") askForToken(state.words);
  else schedule();
}

function askForToken(words) {
  link?.close();
  link = null;
  find("token-words").textContent = words;
  show("token");
  find("token-value").focus();
  schedule();
}

function onList(found) {
  if (!find("token").hidden) show(follower ? "project" : "empty");
  if (addressed() !== null) return;
  if (!found.length) {
    connection = { name: "idle", words: "waiting for a first project", until: null };
    schedule();
    return show("empty");
  }
  const newest = found.reduce((one, other) => (other.updated_at > one.updated_at ? other : one));
  location.replace(`#/${encodeURIComponent(newest.project_id)}`);
}

function side(open) {
  document.body.classList.toggle("side-open", open);
  find("menu").setAttribute("aria-expanded", open);
}

// --- drawing: at most once per frame -------------------------------------------------------------

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(draw);
}

function draw() {
  scheduled = false;
  drawConnection();
  if (follower === null || find("project").hidden) return;
  if (rows.stale) rebuild();
  list.draw(rows.shown);
  drawHead();
  drawCounts();
  prompts.draw(follower.tree.top.prompts);
  drawDetail();
  link?.rendered();
}

/** Making the rows anew costs a look at every node: not at every frame where there are many. */
function rebuild() {
  const begun = performance.now();
  const wait = rebuiltAt + rebuildCost * REBUILD_SHARE - begun;
  if (wait > 0 && !rows.changed && !follower.tree.replaced) {
    setTimeout(schedule, wait);
    return;
  }
  rows.rebuild();
  rebuiltAt = performance.now();
  rebuildCost = rebuiltAt - begun;
}

function drawConnection() {
  const place = find("connection");
  const { name, words, until } = connection;
  const seconds = until === null ? 0 : Math.ceil((until - Date.now()) / 1000);
  const text = name === "waiting" ? `${words}; back in ${Math.max(0, seconds)} s` : words;
  write(place.lastChild, text);
  place.dataset.name = name;
  document.body.dataset.connection = name;
  if (name === "waiting") setTimeout(schedule, 500);
}

function drawHead() {
  const { top, nodes } = follower.tree;
  const { title } = top.project;
  write(find("title"), typeof title === "string" && title ? title : follower.projectId);
  const state = top.state ?? top.orchestrator?.status ?? null;
  find("state").hidden = typeof state !== "string";
  if (typeof state === "string") {
    write(find("state"), state.replaceAll("_", " "));
    find("state").dataset.status = state;
  }
  const at = follower.position;
  const count = `${nodes.size.toLocaleString()} ${nodes.size === 1 ? "node" : "nodes"}`;
  const where = at?.epoch ? ` · position ${at.seq.toLocaleString()}${speed(at.seq)}` : "";
  write(find("numbers"), count + where);
  drawNotice(nodes.size);
}

function speed(seq) {
  const now = performance.now();
  if (rate.seq === null || seq < rate.seq || rate.of !== follower) rate = { of: follower, at: now, seq, events: 0 };
  if (now - rate.at >= 1000) {
    rate = { of: follower, at: now, seq, events: Math.round(((seq - rate.seq) * 1000) / (now - rate.at)) };
  }
  if (rate.events) setTimeout(schedule, 1100);
  return rate.events ? ` · ${rate.events.toLocaleString()} events/s` : "";
}

function drawNotice(size) {
  let text = "";
  if (follower.refusal) text = `The hub does not show this project: ${follower.refusal.message}.`;
  else if (size && rows.filtering && !rows.shown.length) text = "No node is like that.";
  else if (!size && connection.name === "live") text = "No nodes yet. They appear here the moment they are pushed.";
  else if (!size) text = "…";
  find("notice").hidden = text === "";
  write(find("notice"), text);
}

const ORDER = ["failed", "running", "review", "in_progress", "ready", "up_next", "draft", "unclaimed", "cancelled"];
const LAST = ["queued_for_merge", "merged", "completed"];
const rank = (status) => (ORDER.includes(status) ? ORDER.indexOf(status) : LAST.includes(status) ? 90 : 50);
const chips = new Map();

function drawCounts() {
  const { statuses, nodes } = follower.tree;
  const listed = [...statuses].sort(([one], [other]) => rank(one) - rank(other) || (one < other ? -1 : 1));
  const shown = listed.slice(0, 20).map(([status, count]) => chip(status, count, nodes.size));
  for (const [place, which] of [[find("counts"), "button"], [find("share"), "part"]]) {
    const wanted = shown.map((one) => one[which]);
    if (wanted.length !== place.childElementCount || wanted.some((one, index) => one !== place.children[index])) {
      place.replaceChildren(...wanted);
    }
  }
}

function chip(status, count, all) {
  let found = chips.get(status);
  if (found === undefined) {
    const number = element("b");
    const button = element("button", "chip", number, ` ${status ? status.replaceAll("_", " ") : "no status"}`);
    const part = element("i");
    button.dataset.status = part.dataset.status = status;
    button.addEventListener("click", () => filter(rows.status === status ? null : status));
    found = { button, part, number };
    chips.set(status, found);
  }
  write(found.number, count.toLocaleString());
  found.button.setAttribute("aria-pressed", rows.status === status);
  found.part.style.flexGrow = count / all;
  return found;
}

let drawnDetail = null;

function drawDetail() {
  const entry = list.chosen === null ? undefined : follower.tree.nodes.get(list.chosen);
  find("detail").hidden = entry === undefined;
  commands.draw(list.chosen);
  if (entry === undefined || entry.fields === drawnDetail) return;
  drawnDetail = entry.fields;
  write(find("detail-title"), titleOf(entry));
  const fields = [["node_id", entry.id], ...Object.entries(entry.fields)];
  find("fields").replaceChildren(...fields.flatMap(([name, value]) => field(name, value)));
}

function field(name, value) {
  const [term, description] = [element("dt"), element("dd")];
  term.textContent = name;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 1);
  description.textContent = text.length > MOST_FIELD ? `${text.slice(0, MOST_FIELD)}…` : text;
  description.dataset.field = name;
  return [term, description];
}

function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

// --- what the reader does ----------------------------------------------------------------------------

function filter(status) {
  rows.filter(find("filter").value, status);
  find("tree").scrollTop = 0;
  schedule();
}

function onAddress() {
  const projectId = addressed();
  if (projectId !== null && projectId !== follower?.projectId) watch(projectId);
}

function fillIn() {
  const { origin } = location;
  const event = '{"type":"node_update","data":{"node_id":"hello","changes":{"title":"Hello","status":"running","progress":40}}}';
  const type = "-H 'Content-Type: application/json'";
  find("curl").textContent = `curl -X POST ${origin}/api/v1/projects/first/events \\\n  ${type} \\\n  -d '${event}'`;
  find("demo").textContent = `tasktree-rt demo --hub ${origin}`;
  for (const box of document.querySelectorAll(".copy")) {
    const button = element("button", "plain", "Copy");
    button.addEventListener("click", async () => {
      await navigator.clipboard?.writeText(box.querySelector("pre").textContent);
      button.textContent = "Copied";
    });
    box.append(button);
  }
}

addEventListener("hashchange", onAddress);
find("filter").addEventListener("input", () => follower && filter(rows.status));
find("menu").addEventListener("click", () => side(!document.body.classList.contains("side-open")));
find("shut").addEventListener("click", () => list.choose(null));
find("fold").addEventListener("click", ({ currentTarget: button }) => {
  const folded = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", folded);
  button.textContent = folded ? "Unfold all" : "Fold all";
  rows.foldAll(folded);
  schedule();
});
find("go").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = find("other").value.trim();
  if (id) location.hash = `#/${encodeURIComponent(id)}`;
  find("other").value = "";
});
find("token").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token-value").value.trim();
  sessionStorage.setItem(TOKEN, token);
  projects.setToken(token);
  if (follower) watch(follower.projectId);
  else show("empty");
});

initTheme(find("theme"));
fillIn();
onAddress();
