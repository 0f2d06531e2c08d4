/** What a JSON Schema asks of a field: its kind, what it begins with, and what is wrong with a value. */
import { type Fields, isObject, moment, writeExact } from "../../core/index.ts";

export const DEEPEST = 6;
/** A schema that refers to itself in many places has ever more of what may be left out. */
const DEEPEST_PROPOSAL = 3;

/** The schema itself: references followed, and `null` split from the other types. */
export function resolved(schema: unknown, root: unknown): Fields {
  let one: unknown = schema;
  for (let steps = 0; steps < 16 && isObject(one); steps += 1) {
    const next = further(one, root);
    if (next === null) return one;
    one = next;
  }
  return isObject(one) && further(one, root) === null ? one : {};
}

function further(one: Fields, root: unknown): unknown {
  if (typeof one.$ref === "string") return referred(one.$ref, root, one);
  if (Array.isArray(one.type) && one.type.includes("null")) {
    const [type, ...more] = one.type.filter((other) => other !== "null");
    if (more.length === 0 && type !== undefined) return { ...one, type, nullable: true };
  }
  const all = [one.anyOf, one.oneOf, one.allOf].find(Array.isArray);
  const some = all?.filter((other) => !isNull(other));
  if (all === undefined || some?.length !== 1 || !isObject(some[0])) return null;
  const { anyOf: _, oneOf: __, allOf: ___, ...rest } = one;
  return { ...some[0], ...rest, ...(all.length > 1 ? { nullable: true } : {}) };
}

const isNull = (schema: unknown) => isObject(schema) && schema.type === "null";

function referred(ref: string, root: unknown, { $ref: _, ...rest }: Fields): unknown {
  const names = ref.replace(/^#\/?/, "").split("/");
  const found = names.reduce<unknown>((at, name) => {
    const plain = decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~");
    return plain === "" ? at : isObject(at) ? at[plain] : undefined;
  }, root);
  return isObject(found) ? { ...found, ...rest } : undefined;
}

export interface Variant {
  readonly name: string;
  /** Resolved, with what holds for all variants. */
  readonly schema: Fields;
}

/** What a value may be one of: the schemas of `oneOf` or `anyOf`. Empty: the schema has no choice. */
export function variants(schema: Fields, root: unknown): readonly Variant[] {
  const { oneOf, anyOf, title: _, description: __, ...rest } = schema;
  const all = [oneOf, anyOf].find(Array.isArray) ?? [];
  return all
    .filter((one) => !isNull(one))
    .map((one, at) => {
      const own = resolved(one, root);
      const properties = { ...asObject(rest.properties), ...asObject(own.properties) };
      const required = [...new Set([...demanded(rest), ...demanded(own)])];
      const whole = Object.keys(properties).length > 0 ? { type: "object", properties, required } : {};
      return { name: nameOf(own, at), schema: { ...rest, ...own, ...whole } };
    });
}

const asObject = (value: unknown): Fields => (isObject(value) ? value : {});

/** What a person knows a variant by: its title, what is fixed in it, or what it is. */
function nameOf(schema: Fields, at: number): string {
  if (typeof schema.title === "string") return schema.title;
  if ("const" in schema) return typeof schema.const === "string" ? schema.const : writeExact(schema.const);
  const fixed = Object.values(asObject(schema.properties)).flatMap((one) =>
    isObject(one) && typeof one.const === "string" ? [one.const] : [],
  );
  if (fixed.length > 0) return fixed.join(", ");
  const names = Object.keys(asObject(schema.properties));
  if (names.length > 0) return names.slice(0, 3).join(", ");
  return typeof schema.type === "string" ? schema.type : `choice ${at + 1}`;
}

/** The variant that a value is of already; -1: none, which a person has to choose. */
export function fitting(all: readonly Variant[], value: unknown, root: unknown): number {
  return value === undefined ? -1 : all.findIndex(({ schema }) => fits(schema, value, root));
}

function fits(schema: Fields, value: unknown, root: unknown): boolean {
  if ("const" in schema) return same(schema.const, value);
  if (Array.isArray(schema.enum)) return schema.enum.some((one) => same(one, value));
  if (!isObject(value)) return schema.type === undefined || schema.type === typeOf(value, schema.type);
  if (schema.type !== undefined && schema.type !== "object") return false;
  return (
    demanded(schema).every((name) => String(name) in value) &&
    Object.entries(asObject(schema.properties)).every(([name, property]) => {
      const one = resolved(property, root);
      return !("const" in one) || same(one.const, value[name]);
    })
  );
}

function typeOf(value: unknown, wanted: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value === null) return "null";
  if (typeof value === "bigint") return wanted === "number" ? "number" : "integer";
  return typeof value === "number" && Number.isInteger(value) && wanted === "integer"
    ? "integer"
    : typeof value;
}

/** The names of the properties that must be there. */
export function demanded(schema: Fields): readonly unknown[] {
  return Array.isArray(schema.required) ? schema.required : [];
}

/**
 * A value to begin with: what the schema proposes, also of what may be left out. What a person has to choose begins
 * with nothing.
 */
export function initial(schema: unknown, root: unknown = schema, depth = 0): unknown {
  const one = resolved(schema, root);
  if ("default" in one) return one.default;
  if ("const" in one) return one.const;
  if (Array.isArray(one.enum)) return one.enum.length === 1 ? one.enum[0] : undefined;
  if (one.nullable === true) return null;
  if (one.type === "boolean") return false;
  if (one.type === "array") return [];
  if (one.type !== "object" || depth > DEEPEST || !isObject(one.properties)) return undefined;
  const made: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(one.properties)) {
    const begun = demanded(one).includes(name)
      ? initial(property, root, depth + 1)
      : proposed(property, root, depth + 1);
    if (begun !== undefined) made[name] = begun;
  }
  return made;
}

/** What is proposed for a property that may be left out; an object only if nothing else has to be filled in. */
function proposed(schema: unknown, root: unknown, depth: number): unknown {
  const one = resolved(schema, root);
  if ("default" in one) return one.default;
  if (depth > DEEPEST_PROPOSAL || one.type !== "object" || one.nullable === true || !isObject(one.properties))
    return undefined;
  const made = initial(one, root, depth);
  if (!isObject(made) || Object.keys(made).length === 0) return undefined;
  return demanded(one).every((name) => String(name) in made) ? made : undefined;
}

export function same(one: unknown, other: unknown): boolean {
  return one === other || (one !== undefined && other !== undefined && writeExact(one) === writeExact(other));
}

/** What is wrong with a value, in words; empty: nothing. What is not there is no matter of this. */
export function fault(schema: Fields, value: unknown): string {
  if (typeof value === "string") return textFault(schema, value);
  if (typeof value === "number" || typeof value === "bigint") return figureFault(schema, value);
  if (Array.isArray(value)) return listFault(schema, value);
  return "";
}

function textFault({ minLength, maxLength, pattern, format }: Fields, value: string): string {
  const long = [...value].length;
  if (typeof minLength === "number" && long < minLength) return `At least ${minLength} characters.`;
  if (typeof maxLength === "number" && long > maxLength) return `At most ${maxLength} characters.`;
  if (format === "date-time" && moment(value) === undefined) return "This is no time yet.";
  if (typeof pattern === "string" && matches(pattern, value) === false) return `This has to match ${pattern}`;
  return "";
}

/** Null: a pattern that this browser cannot read is the hub's to judge. */
function matches(pattern: string, value: string): boolean | null {
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return null;
  }
}

function figureFault(schema: Fields, value: number | bigint): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  if (typeof value === "number" && !Number.isFinite(value)) return "This is no number yet.";
  if (schema.type === "integer" && typeof value === "number" && !Number.isInteger(value))
    return "A whole number.";
  if (typeof minimum === "number" && value < minimum) return `At least ${minimum}.`;
  if (typeof maximum === "number" && value > maximum) return `At most ${maximum}.`;
  if (typeof exclusiveMinimum === "number" && value <= exclusiveMinimum)
    return `More than ${exclusiveMinimum}.`;
  if (typeof exclusiveMaximum === "number" && value >= exclusiveMaximum)
    return `Less than ${exclusiveMaximum}.`;
  if (typeof multipleOf === "number" && multipleOf > 0 && typeof value === "number") {
    const times = value / multipleOf;
    if (Math.abs(times - Math.round(times)) > 1e-9 * Math.max(1, Math.abs(times)))
      return `A multiple of ${multipleOf}.`;
  }
  return "";
}

function listFault({ minItems, maxItems, uniqueItems, items }: Fields, value: readonly unknown[]): string {
  if (typeof minItems === "number" && value.length < minItems) return `At least ${minItems} of them.`;
  if (typeof maxItems === "number" && value.length > maxItems) return `At most ${maxItems} of them.`;
  if (uniqueItems === true && new Set(value.map((one) => writeExact(one))).size < value.length)
    return "Each only once.";
  for (const [at, one] of value.entries()) {
    const wrong = isObject(items) ? fault(items, one) : "";
    if (wrong !== "") return `Item ${at + 1}: ${wrong}`;
  }
  return "";
}

/** A number as it was written; an integer beyond 2^53 as it is. Undefined: it is none. */
export function figure(text: string): number | bigint | undefined {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value)) return undefined;
  return /^\s*-?\d+\s*$/.test(text) && !Number.isSafeInteger(value) ? BigInt(text.trim()) : value;
}
