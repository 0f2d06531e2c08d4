import { classOf, type Fields, type Rollup, type Shape, type TreeSnapshot, time } from "../core/index.ts";
import { type Filter, isFilter, matching } from "./filter.ts";
import { progress, spent, title, URGENCY } from "./nodes.ts";
import { hubNow } from "./time.ts";

export interface Row {
  readonly id: string;
  readonly depth: number;
  readonly expandable: boolean;
  readonly expanded: boolean;
  readonly place: number;
  readonly siblings: number;
}

export const SORTS = ["order", "title", "status", "progress", "duration", "started"] as const;
export type Sort = (typeof SORTS)[number];

export interface Look {
  readonly collapsed: ReadonlySet<string>;
  readonly filter: Filter;
  readonly sort: Sort;
}

/** Whether what is shown depends on more than who is shown where. */
export function looksAtFields(look: Look): boolean {
  return isFilter(look.filter) || look.sort !== "order";
}

/** The rows from top to bottom. A filter keeps the ancestors of what it finds, and opens them. */
export function rows(snapshot: TreeSnapshot, look: Look, now: number = hubNow()): Row[] {
  const { shape, nodes } = snapshot;
  const kept = isFilter(look.filter) ? withAncestors(shape, matching(snapshot, look.filter)) : null;
  const sort = sorter(nodes, look.sort, now);
  const all: Row[] = [];
  const visible = (ids: readonly string[]) => {
    const those = kept === null ? ids : ids.filter((id) => kept.has(id));
    return sort === null ? those : [...those].sort(sort);
  };
  // By hand, not by recursion: a chain of parents can be as deep as there are nodes.
  const stack: { ids: readonly string[]; at: number }[] = [{ ids: visible(shape.roots), at: 0 }];
  while (stack.length > 0) {
    const level = stack[stack.length - 1] as { ids: readonly string[]; at: number };
    const id = level.ids[level.at];
    if (id === undefined) {
      stack.pop();
      continue;
    }
    level.at += 1;
    const children = shape.children(id);
    const expandable = children.length > 0;
    const expanded = expandable && (kept !== null || !look.collapsed.has(id));
    all.push({ id, depth: stack.length, expandable, expanded, place: level.at, siblings: level.ids.length });
    if (expanded) stack.push({ ids: visible(children), at: 0 });
  }
  return all;
}

function withAncestors(shape: Shape, ids: Iterable<string>): Set<string> {
  const kept = new Set<string>();
  for (const id of ids) {
    for (let at: string | null | undefined = id; at != null && !kept.has(at); at = shape.parent(at))
      kept.add(at);
  }
  return kept;
}

function sorter(
  nodes: ReadonlyMap<string, Fields>,
  by: Sort,
  now: number,
): ((one: string, other: string) => number) | null {
  const key = KEYS[by];
  if (key === null) return null;
  return (one, other) => {
    const a = key(one, nodes.get(one), now);
    const b = key(other, nodes.get(other), now);
    return typeof a === "string" ? a.localeCompare(String(b)) : a - Number(b);
  };
}

type Key = (id: string, fields: Fields | undefined, now: number) => string | number;

const KEYS: Record<Sort, Key | null> = {
  order: null,
  title,
  status: (_, fields) => URGENCY[classOf(fields?.status)],
  progress: (_, fields) => progress(fields) ?? -1,
  duration: (_, fields, now) => -(spent(fields, now) ?? -1),
  started: (_, fields) => time(fields, "started_at") ?? Number.POSITIVE_INFINITY,
};

/** The node to follow: of those that run and have no running node below, the one that began last. */
export function newestRunning({ nodes, shape }: TreeSnapshot): string | null {
  let newest: string | null = null;
  let began = Number.NEGATIVE_INFINITY;
  for (const [id, fields] of nodes) {
    if (classOf(fields.status) !== "running") continue;
    const rollup: Rollup | null = shape.rollup(id);
    if (rollup !== null && rollup.counts.running > 0) continue;
    const started = time(fields, "started_at") ?? Number.NEGATIVE_INFINITY;
    if (newest === null || started >= began) {
      newest = id;
      began = started;
    }
  }
  return newest;
}
