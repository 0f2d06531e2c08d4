/**
 * What an event changes in a project's tree. Total: whatever an event holds gives a change, if only an empty one. It is
 * the hub's own reducer once more; both are held to the cases in tasktree_rt/web/static/reducer.json.
 */
import { ENDED_ATTEMPTS, endedAttempts, KEPT } from "./attempts.ts";
import { type Fields, isObject, own } from "./json.ts";
import { endUsage } from "./usage.ts";

export interface Top {
  readonly state: string | null;
  readonly project: Fields;
  readonly orchestrator: Fields | null;
  readonly coordination: Fields | null;
  readonly prompts: readonly Fields[];
  /** Of a user's log: the seq up to which they have read. */
  readonly read: number;
}

export const EMPTY_TOP: Top = {
  state: null,
  project: {},
  orchestrator: null,
  coordination: null,
  prompts: [],
  read: 0,
};

export interface ReducedEvent {
  readonly type: string;
  readonly project_id: string | null;
  readonly data: Fields;
}

/** Nodes taken out, then nodes put in whole, then top-level fields replaced. */
export interface Change {
  readonly removed: readonly string[];
  readonly put: ReadonlyMap<string, Fields>;
  readonly top: Partial<Top>;
}

const NOTHING: readonly string[] = [];
const NO_NODES: ReadonlyMap<string, Fields> = new Map();
export const NO_CHANGE: Change = { removed: NOTHING, put: NO_NODES, top: {} };
const EMPTY: Fields = {};

/** The nodes by id, with the indices that the reducer asks. */
export class Nodes {
  readonly byId = new Map<string, Fields>();
  top: Top = EMPTY_TOP;
  /** Counts how often a node came, went, or got another place. */
  moves = 0;
  readonly #children = new Map<string, Set<string>>();
  readonly #named = new Map<string, Set<string>>();
  readonly #tasks = new Set<string>();

  fields(id: string): Fields {
    return this.byId.get(id) ?? EMPTY;
  }

  apply(change: Change): void {
    for (const id of change.removed) {
      const before = this.byId.get(id);
      if (before === undefined) continue;
      this.byId.delete(id);
      this.moves += 1;
      this.#index(id, before, EMPTY);
    }
    for (const [id, fields] of change.put) {
      const before = this.byId.get(id);
      if (before === undefined || moved(before, fields)) this.moves += 1;
      this.#index(id, before ?? EMPTY, fields);
      this.byId.set(id, fields);
    }
    this.top = { ...this.top, ...change.top };
  }

  /** The roots that exist and every node whose parent chain reaches one. */
  subtrees(roots: Iterable<string>): string[] {
    const found = new Set(roots);
    for (const id of found) {
      for (const child of this.#children.get(id) ?? NOTHING) found.add(child);
    }
    return [...found].filter((id) => this.byId.has(id));
  }

  tasks(): string[] {
    return [...this.#tasks];
  }

  /** The node that a task event means; of several tasks with one `id` field the smallest node id. */
  taskNode(reference: string, projectId: string): string {
    if (this.byId.has(reference)) return reference;
    const named = this.#named.get(reference);
    if (named !== undefined) return [...named].reduce((one, other) => (codes(other, one) < 0 ? other : one));
    return taskNumber(reference, projectId) ?? reference;
  }

  #index(id: string, was: Fields, now: Fields): void {
    move(this.#children, id, asKey(own(was, "parent_id")), asKey(own(now, "parent_id")));
    const wasTask = own(was, "kind") === "task";
    const isTask = own(now, "kind") === "task";
    move(this.#named, id, wasTask ? asName(own(was, "id")) : null, isTask ? asName(own(now, "id")) : null);
    if (isTask) this.#tasks.add(id);
    else if (wasTask) this.#tasks.delete(id);
  }
}

function moved(before: Fields, now: Fields): boolean {
  return own(before, "parent_id") !== own(now, "parent_id") || own(before, "order") !== own(now, "order");
}

function move(
  index: Map<string, Set<string>>,
  id: string,
  before: string | null,
  after: string | null,
): void {
  if (before === after) return;
  if (before !== null) {
    const there = index.get(before);
    there?.delete(id);
    if (there?.size === 0) index.delete(before);
  }
  if (after !== null) {
    const there = index.get(after);
    if (there === undefined) index.set(after, new Set([id]));
    else there.add(id);
  }
}

/** Order by code points, as the hub's language compares text; `<` would compare code units. */
export function codes(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) {
    let a = one.charCodeAt(at);
    let b = other.charCodeAt(at);
    if (a === b) continue;
    // A surrogate stands for a code point above all that are not surrogates.
    if (a >= 0xd800 && b >= 0xd800) {
      a = a >= 0xe000 ? a - 0x800 : a + 0x2000;
      b = b >= 0xe000 ? b - 0x800 : b + 0x2000;
    }
    return a - b;
  }
  return one.length - other.length;
}

type Rule = (nodes: Nodes, event: ReducedEvent) => Change;

export function reduce(nodes: Nodes, event: ReducedEvent): Change {
  return RULES.get(event.type)?.(nodes, event) ?? NO_CHANGE;
}

function put(id: string, fields: Fields): Change {
  return { removed: NOTHING, put: new Map([[id, fields]]), top: {} };
}

function top(changes: Partial<Top>): Change {
  return { removed: NOTHING, put: NO_NODES, top: changes };
}

function removal(nodes: Nodes, roots: Iterable<string>): Change {
  const removed = nodes.subtrees(roots);
  return removed.length > 0 ? { removed, put: NO_NODES, top: {} } : NO_CHANGE;
}

function nodeUpdate(nodes: Nodes, { data }: ReducedEvent): Change {
  const id = own(data, "node_id");
  const changes = own(data, "changes");
  if (!isNodeId(id) || !isObject(changes)) return NO_CHANGE;
  if (own(changes, "deleted") === true) return removal(nodes, [id]);
  return put(id, merged(nodes, id, changes));
}

function stateTransition(nodes: Nodes, { data }: ReducedEvent): Change {
  const id = own(data, "node_id") ?? null;
  const to = own(data, "to");
  if (typeof to !== "string") return NO_CHANGE;
  if (id === null) return top({ state: to });
  return isNodeId(id) ? put(id, merged(nodes, id, { status: to })) : NO_CHANGE;
}

function projectUpdate(nodes: Nodes, { data }: ReducedEvent): Change {
  const changes = own(data, "changes");
  return isObject(changes) ? top({ project: merge(nodes.top.project, changes) }) : NO_CHANGE;
}

function project(nodes: Nodes, { data }: ReducedEvent): Change {
  const changes: Record<string, unknown> = { ...data };
  delete changes.name;
  if (Object.hasOwn(data, "name") && !Object.hasOwn(changes, "title")) changes.title = data.name;
  return top({ project: merge(nodes.top.project, changes) });
}

function orchestrator(status: string): Rule {
  return (_, { data }) => top({ orchestrator: { status, ...data } });
}

function task(nodes: Nodes, { data, project_id }: ReducedEvent): Change {
  const named = reference(data);
  if (named === null) return NO_CHANGE;
  const changes: Record<string, unknown> = { ...data };
  delete changes.dependencies;
  if (Object.hasOwn(data, "dependencies")) {
    const given = data.dependencies;
    changes.depends_on = Array.isArray(given) ? given.map(asName).filter((one) => one !== null) : null;
  }
  changes.kind = "task";
  const id = nodes.taskNode(named, project_id ?? "");
  return put(id, merged(nodes, id, changes));
}

function taskStatus(fixed?: string): Rule {
  return (nodes, { data, project_id }) => {
    const named = reference(data);
    const status = fixed ?? own(data, "status");
    if (named === null || typeof status !== "string") return NO_CHANGE;
    const id = nodes.taskNode(named, project_id ?? "");
    return put(id, merged(nodes, id, { status }));
  };
}

function taskDeleted(nodes: Nodes, { data, project_id }: ReducedEvent): Change {
  const named = reference(data);
  return named === null ? NO_CHANGE : removal(nodes, [nodes.taskNode(named, project_id ?? "")]);
}

function tasksReset(nodes: Nodes): Change {
  const changed = new Map<string, Fields>();
  for (const id of nodes.tasks()) {
    const status = own(nodes.fields(id), "status");
    if (status === "merged" || status === "unclaimed") continue;
    changed.set(id, merged(nodes, id, { status: "unclaimed" }));
  }
  return { removed: NOTHING, put: changed, top: {} };
}

function prompt(nodes: Nodes, { data }: ReducedEvent): Change {
  const name = own(data, "prompt_id");
  if (typeof name !== "string") return NO_CHANGE;
  return top({ prompts: [...nodes.top.prompts.filter((one) => one.prompt_id !== name), data] });
}

function promptResolved(nodes: Nodes, { data }: ReducedEvent): Change {
  const left = nodes.top.prompts.filter((one) => one.prompt_id !== own(data, "prompt_id"));
  return left.length < nodes.top.prompts.length ? top({ prompts: left }) : NO_CHANGE;
}

function notificationsRead(nodes: Nodes, { data }: ReducedEvent): Change {
  const seq = own(data, "seq");
  return typeof seq === "number" && seq > nodes.top.read ? top({ read: seq }) : NO_CHANGE;
}

const RULES = new Map<string, Rule>([
  ["node_update", nodeUpdate],
  ["state_transition", stateTransition],
  ["project_update", projectUpdate],
  ["project_created", project],
  ["project_updated", project],
  ["orchestrator_started", orchestrator("running")],
  ["orchestrator_stopped", orchestrator("stopped")],
  ["orchestrator_error", orchestrator("error")],
  ["coordination_update", (_, { data }) => top({ coordination: data })],
  ["task_created", task],
  ["task_updated", task],
  ["task_status_changed", taskStatus()],
  ["task_merged", taskStatus("merged")],
  ["task_completed", taskStatus("completed")],
  ["task_queued_for_merge", taskStatus("queued_for_merge")],
  ["task_deleted", taskDeleted],
  ["tasks_reset", tasksReset],
  ["project_reset", (nodes) => removal(nodes, nodes.tasks())],
  ["project_deleted", (nodes) => ({ removed: [...nodes.byId.keys()], put: NO_NODES, top: EMPTY_TOP })],
  ["prompt", prompt],
  ["prompt_resolved", promptResolved],
  ["notifications_read", notificationsRead],
]);

/** The id of the node that an event names, for filters. */
export function namedNode(data: Fields): string | null {
  return asName(own(data, "node_id")) ?? asName(own(data, "task_id"));
}

function merged(nodes: Nodes, id: string, changes: Fields): Fields {
  const before = nodes.fields(id);
  const fields = merge(before, changes);
  delete fields.node_id;
  delete fields.deleted;
  keepAttempts(before, fields, changes);
  return fields;
}

/** What of a change may begin another attempt. */
const BEGINNING = ["status", "attempt", "started_at"];

/** Keep what ends by a change of the fields; no event says by itself what is kept. */
function keepAttempts(before: Fields, fields: Record<string, unknown>, changes: Fields): void {
  for (const name of KEPT) {
    if (!Object.hasOwn(changes, name)) continue;
    delete fields[name];
    if (Object.hasOwn(before, name)) fields[name] = before[name];
  }
  if (!BEGINNING.some((name) => Object.hasOwn(changes, name))) return;
  const kept = endedAttempts(before, fields);
  if (kept === null) return;
  fields[ENDED_ATTEMPTS] = kept;
  endUsage(before, fields, changes);
}

function merge(before: Fields, changes: Fields): Record<string, unknown> {
  const found: Record<string, unknown> = { ...before, ...changes };
  for (const key of Object.keys(changes)) {
    if (changes[key] === null) delete found[key];
  }
  return found;
}

function reference(data: Fields): string | null {
  return asName(own(data, "task_id")) ?? asName(own(data, "id"));
}

/** A node id, or an integer as text; null if the value names no node. */
function asName(value: unknown): string | null {
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : null;
  return isNodeId(value) ? value : null;
}

function asKey(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function taskNumber(named: string, projectId: string): string | null {
  const short = /^t(\d+)$/.exec(named);
  if (short !== null) return short[1] ?? null;
  const long = /^(\d+)-(.+)$/s.exec(named);
  return long !== null && long[2] === projectId ? (long[1] ?? null) : null;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a node id may not have
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

function isNodeId(value: unknown): value is string {
  if (typeof value !== "string" || value === "" || CONTROL.test(value)) return false;
  return value.length <= 512 || (value.length <= 1024 && [...value].length <= 512);
}
