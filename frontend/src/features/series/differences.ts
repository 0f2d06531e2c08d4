/** What is different between two runs: nodes matched by their ids. */
import { classOf, type Fields, own, ran, text } from "../../core/index.ts";
import { alike } from "../../ui/failures.ts";
import { title, URGENCY } from "../../ui/nodes.ts";

export type Nodes = ReadonlyMap<string, Fields>;

export interface Difference {
  readonly id: string;
  readonly title: string;
  /** In one of them only, or in both and not the same. */
  readonly kind: "new" | "gone" | "changed";
  /** In the first and in the second run. */
  readonly status: readonly [string | undefined, string | undefined];
  readonly message: readonly [string | undefined, string | undefined];
  /** Milliseconds. */
  readonly duration: readonly [number | undefined, number | undefined];
  /** Other fields that differ. */
  readonly fields: readonly string[];
}

/** What is compared by itself, or differs from run to run in any case. */
const APART = new Set([
  "status",
  "message",
  "started_at",
  "ended_at",
  "progress",
  "title",
  "ended_attempts",
  "ended_usage",
  "usage",
  "cost_usd",
]);
/** Twice as long, and this much at least, in milliseconds, is another duration. */
const TIMES = 2;
const LEAST = 1_000;

function took(fields: Fields | undefined): number | undefined {
  const { started, ended } = ran(fields);
  return started === undefined || ended === undefined ? undefined : ended - started;
}

export function slower([one, other]: Difference["duration"]): boolean {
  if (one === undefined || other === undefined || Math.abs(one - other) < LEAST) return false;
  return one >= other * TIMES || other >= one * TIMES;
}

/** Whether messages differ in more than numbers and ids. */
export function otherWords([one, other]: Difference["message"]): boolean {
  return alike(one ?? "") !== alike(other ?? "");
}

function same(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function compared(id: string, first: Fields | undefined, second: Fields | undefined): Difference | null {
  const names = new Set([...Object.keys(first ?? {}), ...Object.keys(second ?? {})]);
  const both = first !== undefined && second !== undefined;
  const found: Difference = {
    id,
    title: title(id, second ?? first),
    kind: both ? "changed" : first === undefined ? "new" : "gone",
    status: [text(first, "status"), text(second, "status")],
    message: [text(first, "message"), text(second, "message")],
    duration: [took(first), took(second)],
    fields: both
      ? [...names].filter((name) => !APART.has(name) && !same(own(first, name), own(second, name))).sort()
      : [],
  };
  const equal =
    both &&
    found.status[0] === found.status[1] &&
    !otherWords(found.message) &&
    found.fields.length === 0 &&
    !slower(found.duration);
  return equal ? null : found;
}

/** The nodes that differ: what has another status first, the most urgent before all; then new and gone ones. */
export function differences(first: Nodes, second: Nodes): Difference[] {
  const found: Difference[] = [];
  for (const id of new Set([...first.keys(), ...second.keys()])) {
    const one = compared(id, first.get(id), second.get(id));
    if (one !== null) found.push(one);
  }
  return found.sort((one, other) => weight(one) - weight(other) || one.title.localeCompare(other.title));
}

function weight(one: Difference): number {
  const moved = one.status[0] !== one.status[1];
  const urgency = URGENCY[classOf(one.status[1])] + (one.kind === "gone" ? 10 : 0);
  if (moved) return urgency;
  if (otherWords(one.message)) return 20 + urgency;
  return slower(one.duration) ? 40 : 60;
}
