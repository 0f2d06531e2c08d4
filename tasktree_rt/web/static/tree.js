// A project's tree, reduced from its events by the same rules as the hub's own (docs/protocol.md, "The reducer").
// No DOM and no network here: tests run it against the shared cases in tests/cases/reducer.json.

const NODE_ID = /^[^\u0000-\u001f\u007f-\u009f\ud800-\udfff]{1,512}$/u;
const NUMBERED = /^(?:t([0-9]+)|([0-9]+)-([^]+))$/;
const NO_FIELDS = Object.freeze({});
const TOP = ["state", "project", "orchestrator", "coordination", "prompts"];

export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
export const isNodeId = (value) => typeof value === "string" && NODE_ID.test(value);

/** The node id that a value gives: a node id, or a safe integer as text; null if it gives none. */
export function asName(value) {
  if (Number.isSafeInteger(value)) return String(value === 0 ? 0 : value);
  return isNodeId(value) ? value : null;
}

/** A node as it is kept: `fields` is replaced, never changed, so that `!==` tells whether it is to be drawn anew. */
class Entry {
  constructor(id) {
    this.id = id;
    this.fields = NO_FIELDS;
    this.key = null; // what it sorts by, made when somebody sorts
  }
}

export class Tree {
  constructor() {
    this.clear();
  }

  clear() {
    this.nodes = new Map(); // id -> Entry
    this.top = { state: null, project: {}, orchestrator: null, coordination: null, prompts: [] };
    this.children = new Map(); // parent id, or null -> Set of ids
    this.statuses = new Map(); // status -> how many nodes
    this.disordered = new Set(); // parents whose children changed since somebody last sorted them
    this.reshaped = true; // whether nodes came, went or moved since somebody last looked
    this.replaced = true; // whether the whole tree did
    this._taskIds = new Map(); // a task's id field -> Set of node ids
    this._tasks = new Set();
  }

  fields(id) {
    return this.nodes.get(id)?.fields ?? NO_FIELDS;
  }

  /** What an event of any type changes. Total: whatever it holds, nothing is thrown. */
  apply(type, data, projectId) {
    if (Object.hasOwn(RULES, type)) RULES[type](this, data, projectId);
  }

  /** One whole node, in place of whatever was there. */
  putWhole({ node_id: id, ...fields }) {
    this._put(id, fields);
  }

  remove(ids) {
    for (const id of ids) this._takeOut(id);
  }

  setTop(fields) {
    for (const name of TOP) if (Object.hasOwn(fields, name)) this.top[name] = fields[name];
  }

  _merge(id, changes) {
    const merged = merge(this.fields(id), changes);
    delete merged.node_id;
    delete merged.deleted;
    this._put(id, merged);
  }

  _put(id, fields) {
    let entry = this.nodes.get(id);
    const was = entry?.fields;
    if (entry === undefined) {
      entry = new Entry(id);
      this.nodes.set(id, entry);
    }
    entry.fields = fields;
    this._index(id, was, fields);
    if (was === undefined || was.title !== fields.title || was.order !== fields.order) {
      entry.key = null;
      this.disordered.add(parentOf(fields));
      this.reshaped = true;
    }
  }

  _takeOut(id) {
    const entry = this.nodes.get(id);
    if (entry === undefined) return;
    this.nodes.delete(id);
    this._index(id, entry.fields, undefined);
  }

  _index(id, was, now) {
    this._count(was, -1);
    this._count(now, 1);
    const from = was && parentOf(was);
    const to = now && parentOf(now);
    if (from !== to) {
      if (from !== undefined) this._unlink(from, id);
      if (to !== undefined) this._link(to, id);
      this.reshaped = true;
    }
    this._indexTask(id, was ?? NO_FIELDS, now ?? NO_FIELDS);
  }

  _count(fields, step) {
    if (fields === undefined) return;
    const status = statusOf(fields);
    const count = (this.statuses.get(status) ?? 0) + step;
    if (count) this.statuses.set(status, count);
    else this.statuses.delete(status);
  }

  _link(parent, id) {
    const found = this.children.get(parent);
    if (found) found.add(id);
    else this.children.set(parent, new Set([id]));
    this.disordered.add(parent);
  }

  _unlink(parent, id) {
    const found = this.children.get(parent);
    found.delete(id);
    if (!found.size) this.children.delete(parent);
    this.disordered.add(parent);
  }

  _indexTask(id, was, now) {
    const isTask = now.kind === "task";
    const wasTask = was.kind === "task";
    if (!isTask && !wasTask) return;
    const from = wasTask ? asName(was.id) : null;
    const to = isTask ? asName(now.id) : null;
    if (from !== to) {
      if (from !== null) this._taskIds.get(from).delete(id);
      if (to !== null) this._taskIds.set(to, (this._taskIds.get(to) ?? new Set()).add(id));
    }
    if (isTask) this._tasks.add(id);
    else this._tasks.delete(id);
  }

  _removeSubtrees(roots) {
    const found = new Set(roots);
    for (const id of found) for (const child of this.children.get(id) ?? []) found.add(child);
    this.remove(found);
  }

  /** The node that a task event means; of several tasks with the same id field, the one with the smallest node id. */
  _taskNode(reference, projectId) {
    if (this.nodes.has(reference)) return reference;
    const named = this._taskIds.get(reference);
    if (named?.size) return [...named].reduce((least, id) => (comesBefore(id, least) ? id : least));
    const match = NUMBERED.exec(reference);
    if (match?.[1] !== undefined) return match[1];
    return match?.[3] === projectId ? match[2] : reference;
  }
}

/** A node's parent as the index has it: what is not a string leads nowhere. */
export const parentOf = (fields) => (typeof fields.parent_id === "string" ? fields.parent_id : null);
export const statusOf = (fields) => (typeof fields.status === "string" ? fields.status : "");

function merge(before, changes) {
  const merged = { ...before, ...changes };
  for (const key of Object.keys(changes)) if (changes[key] === null) delete merged[key];
  return merged;
}

/** By code points, as Python compares; JavaScript's `<` goes by UTF-16 units. */
function comesBefore(one, other) {
  const [left, right] = [Array.from(one), Array.from(other)];
  const place = left.findIndex((char, index) => char !== right[index]);
  if (place < 0) return left.length < right.length;
  return place < right.length && left[place].codePointAt(0) < right[place].codePointAt(0);
}

const reference = (data) => asName(data.task_id) ?? asName(data.id);

function nodeUpdate(tree, { node_id: id, changes }) {
  if (!isNodeId(id) || !isObject(changes)) return;
  if (changes.deleted === true) tree._removeSubtrees([id]);
  else tree._merge(id, changes);
}

function stateTransition(tree, { node_id: id = null, to }) {
  if (typeof to !== "string") return;
  if (id === null) tree.top.state = to;
  else if (isNodeId(id)) tree._merge(id, { status: to });
}

function projectUpdate(tree, { changes }) {
  if (isObject(changes)) tree.top.project = merge(tree.top.project, changes);
}

function wholeProject(tree, data) {
  const { name, ...changes } = data;
  if (Object.hasOwn(data, "name") && !Object.hasOwn(changes, "title")) changes.title = name;
  tree.top.project = merge(tree.top.project, changes);
}

const orchestrator = (status) => (tree, data) => {
  tree.top.orchestrator = { status, ...data };
};

function coordination(tree, data) {
  tree.top.coordination = data;
}

const promptsBut = (tree, id) => tree.top.prompts.filter((one) => one.prompt_id !== id);

function prompt(tree, data) {
  if (typeof data.prompt_id === "string") tree.top.prompts = [...promptsBut(tree, data.prompt_id), data];
}

function promptResolved(tree, { prompt_id: id }) {
  tree.top.prompts = promptsBut(tree, id);
}

function task(tree, data, projectId) {
  const name = reference(data);
  if (name === null) return;
  const { dependencies, ...changes } = data;
  if (Object.hasOwn(data, "dependencies")) {
    changes.depends_on = Array.isArray(dependencies) ? dependencies.map(asName).filter((id) => id !== null) : null;
  }
  tree._merge(tree._taskNode(name, projectId), { ...changes, kind: "task" });
}

const taskStatus = (fixed) => (tree, data, projectId) => {
  const name = reference(data);
  const status = fixed ?? data.status;
  if (name !== null && typeof status === "string") tree._merge(tree._taskNode(name, projectId), { status });
};

function taskDeleted(tree, data, projectId) {
  const name = reference(data);
  if (name !== null) tree._removeSubtrees([tree._taskNode(name, projectId)]);
}

function tasksReset(tree) {
  for (const id of tree._tasks) {
    const { status } = tree.fields(id);
    if (status !== "merged" && status !== "unclaimed") tree._merge(id, { status: "unclaimed" });
  }
}

const RULES = {
  node_update: nodeUpdate,
  state_transition: stateTransition,
  project_update: projectUpdate,
  project_created: wholeProject,
  project_updated: wholeProject,
  orchestrator_started: orchestrator("running"),
  orchestrator_stopped: orchestrator("stopped"),
  orchestrator_error: orchestrator("error"),
  coordination_update: coordination,
  prompt,
  prompt_resolved: promptResolved,
  task_created: task,
  task_updated: task,
  task_status_changed: taskStatus(),
  task_merged: taskStatus("merged"),
  task_completed: taskStatus("completed"),
  task_queued_for_merge: taskStatus("queued_for_merge"),
  task_deleted: taskDeleted,
  tasks_reset: tasksReset,
  project_reset: (tree) => tree._removeSubtrees([...tree._tasks]),
  project_deleted: (tree) => tree.clear(),
};
