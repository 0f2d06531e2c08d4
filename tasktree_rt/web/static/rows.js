// Which rows a tree shows, in which order: what is open, what a filter lets through, orphans and cycles at the top.

import { parentOf, statusOf } from "./tree.js";

const DIGITS = /[0-9]+/g;

/** Sorts "file 9" before "file 10" with a plain comparison of strings, made once per title. */
const naturally = (text) => text.toLowerCase().replace(DIGITS, (digits) => digits.padStart(12, "0"));

export const titleOf = (entry) => {
  const { title } = entry.fields;
  return typeof title === "string" && title !== "" ? title : entry.id;
};

function keyOf(entry) {
  if (entry.key === null) {
    const { order } = entry.fields;
    entry.key = { order: typeof order === "number" ? order : Infinity, text: naturally(titleOf(entry)) };
  }
  return entry.key;
}

function compare(one, other) {
  const [left, right] = [keyOf(one), keyOf(other)];
  if (left.order !== right.order) return left.order < right.order ? -1 : 1;
  if (left.text !== right.text) return left.text < right.text ? -1 : 1;
  return one.id < other.id ? -1 : 1;
}

export class Rows {
  /** `shown` is what `rebuild` made: `[{entry, depth, children, open}]`, top to bottom. */
  constructor(tree) {
    this.tree = tree;
    this.shown = [];
    this.text = "";
    this.status = null;
    this.changed = true; // whether the reader folded or filtered since
    this._folded = new Set();
    this._sorted = new Map();
  }

  get filtering() {
    return this.text !== "" || this.status !== null;
  }

  fold(id, folded) {
    if (folded) this._folded.add(id);
    else this._folded.delete(id);
    this.changed = true;
  }

  foldAll(folded) {
    this._folded = new Set(folded ? [...this.tree.children.keys()].filter((id) => id !== null) : []);
    this.changed = true;
  }

  filter(text, status) {
    this.text = text.trim().toLowerCase();
    this.status = status;
    this.changed = true;
  }

  /** Whether `rebuild` would give something else (with a filter: might). */
  get stale() {
    return this.changed || this.tree.reshaped || this.filtering;
  }

  rebuild() {
    const { tree } = this;
    if (tree.replaced) this._sorted.clear();
    else for (const parent of tree.disordered) this._sorted.delete(parent);
    tree.disordered.clear();
    tree.reshaped = tree.replaced = this.changed = false;
    this._kept = this.filtering ? this._matching() : null;
    this.shown = [];
    const seen = new Set();
    this._walk(this._roots(), seen);
    // What no root leads to hangs on a cycle, which is shown at the top from its first node on.
    if (seen.size < tree.nodes.size) {
      for (const entry of tree.nodes.values()) if (!seen.has(entry)) this._walk([this._cycle(entry, seen)], seen);
    }
  }

  _walk(roots, seen) {
    const stack = [];
    const push = (entries, depth, visible) => {
      for (let index = entries.length - 1; index >= 0; index -= 1) stack.push([entries[index], depth, visible]);
    };
    push(roots, 0, true);
    while (stack.length) {
      const [entry, depth, visible] = stack.pop();
      if (seen.has(entry)) continue;
      seen.add(entry);
      const children = this._children(entry.id);
      const wanted = visible && (this._kept === null || this._kept.has(entry));
      const open = this._kept !== null || !this._folded.has(entry.id);
      if (wanted) this.shown.push({ entry, depth, children: children.length, open });
      if (children.length) push(children, depth + 1, wanted && open);
    }
  }

  _children(parent) {
    let sorted = this._sorted.get(parent);
    if (sorted === undefined) {
      const ids = this.tree.children.get(parent);
      sorted = ids === undefined ? [] : [...ids].map((id) => this.tree.nodes.get(id)).sort(compare);
      if (ids !== undefined) this._sorted.set(parent, sorted);
    }
    return sorted;
  }

  _roots() {
    const { nodes, children } = this.tree;
    const orphans = [...children.keys()].filter((parent) => parent !== null && !nodes.has(parent));
    const roots = this._children(null);
    return orphans.length ? [...roots, ...orphans.flatMap((parent) => this._children(parent))].sort(compare) : roots;
  }

  /** A node of the cycle that `entry` hangs on. */
  _cycle(entry, seen) {
    const path = new Set();
    while (!path.has(entry) && !seen.has(entry)) {
      path.add(entry);
      entry = this.tree.nodes.get(parentOf(entry.fields));
    }
    return entry;
  }

  _matching() {
    const { nodes } = this.tree;
    const kept = new Set();
    for (const entry of nodes.values()) {
      if (!this._matches(entry)) continue;
      for (let one = entry; one !== undefined && !kept.has(one); one = nodes.get(parentOf(one.fields))) kept.add(one);
    }
    return kept;
  }

  _matches(entry) {
    if (this.status !== null && statusOf(entry.fields) !== this.status) return false;
    if (this.text === "") return true;
    const { message } = entry.fields;
    const texts = [titleOf(entry), entry.id, typeof message === "string" ? message : ""];
    return texts.some((text) => text.toLowerCase().includes(this.text));
  }
}
