// The list of projects: asked for again and again, since only the project that is shown is watched. (A subscription to
// `*` would bring every event of every project to every page, for one line each.) As long as the list stays the same it
// is asked for less and less often. While there is no project at all nothing can be too much: then `*` is watched.

import { element } from "./list.js";
import { watchUrl } from "./link.js";

const SOON = 3_000;
const LATE = 30_000;
const PAGE = 200;

export class Projects {
  /** `onList(projects)` is told what there is, `onDenied()` that a token is needed. */
  constructor(place, { token, onList, onDenied }) {
    this._place = place;
    this._token = token;
    this._onList = onList;
    this._onDenied = onDenied;
    this._wanted = PAGE;
    this._items = new Map();
    this._asking = false;
    this._again = false;
    this._delay = SOON;
    this._drawn = "";
    this._first = null;
    document.addEventListener("visibilitychange", () => document.hidden || this.ask());
    this.ask();
  }

  setToken(token) {
    this._token = token;
    this.ask();
  }

  async ask() {
    if (this._asking) {
      this._again = true; // what is under way may have been answered before this was worth asking
      return;
    }
    this._asking = true;
    clearTimeout(this._timer);
    try {
      const { projects, next } = await this._fetch();
      const drawn = JSON.stringify(projects);
      this._delay = drawn === this._drawn ? Math.min(LATE, this._delay * 2) : SOON;
      this._drawn = drawn;
      this._draw(projects, next);
      this._onList(projects);
      if (!projects.length) this._awaitFirst();
    } catch {
      // The connection's own words tell that the hub is away.
    } finally {
      this._asking = false;
      this._timer = setTimeout(() => document.hidden || this.ask(), this._again ? 0 : this._delay);
      this._again = false;
    }
  }

  /** Whatever comes first, of any project, is word enough to ask again. */
  _awaitFirst() {
    if (this._first !== null) return;
    const socket = new WebSocket(watchUrl(null, this._token));
    this._first = socket;
    socket.onopen = () => this.ask();
    socket.onmessage = () => {
      socket.close();
      this.ask();
    };
    socket.onclose = () => {
      this._first = null;
    };
  }

  choose(id) {
    this._chosen = id;
    for (const [name, { link }] of this._items) mark(link, name === id);
  }

  async _fetch() {
    const headers = this._token ? { Authorization: `Bearer ${this._token}` } : {};
    const projects = [];
    let next = "";
    do {
      const query = new URLSearchParams({ limit: PAGE, after: next });
      const response = await fetch(`/api/v1/projects?${query}`, { headers, cache: "no-store" });
      if (response.status === 401) this._onDenied();
      if (!response.ok) throw new Error(response.status);
      const page = await response.json();
      projects.push(...page.projects);
      next = page.next;
    } while (next !== null && projects.length < this._wanted);
    return { projects, next };
  }

  _draw(projects, next) {
    const gone = new Set(this._items.keys());
    const links = projects.map((project) => {
      gone.delete(project.project_id);
      return this._item(project).link;
    });
    for (const name of gone) this._items.delete(name);
    const places = next === null ? links : [...links, this._more()];
    const same = places.length === this._place.childElementCount && places.every((one, i) => one === this._place.children[i]);
    if (!same) this._place.replaceChildren(...places);
  }

  _item({ project_id: id, state, nodes, updated_at: updated }) {
    let item = this._items.get(id);
    if (item === undefined) {
      const name = element("span", "name");
      name.textContent = id;
      const count = element("span", "count");
      const when = element("span", "when");
      const link = element("a", "project", element("span", "dot"), name, count, when);
      link.href = `#/${encodeURIComponent(id)}`;
      mark(link, id === this._chosen);
      item = { link, count, when };
      this._items.set(id, item);
    }
    item.link.dataset.status = state ?? "";
    item.count.textContent = `${nodes.toLocaleString()} ${nodes === 1 ? "node" : "nodes"}`;
    item.when.textContent = ago(Date.parse(updated));
    return item;
  }

  _more() {
    const more = element("button", "more");
    more.textContent = "Show more projects";
    more.addEventListener("click", () => {
      this._wanted += PAGE;
      more.disabled = true;
      this.ask();
    });
    return more;
  }
}

function mark(link, chosen) {
  if (chosen) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

const UNITS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 365], ["year", Infinity]];
const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** "5 minutes ago". */
export function ago(time, now = Date.now()) {
  let amount = Math.max(0, (now - time) / 1000);
  for (const [unit, size] of UNITS) {
    if (amount < size) return format.format(-Math.floor(amount), unit);
    amount /= size;
  }
  return "";
}
