/** A value that the hub cut out of the state: docs/protocol.md, "Large values". */
import { isObject, number, text } from "./json.ts";

/** The fields that may be cut. */
export const LARGE_FIELDS = ["input", "output"] as const;

export interface Large {
  /** Its size as JSON. */
  readonly bytes: number;
  /** Another text for another value. */
  readonly digest: string;
}

/** What a marker in place of a value says; null: this is the value itself. */
export function largeOf(value: unknown): Large | null {
  if (!isObject(value) || Object.keys(value).length !== 1 || !isObject(value.$large)) return null;
  const bytes = number(value.$large, "bytes");
  const digest = text(value.$large, "digest");
  return bytes === undefined || digest === undefined ? null : { bytes, digest };
}
