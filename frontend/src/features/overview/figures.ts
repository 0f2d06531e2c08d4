import {
  attemptCount,
  attempts,
  classOf,
  type Fields,
  moment,
  ran,
  type StatusClass,
  type StoredEvent,
  type TreeSnapshot,
} from "../../core/index.ts";
import { message, spent } from "../../ui/nodes.ts";

export interface Over {
  /** Seconds since 1970. */
  readonly times: number[];
  readonly byClass: Record<"running" | "done" | "failed" | "cancelled", number[]>;
}

const POINTS = 120;

/** How many ran, and had ended how, at evenly spaced moments of the run: from when its nodes began and ended. */
export function over({ nodes }: TreeSnapshot, now: number): Over {
  const changes: { at: number; kind: keyof Over["byClass"]; by: number }[] = [];
  for (const fields of nodes.values()) note(changes, fields);
  changes.sort((one, other) => one.at - other.at);
  const found: Over = { times: [], byClass: { running: [], done: [], failed: [], cancelled: [] } };
  const first = changes[0]?.at;
  if (first === undefined) return found;
  const running =
    changes.some(({ kind, by }) => kind === "running" && by > 0) &&
    [...nodes.values()].some((one) => classOf(one.status) === "running");
  const last = running ? Math.max(now, changes.at(-1)?.at ?? now) : (changes.at(-1)?.at ?? now);
  const counts = { running: 0, done: 0, failed: 0, cancelled: 0 };
  let next = 0;
  for (let point = 0; point <= POINTS; point += 1) {
    const at = first + ((last - first) * point) / POINTS;
    for (; next < changes.length && (changes[next]?.at ?? 0) <= at; next += 1) {
      const change = changes[next];
      if (change !== undefined) counts[change.kind] += change.by;
    }
    found.times.push(at / 1000);
    for (const kind of ["running", "done", "failed", "cancelled"] as const)
      found.byClass[kind].push(counts[kind]);
  }
  return found;
}

function note(changes: { at: number; kind: keyof Over["byClass"]; by: number }[], fields: Fields): void {
  const { started, ended } = ran(fields);
  if (started !== undefined) changes.push({ at: started, kind: "running", by: 1 });
  if (ended === undefined) return;
  if (started !== undefined) changes.push({ at: Math.max(started, ended), kind: "running", by: -1 });
  const kind: StatusClass = classOf(fields.status);
  if (kind === "done" || kind === "failed" || kind === "cancelled") changes.push({ at: ended, kind, by: 1 });
}

/** Events a second, in buckets that suit the stretch. */
export function throughput(events: readonly StoredEvent[]): { times: number[]; rates: number[] } {
  const at = events.map((one) => (moment(one.timestamp) ?? Number.NaN) / 1000).filter(Number.isFinite);
  if (at.length === 0) return { times: [], rates: [] };
  const first = Math.min(at[0] ?? 0, at.at(-1) ?? 0);
  const last = Math.max(at[0] ?? 0, at.at(-1) ?? 0);
  const width = Math.max(1, Math.ceil((last - first) / POINTS));
  const buckets = new Map<number, number>();
  for (const one of at) {
    const bucket = Math.floor((one - first) / width);
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
  }
  const times: number[] = [];
  const rates: number[] = [];
  for (let bucket = 0; bucket <= Math.floor((last - first) / width); bucket += 1) {
    times.push(first + bucket * width);
    rates.push((buckets.get(bucket) ?? 0) / width);
  }
  // One point alone would be no line.
  if (times.length === 1)
    return { times: [first - width, first, first + width], rates: [0, rates[0] ?? 0, 0] };
  return { times, rates };
}

export function slowest({ nodes, shape }: TreeSnapshot, now: number): { id: string; ms: number }[] {
  const found: { id: string; ms: number }[] = [];
  for (const [id, fields] of nodes) {
    if (shape.children(id).length > 0) continue;
    const ms = spent(fields, now);
    if (ms !== undefined) found.push({ id, ms });
  }
  return found.sort((one, other) => other.ms - one.ms).slice(0, 15);
}

export interface Tries {
  /** Of all nodes. */
  readonly attempts: number;
  /** Nodes that were tried again, the most often tried first. */
  readonly again: readonly { readonly id: string; readonly attempts: number }[];
  /** Attempts that failed before the present one of their node. */
  readonly failed: number;
}

/** How often nodes were tried. */
export function tries({ nodes }: TreeSnapshot): Tries {
  let all = 0;
  let failed = 0;
  const again: { id: string; attempts: number }[] = [];
  for (const [id, fields] of nodes) {
    const many = attemptCount(fields);
    all += many;
    if (many < 2) continue;
    again.push({ id, attempts: many });
    for (const one of attempts(fields))
      if (!one.present && classOf(one.fields.status) === "failed") failed += 1;
  }
  return { attempts: all, again: again.sort((one, other) => other.attempts - one.attempts), failed };
}

export interface Reason {
  readonly message: string;
  readonly ids: readonly string[];
}

/** Failures by what they say; numbers in it do not tell two apart. */
export function failures({ nodes }: TreeSnapshot): Reason[] {
  const byMessage = new Map<string, { message: string; ids: string[] }>();
  for (const [id, fields] of nodes) {
    if (classOf(fields.status) !== "failed") continue;
    const said = message(fields) ?? "(no message)";
    const key = said.replaceAll(/\d+/g, "#");
    const there = byMessage.get(key);
    if (there === undefined) byMessage.set(key, { message: said, ids: [id] });
    else there.ids.push(id);
  }
  return [...byMessage.values()].sort((one, other) => other.ids.length - one.ids.length).slice(0, 30);
}
