/** The kind of a message of the hub, by its fields, never by its `type`, which an event may share. */
import type { Fields } from "./json.ts";

/** No message of the hub's own has a position and a time at its top. */
export function isEvent(message: Fields): boolean {
  return "seq" in message && "timestamp" in message;
}

/** A broadcast has a time, no project and no position. */
export function isBroadcast(message: Fields): boolean {
  return message.project_id === null && "timestamp" in message && !("seq" in message);
}

/** The name of a message of the hub's own; null if it is none. */
export function nameOf(message: Fields): unknown {
  return isEvent(message) || isBroadcast(message) ? null : message.type;
}

/** A number of the hub's, taken as the bound it is beyond; null if it is none. */
export function bounded(value: unknown, least: number, most: number): number | null {
  return typeof value === "number" && !Number.isNaN(value) ? Math.min(most, Math.max(least, value)) : null;
}

/** A seq, or a number of parts: whole, not negative, and exact. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
