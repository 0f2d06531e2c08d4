/**
 * Tokens and cost of nodes; the same rule as the hub's (`tasktree_rt/core/usage.py`), with shared cases in `reducer.json`.
 * docs/protocol.md, "LLM and tool nodes", has it in words. Cost is summed in billionths of a US dollar, so that sums are
 * exact as long as they stay below nine million dollars.
 */
import { type Fields, isObject, number, own } from "./json.ts";

/** Keys of `usage` that are summed. */
export const TOKENS = [
  "input_tokens",
  "output_tokens",
  "cache_read_input_tokens",
  "cache_creation_input_tokens",
  "reasoning_output_tokens",
  "total_tokens",
] as const;
const TOTAL = TOKENS.length - 1;
const COST = TOKENS.length;
const MAX_TOKENS = 10 ** 10;
const MAX_COST = 1_000_000;
const NANO = 1_000_000_000;
/** What the ended attempts of a node have used; no event sets it. */
export const ENDED_USAGE = "ended_usage";

/** The tokens of each of `TOKENS`, then the cost in billionths of a dollar. */
export type Spent = readonly number[];

/** What a node has used in all of its attempts, itself only; null: nothing. */
export function spent(fields: Fields | undefined): Spent | null {
  const usage = own(fields, "usage");
  const costs = own(fields, "cost_usd");
  const ended = own(fields, ENDED_USAGE);
  if (usage === undefined && costs === undefined && ended === undefined) return null;
  const present = used(usage, costs);
  return isObject(ended) ? sum(present, used(ended, own(ended, "cost_usd"))) : present;
}

/** Both together; null: nothing. */
export function sum(one: Spent | null, other: Spent | null): Spent | null {
  if (one === null) return other;
  if (other === null) return one;
  return one.map((count, at) => count + (other[at] ?? 0));
}

/** What is left of `one` without `other`. */
export function without(one: Spent | null, other: Spent | null): Spent | null {
  if (one === null || other === null) return one;
  const left = one.map((count, at) => count - (other[at] ?? 0));
  return left.every((count) => count === 0) ? null : left;
}

export function sameSpent(one: Spent | null, other: Spent | null): boolean {
  return one === other || (one?.every((count, at) => count === other?.[at]) ?? false);
}

export function totalTokens(found: Spent): number {
  return found[TOTAL] ?? 0;
}

/** In US dollars. */
export function cost(found: Spent): number {
  return (found[COST] ?? 0) / NANO;
}

/** The tokens by their keys, without those that are 0. */
export function tokensOf(found: Spent): Record<string, number> {
  const said: Record<string, number> = {};
  for (const [at, name] of TOKENS.entries()) {
    const count = found[at] ?? 0;
    if (count > 0) said[name] = count;
  }
  return said;
}

/** The usage and the cost of the present attempt as an entry of `ended_attempts` keeps them. */
export function entryUsage(fields: Fields): Fields {
  const found = used(own(fields, "usage"), own(fields, "cost_usd"));
  if (found === null) return {};
  const usage = tokensOf(found);
  return {
    ...(Object.keys(usage).length > 0 ? { usage } : {}),
    ...((found[COST] ?? 0) > 0 ? { cost_usd: cost(found) } : {}),
  };
}

/** An attempt has ended: what it used goes into `ENDED_USAGE`, and out of the attempt that begins. */
export function endUsage(before: Fields, fields: Record<string, unknown>, changes: Fields): void {
  const found = spent(before);
  if (found === null) return;
  const kept = found.map((count, at) => Math.min(count, at === COST ? MAX_COST * NANO : MAX_TOKENS));
  fields[ENDED_USAGE] = {
    ...tokensOf(kept),
    ...((kept[COST] ?? 0) > 0 ? { cost_usd: cost(kept) } : {}),
  };
  for (const name of ["usage", "cost_usd"]) if (!Object.hasOwn(changes, name)) delete fields[name];
}

/** Sums as the hub gives them, of any size. */
export function summed(sums: Fields | undefined): Spent | null {
  if (sums === undefined) return null;
  const counts = TOKENS.map((name) => number(sums, name) ?? 0);
  const found = [...counts, Math.round((number(sums, "cost_usd") ?? 0) * NANO)];
  return found.every((count) => count === 0) ? null : found;
}

/** What a value of `usage` and of `cost_usd` say; null: nothing. */
export function used(usage: unknown, costs: unknown): Spent | null {
  const counts = TOKENS.map((name) => (isObject(usage) ? tokens(own(usage, name)) : 0));
  if (counts[TOTAL] === 0) counts[TOTAL] = Math.min((counts[0] ?? 0) + (counts[1] ?? 0), MAX_TOKENS);
  counts.push(nano(costs));
  return counts.every((count) => count === 0) ? null : counts;
}

function tokens(value: unknown): number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_TOKENS
    ? value
    : 0;
}

function nano(value: unknown): number {
  return typeof value === "number" && value >= 0 && value <= MAX_COST ? Math.floor(value * NANO + 0.5) : 0;
}
