import { moment } from "./moments.ts";

/** What JSON gives: an object of unknown values. Never mutated once it is in a tree. */
export type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A field that is text; undefined if it is missing or of another kind. */
export function text(fields: Fields | undefined, name: string): string | undefined {
  const value = own(fields, name);
  return typeof value === "string" ? value : undefined;
}

/** A field that is a finite number; an integer beyond 2^53 is rounded. */
export function number(fields: Fields | undefined, name: string): number | undefined {
  const value = own(fields, name);
  if (typeof value === "bigint") return Number(value);
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** A field that is a time, as milliseconds since 1970; a time without an offset is UTC. */
export function time(fields: Fields | undefined, name: string): number | undefined {
  return moment(own(fields, name));
}

/** A field that is a list of text; what is not text in it is left out. */
export function texts(fields: Fields | undefined, name: string): readonly string[] {
  const value = own(fields, name);
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}

/** A field as it is. */
export function own(fields: Fields | undefined, name: string): unknown {
  return fields !== undefined && Object.hasOwn(fields, name) ? fields[name] : undefined;
}
