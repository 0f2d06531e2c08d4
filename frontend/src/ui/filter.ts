/** The filter of nodes that is in the address: one for all views of a project. */
import { useMemo } from "react";
import { CLASSES, classOf, type Fields, type StatusClass, type TreeSnapshot } from "../core/index.ts";
import { go, usePlace, withQuery } from "./location.ts";
import { message, title } from "./nodes.ts";

export interface Filter {
  /** Text to look for in title, id and message; empty: any. */
  readonly search: string;
  /** What a status may mean; empty: anything. */
  readonly classes: ReadonlySet<StatusClass>;
}

export const NO_FILTER: Filter = { search: "", classes: new Set() };

/** The filter that the address names: `q` and `status`. */
export function useFilter(): Filter {
  const { query } = usePlace();
  const search = query.get("q") ?? "";
  const status = query.get("status") ?? "";
  return useMemo(() => ({ search, classes: classesOf(status) }), [search, status]);
}

function classesOf(words: string): ReadonlySet<StatusClass> {
  const named = words.split(",");
  return new Set(CLASSES.filter((one) => named.includes(one)));
}

/** Set the filter. It makes no step of the history. */
export function setFilter({ search, classes }: Filter): void {
  const status = [...classes].join(",");
  go(withQuery({ q: search === "" ? null : search, status: status === "" ? null : status }), true);
}

/** The same filter with one more class, or without it. */
export function toggled(filter: Filter, one: StatusClass): Filter {
  const classes = new Set(filter.classes);
  if (!classes.delete(one)) classes.add(one);
  return { ...filter, classes };
}

export function isFilter({ search, classes }: Filter): boolean {
  return search !== "" || classes.size > 0;
}

export function matches(id: string, fields: Fields | undefined, { search, classes }: Filter): boolean {
  if (classes.size > 0 && !classes.has(classOf(fields?.status))) return false;
  return search === "" || mentions(id, fields, search.toLowerCase());
}

function mentions(id: string, fields: Fields | undefined, words: string): boolean {
  return (
    id.toLowerCase().includes(words) ||
    title(id, fields).toLowerCase().includes(words) ||
    (message(fields)?.toLowerCase().includes(words) ?? false)
  );
}

interface Found {
  readonly filter: Filter;
  readonly ids: ReadonlySet<string>;
}

/** What was found last in a snapshot: the parts of a page ask for the same. */
const found = new WeakMap<TreeSnapshot, Found>();

/** The nodes that a filter lets through. */
export function matching(snapshot: TreeSnapshot, filter: Filter): ReadonlySet<string> {
  const last = found.get(snapshot);
  if (last?.filter === filter) return last.ids;
  const ids = new Set<string>();
  for (const [id, fields] of snapshot.nodes) if (matches(id, fields, filter)) ids.add(id);
  found.set(snapshot, { filter, ids });
  return ids;
}

/** A snapshot with only the nodes that a filter lets through. */
export function filtered(snapshot: TreeSnapshot, filter: Filter): TreeSnapshot {
  if (!isFilter(filter)) return snapshot;
  const ids = matching(snapshot, filter);
  return { ...snapshot, nodes: new Map([...snapshot.nodes].filter(([id]) => ids.has(id))) };
}
