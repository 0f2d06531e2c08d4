/** Where each node of a tree is shown, and what a collapsed branch sums up to. */
import { type Fields, number, own, text } from "./json.ts";
import { codes } from "./reducer.ts";
import { CLASSES, classOf, type StatusClass } from "./statuses.ts";
import { type Spent, sameSpent, spent, sum, without } from "./usage.ts";

/** What is below a node, itself not counted. */
export interface Rollup {
  /** Nodes by what their status means. */
  readonly counts: Readonly<Record<StatusClass, number>>;
  readonly total: number;
  /** 0–100: the mean over the leaves, of which ended ones count as 100. */
  readonly progress: number;
  /** Tokens and cost of all attempts; null: none. */
  readonly spent: Spent | null;
}

interface Sums {
  counts: Record<StatusClass, number>;
  total: number;
  leaves: number;
  progress: number;
  spent: Spent | null;
}

/** What a node adds to the sums above it. */
interface Share {
  readonly status: StatusClass;
  readonly progress: number;
  readonly leaf: boolean;
  readonly spent: Spent | null;
}

const NONE: readonly string[] = [];

function nothing(): Record<StatusClass, number> {
  return Object.fromEntries(CLASSES.map((one) => [one, 0])) as Record<StatusClass, number>;
}

export class Shape {
  readonly roots: readonly string[];
  /** All nodes by what their status means. Changes with them: take what you need of it. */
  readonly counts: Readonly<Record<StatusClass, number>>;
  readonly #counts = nothing();
  #spent: Spent | null = null;
  readonly #parents: ReadonlyMap<string, string | null>;
  readonly #children: ReadonlyMap<string, readonly string[]>;
  readonly #sums = new Map<string, Sums>();
  readonly #shares = new Map<string, Share>();

  constructor(nodes: ReadonlyMap<string, Fields>) {
    this.counts = this.#counts;
    this.#parents = shownParents(nodes);
    const children = new Map<string, string[]>();
    const roots: string[] = [];
    for (const [id, parent] of this.#parents) {
      if (parent === null) roots.push(id);
      else {
        const siblings = children.get(parent);
        if (siblings === undefined) children.set(parent, [id]);
        else siblings.push(id);
      }
    }
    const byPlace = (one: string, other: string) => comparePlaces(nodes, one, other);
    roots.sort(byPlace);
    for (const siblings of children.values()) siblings.sort(byPlace);
    this.roots = roots;
    this.#children = children;
    this.#sumUp(nodes);
  }

  /** All sums at once, from the leaves up: one step a node, however deep the tree is. */
  #sumUp(nodes: ReadonlyMap<string, Fields>): void {
    const down = [...this.roots];
    for (const id of down) down.push(...this.children(id));
    for (const id of down.reverse()) {
      const share = this.#shareOf(id, nodes.get(id) ?? {});
      this.#shares.set(id, share);
      this.#counts[share.status] += 1;
      this.#spent = sum(this.#spent, share.spent);
      const parent = this.#parents.get(id);
      if (parent == null) continue;
      const above = this.#at(parent);
      add(above, undefined, share);
      const below = this.#sums.get(id);
      if (below === undefined) continue;
      above.total += below.total;
      above.leaves += below.leaves;
      above.progress += below.progress;
      above.spent = sum(above.spent, below.spent);
      for (const one of CLASSES) above.counts[one] += below.counts[one];
    }
  }

  /** The parent a node is shown under; null at the top, undefined if it is not shown. */
  parent(id: string): string | null | undefined {
    return this.#parents.get(id);
  }

  /** The nodes shown under this one, by `order`, then id. */
  children(id: string): readonly string[] {
    return this.#children.get(id) ?? NONE;
  }

  /** From the top down to this node, itself included. */
  path(id: string): string[] {
    const found: string[] = [];
    for (
      let at: string | null | undefined = id;
      at != null && this.#parents.has(at);
      at = this.#parents.get(at)
    ) {
      found.push(at);
    }
    return found.reverse();
  }

  rollup(id: string): Rollup | null {
    const sums = this.#sums.get(id);
    if (sums === undefined || sums.total === 0) return null;
    return {
      counts: sums.counts,
      total: sums.total,
      progress: sums.leaves === 0 ? 0 : sums.progress / sums.leaves,
      spent: sums.spent,
    };
  }

  /** Tokens and cost of all nodes; null: none. */
  get spent(): Spent | null {
    return this.#spent;
  }

  /** Tokens and cost of a node and everything below it; null: none. */
  spentIn(id: string): Spent | null {
    return sum(this.#shares.get(id)?.spent ?? null, this.#sums.get(id)?.spent ?? null);
  }

  /** A node that stays where it is has other fields. Tells which nodes' roll-ups are others by it. */
  change(id: string, fields: Fields, touched?: Set<string>): void {
    const before = this.#shares.get(id);
    const now = this.#shareOf(id, fields);
    const unspent = sameSpent(before?.spent ?? null, now.spent);
    if (before?.status === now.status && before.progress === now.progress && unspent) return;
    if (!unspent) this.#spent = sum(without(this.#spent, before?.spent ?? null), now.spent);
    this.#shares.set(id, now);
    if (before !== undefined) this.#counts[before.status] -= 1;
    this.#counts[now.status] += 1;
    for (let at = this.#parents.get(id); at != null; at = this.#parents.get(at)) {
      add(this.#at(at), before, now);
      touched?.add(at);
    }
  }

  #shareOf(id: string, fields: Fields): Share {
    const status = classOf(own(fields, "status"));
    const ended = status === "done" || status === "failed" || status === "cancelled";
    const progress = ended ? 100 : Math.min(100, Math.max(0, number(fields, "progress") ?? 0));
    return { status, progress, leaf: !this.#children.has(id), spent: spent(fields) };
  }

  #at(id: string): Sums {
    let sums = this.#sums.get(id);
    if (sums === undefined) {
      sums = { counts: nothing(), total: 0, leaves: 0, progress: 0, spent: null };
      this.#sums.set(id, sums);
    }
    return sums;
  }
}

function add(sums: Sums, before: Share | undefined, now: Share): void {
  if (before === undefined) {
    sums.total += 1;
    if (now.leaf) sums.leaves += 1;
  } else {
    sums.counts[before.status] -= 1;
    if (before.leaf) sums.progress -= before.progress;
    sums.spent = without(sums.spent, before.spent);
  }
  sums.spent = sum(sums.spent, now.spent);
  sums.counts[now.status] += 1;
  if (now.leaf) sums.progress += now.progress;
}

function comparePlaces(nodes: ReadonlyMap<string, Fields>, one: string, other: string): number {
  const a = number(nodes.get(one), "order");
  const b = number(nodes.get(other), "order");
  if (a !== b) {
    if (a === undefined) return 1;
    if (b === undefined) return -1;
    return a - b;
  }
  return codes(one, other);
}

/** Under which node each is shown: null for those without a parent, with one that is not there, or in a cycle. */
function shownParents(nodes: ReadonlyMap<string, Fields>): Map<string, string | null> {
  const shown = new Map<string, string | null>();
  for (const start of nodes.keys()) {
    const path = new Map<string, string | null>();
    let id: string | null = start;
    while (id !== null && !shown.has(id) && !path.has(id)) {
      const named: string | undefined = text(nodes.get(id), "parent_id");
      const parent: string | null = named !== undefined && nodes.has(named) ? named : null;
      path.set(id, parent);
      id = parent;
    }
    if (id !== null && path.has(id)) {
      // Once around the cycle: each of it is shown at the top.
      while (id !== null) {
        const after: string | null = path.get(id) ?? null;
        path.set(id, null);
        id = after;
      }
    }
    for (const [one, parent] of path) shown.set(one, parent);
  }
  return shown;
}
