/**
 * Attempts of a node that ended before the present one; the same rule as the hub's (`tasktree_rt/core/attempts.py`), with
 * shared cases in `reducer.json`. docs/protocol.md, "Attempts", has it in words.
 */
import { type Fields, isObject, own } from "./json.ts";
import { type Ran, ran } from "./moments.ts";
import { beginsAgain, classOf, isEnded } from "./statuses.ts";
import { ENDED_USAGE, entryUsage } from "./usage.ts";

/** The field that the reducer keeps them in; no event sets it. */
export const ENDED_ATTEMPTS = "ended_attempts";
/** Fields that only the reducer sets. */
export const KEPT = [ENDED_ATTEMPTS, ENDED_USAGE];
/** So many are kept, the newest. */
const MOST = 8;
/** Of a message so many code points. */
const LONGEST = 200;
/** A time or a status that is longer is left out. */
const SHORT = 64;

function short(fields: Fields, name: string): string | undefined {
  const value = own(fields, name);
  return typeof value === "string" && (value.length <= SHORT || [...value].length <= SHORT)
    ? value
    : undefined;
}

/** Which attempt fields are of; where nothing says so, the first. */
function numberOf(fields: Fields): number | bigint {
  const value = own(fields, "attempt");
  return typeof value === "number" || typeof value === "bigint" ? value : 1;
}

/** `before` is another attempt than `after`: what is kept of those that ended. Null: no attempt ended by it. */
export function endedAttempts(before: Fields, after: Fields): readonly unknown[] | null {
  const another = numberOf(before) !== numberOf(after);
  const kept = own(before, ENDED_ATTEMPTS);
  const known: readonly unknown[] = Array.isArray(kept) ? kept : [];
  const newest = known.at(-1);
  const last = isObject(newest) ? newest : null;
  const started = short(before, "started_at");
  if (isEnded(own(before, "status"))) {
    const next = short(after, "started_at");
    const moved = started !== undefined && next !== undefined && started !== next;
    if (!another && !moved && !beginsAgain(own(after, "status"))) return null;
    const ended = short(before, "ended_at");
    const timed = started !== undefined || ended !== undefined;
    if (timed && last !== null && own(last, "started_at") === started && own(last, "ended_at") === ended)
      return null;
  } else {
    // It was broken off: no event has its end.
    if (!another || started === undefined) return null;
    if (last !== null && own(last, "started_at") === started) return null;
  }
  return [...known, entry(before)].slice(-MOST);
}

function entry(fields: Fields): Fields {
  const found: Record<string, unknown> = {};
  const attempt = own(fields, "attempt");
  if (typeof attempt === "number" || typeof attempt === "bigint") found.attempt = attempt;
  for (const name of ["started_at", "ended_at", "status"]) {
    const value = short(fields, name);
    if (value !== undefined) found[name] = value;
  }
  const message = own(fields, "message");
  if (typeof message === "string")
    found.message = message.length > LONGEST ? [...message].slice(0, LONGEST).join("") : message;
  return { ...found, ...entryUsage(fields) };
}

/** One attempt of a node. */
export interface Attempt extends Ran {
  /** Counted from 1. */
  readonly number: number;
  /** What is known of it; of the present one the node's fields. */
  readonly fields: Fields;
  readonly present: boolean;
}

const EMPTY: Fields = {};

/** A node's attempts that are known, the first first; the last is the present one. */
export function attempts(fields: Fields): Attempt[] {
  const kept = own(fields, ENDED_ATTEMPTS);
  const ended = Array.isArray(kept) ? kept.map((one) => (isObject(one) ? one : EMPTY)) : [];
  const count = attemptCount(fields);
  const all = [...ended, fields];
  return all.map((one, n) => {
    const present = n === all.length - 1;
    const told = own(one, "attempt");
    const number = !present && typeof told === "number" ? told : count - (all.length - 1 - n);
    return {
      number,
      fields: one,
      present,
      ...(present ? presentTimes(one, ended.at(-1)) : times(one, all[n + 1])),
    };
  });
}

/** One that was broken off ended at the latest when the next one began. */
function times(fields: Fields, next: Fields | undefined): Ran {
  const { started, ended } = ran(fields);
  return { started, ended: ended ?? ran(next).started };
}

/** A beginning that the last ended attempt has already is that one's: the present one has not begun, or no event says when. */
function presentTimes(fields: Fields, last: Fields | undefined): Ran {
  if (last === undefined || own(last, "started_at") !== own(fields, "started_at")) return ran(fields);
  const running = classOf(own(fields, "status")) === "running";
  return { started: running ? ran(last).ended : undefined, ended: undefined };
}

/** How often a node was tried, the present attempt included. */
export function attemptCount(fields: Fields | undefined): number {
  if (fields === undefined) return 1;
  const kept = own(fields, ENDED_ATTEMPTS);
  const told = own(fields, "attempt");
  const ended = Array.isArray(kept) ? kept.length : 0;
  return Math.max(ended + 1, typeof told === "number" && Number.isSafeInteger(told) ? told : 1);
}
