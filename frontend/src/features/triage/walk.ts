/** Going from one node that needs a look to the next, in the order of the tree. */
import type { StatusClass, TreeSnapshot } from "../../core/index.ts";
import { type Filter, isFilter, matching, NO_FILTER } from "../../ui/filter.ts";
import type { Counts } from "../../ui/looking.ts";
import { rows, type Sort } from "../../ui/rows.ts";

/** What a person looks for, the most urgent first. */
export const URGENT = ["failed", "review", "running"] as const satisfies readonly StatusClass[];

const only = (one: StatusClass): Filter => ({ search: "", classes: new Set([one]) });
const ALONE = { failed: only("failed"), review: only("review"), running: only("running") } as const;

/** What previous and next go through: what is filtered, else the most urgent that there is; null: nothing. */
export function walked(filter: Filter, counts: Counts): Filter | null {
  if (isFilter(filter)) return filter;
  const first = URGENT.find((one) => counts[one] > 0);
  return first === undefined ? null : ALONE[first];
}

export interface Stop {
  readonly id: string;
  /** From 1. */
  readonly place: number;
  readonly of: number;
}

/** The nodes that a filter lets through, in the order of the tree, with every other node between them. */
function ordered(snapshot: TreeSnapshot, sort: Sort): readonly string[] {
  return rows(snapshot, { collapsed: new Set(), filter: NO_FILTER, sort }).map((one) => one.id);
}

/** The next stop after a node, or the one before it; around the end. Null: the filter finds nothing. */
export function step(
  snapshot: TreeSnapshot,
  filter: Filter,
  sort: Sort,
  from: string | null,
  by: 1 | -1,
): Stop | null {
  const ids = matching(snapshot, filter);
  const all = ordered(snapshot, sort);
  const stops = all.filter((id) => ids.has(id));
  if (stops.length === 0) return null;
  const at = from === null ? -1 : all.indexOf(from);
  const before = all.slice(0, at + (by > 0 ? 1 : 0)).filter((id) => ids.has(id)).length;
  const wanted = at < 0 && by < 0 ? stops.length - 1 : by > 0 ? before : before - 1;
  const place = (wanted + stops.length) % stops.length;
  return { id: stops[place] as string, place: place + 1, of: stops.length };
}

/** Where a node is among the stops; null: it is none. */
export function placeOf(snapshot: TreeSnapshot, filter: Filter, sort: Sort, id: string): Stop | null {
  const ids = matching(snapshot, filter);
  if (!ids.has(id)) return null;
  const stops = ordered(snapshot, sort).filter((one) => ids.has(one));
  return { id, place: stops.indexOf(id) + 1, of: stops.length };
}
