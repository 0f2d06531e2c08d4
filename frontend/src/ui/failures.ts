/** What went wrong in a tree: where it began, and what it holds up. */
import { classOf, type Fields, isEnded, ran, type TreeSnapshot, texts, time } from "../core/index.ts";
import { message } from "./nodes.ts";

export interface Failed {
  readonly id: string;
  readonly fields: Fields;
  /** When it failed, in milliseconds; infinite where nothing says so. */
  readonly at: number;
}

/** When a node failed: its end, or where it tells none its beginning. */
function failedAt(fields: Fields): number {
  return ran(fields).ended ?? time(fields, "started_at") ?? Number.POSITIVE_INFINITY;
}

function inTime(all: Failed[]): Failed[] {
  return all.sort((one, other) => (one.at === other.at ? 0 : one.at - other.at));
}

/** The nodes that failed with none below them that did, the first in time first. */
export function begun({ nodes, shape }: TreeSnapshot): Failed[] {
  const found: Failed[] = [];
  for (const [id, fields] of nodes) {
    if (classOf(fields.status) !== "failed" || (shape.rollup(id)?.counts.failed ?? 0) > 0) continue;
    found.push({ id, fields, at: failedAt(fields) });
  }
  return inTime(found);
}

/** The same below one node. Only branches with a failure are looked through. */
export function begunBelow({ nodes, shape }: TreeSnapshot, top: string): Failed[] {
  const found: Failed[] = [];
  const stack = [...shape.children(top)];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    const below = shape.rollup(id)?.counts.failed ?? 0;
    const fields = nodes.get(id);
    if (below > 0) stack.push(...shape.children(id));
    else if (fields !== undefined && classOf(fields.status) === "failed")
      found.push({ id, fields, at: failedAt(fields) });
  }
  return inTime(found);
}

export interface Group {
  readonly message: string;
  /** The first in time first. */
  readonly failed: readonly Failed[];
}

/** What differs from one failure to the next of the same kind: numbers and ids. */
const PARTICULAR = /0x[\da-f]+|\b[\da-f]{8,}(?:-[\da-f]{4,})*\b|\d+(?:[.,:]\d+)*/gi;

/** A message but for what differs from one failure to the next of the same kind. */
export function alike(message: string): string {
  return message.trim().slice(0, 400).replace(PARTICULAR, "#");
}

/** Failures by what their messages say but for numbers and ids; the group that began first comes first. */
export function grouped(all: readonly Failed[]): Group[] {
  const groups = new Map<string, { message: string; failed: Failed[] }>();
  for (const one of all) {
    const said = message(one.fields)?.trim() ?? "";
    const key = alike(said);
    const there = groups.get(key);
    if (there === undefined) groups.set(key, { message: said, failed: [one] });
    else there.failed.push(one);
  }
  return [...groups.values()];
}

/** Which nodes name a node in `depends_on`. */
export type Dependents = ReadonlyMap<string, readonly string[]>;

export function dependents({ nodes }: TreeSnapshot): Dependents {
  const found = new Map<string, string[]>();
  for (const [id, fields] of nodes) {
    for (const needed of texts(fields, "depends_on")) {
      const there = found.get(needed);
      if (there === undefined) found.set(needed, [id]);
      else there.push(id);
    }
  }
  return found;
}

/**
 * What failures hold up: the nodes that depend on one of them or on a branch that failed with it, and in turn on those, as
 * far as they have not ended well. The nearest come first.
 */
export function heldUp({ nodes, shape }: TreeSnapshot, by: Dependents, failed: readonly string[]): string[] {
  const seen = new Set<string>();
  const queue: string[] = [];
  const isFailed = (id: string) => classOf(nodes.get(id)?.status) === "failed";
  const reach = (id: string) => {
    const path = isFailed(id) ? shape.path(id).filter(isFailed).reverse() : [id];
    for (const one of path) {
      if (seen.has(one)) continue;
      seen.add(one);
      queue.push(one);
    }
  };
  for (const id of failed) reach(id);
  const causes = new Set(seen);
  const found: string[] = [];
  for (const id of queue) {
    for (const next of by.get(id) ?? []) {
      const fields = nodes.get(next);
      if (fields === undefined || seen.has(next) || classOf(fields.status) === "done") continue;
      if (!causes.has(next)) found.push(next);
      reach(next);
    }
  }
  return found;
}

/** How a node that is held up is: in words. */
export function heldUpHow(fields: Fields | undefined): string {
  if (!isEnded(fields?.status)) return classOf(fields?.status) === "waiting" ? "waits" : "goes on";
  return classOf(fields?.status) === "failed" ? "failed too" : "cancelled";
}
