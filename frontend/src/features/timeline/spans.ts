import { type Fields, isEnded, ran, type TreeSnapshot, texts } from "../../core/index.ts";

export interface Span {
  readonly id: string;
  readonly from: number;
  readonly to: number;
  readonly going: boolean;
}

export interface Lanes {
  readonly lanes: readonly (readonly Span[])[];
  readonly first: number;
  readonly last: number;
}

/** What began, as stretches of time; those without an end go on until `now`. */
export function spans({ nodes, shape }: TreeSnapshot, now: number, leavesOnly: boolean): Span[] {
  const found: Span[] = [];
  for (const [id, fields] of nodes) {
    if (leavesOnly && shape.children(id).length > 0) continue;
    const one = span(id, fields, now);
    if (one !== null) found.push(one);
  }
  return found.sort((one, other) => one.from - other.from || other.to - one.to);
}

function span(id: string, fields: Fields, now: number): Span | null {
  const { started: from, ended } = ran(fields);
  if (from === undefined) return null;
  if (ended === undefined && isEnded(fields.status)) return { id, from, to: from, going: false };
  return { id, from, to: Math.max(from, ended ?? now), going: ended === undefined };
}

/** Stretches that do not overlap share a lane: as few lanes as ever run at once. */
export function packed(all: readonly Span[]): Span[][] {
  const lanes: Span[][] = [];
  // Lanes by when they are free, smallest first, so that each span takes one look-up and not one a lane.
  const free: number[] = [];
  let waiting: { end: number; lane: number }[] = [];
  for (const one of all) {
    const still: typeof waiting = [];
    for (const busy of waiting) {
      if (busy.end <= one.from) free.push(busy.lane);
      else still.push(busy);
    }
    waiting = still;
    free.sort((a, b) => b - a);
    let lane = free.pop();
    if (lane === undefined) {
      lane = lanes.length;
      lanes.push([]);
    }
    lanes[lane]?.push(one);
    waiting.push({ end: one.to, lane });
  }
  return lanes;
}

/**
 * The chain of dependencies that ended last: from the node that ended last, always to the dependency that ended last. Where
 * nothing is waited for, it is that node alone.
 */
export function criticalPath({ nodes }: TreeSnapshot, all: readonly Span[]): Set<string> {
  const byId = new Map(all.map((one) => [one.id, one]));
  let at = all
    .filter((one) => texts(nodes.get(one.id), "depends_on").length > 0)
    .reduce<Span | null>(latest, null);
  const path = new Set<string>();
  while (at !== null && !path.has(at.id)) {
    path.add(at.id);
    at = texts(nodes.get(at.id), "depends_on")
      .map((id) => (path.has(id) ? undefined : byId.get(id)))
      .reduce<Span | null>((one, other) => (other === undefined ? one : latest(one, other)), null);
  }
  return path;
}

function latest(one: Span | null, other: Span): Span {
  return one === null || other.to > one.to ? other : one;
}

/** Round moments for an axis, about `most` of them. */
export function ticks(from: number, to: number, most: number): number[] {
  const steps = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
    600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000, 86_400_000,
  ];
  const least = (to - from) / Math.max(1, most);
  const step = steps.find((one) => one >= least) ?? Math.ceil(least / 86_400_000) * 86_400_000;
  const found: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return found;
}
