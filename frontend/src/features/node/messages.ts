/**
 * Messages of a model's input or output, whichever of the common shapes they have: those of OpenTelemetry's conventions
 * (`parts`), and those of the common APIs (`content`, `tool_calls`, blocks).
 */
import { type Fields, isObject, own, text } from "../../core/index.ts";

export type Part =
  | { readonly kind: "text" | "reasoning"; readonly text: string }
  | { readonly kind: "call"; readonly name: string; readonly id: string | undefined; readonly args: unknown }
  | {
      readonly kind: "result";
      readonly id: string | undefined;
      readonly value: unknown;
      readonly failed: boolean;
    }
  /** `source` is an address, or data of an image. */
  | { readonly kind: "image"; readonly source: string }
  | { readonly kind: "json"; readonly value: unknown };

export interface Message {
  readonly role: string;
  readonly name: string | undefined;
  readonly parts: readonly Part[];
}

/** The messages that a value is; null: it is none of the shapes of messages. */
export function messagesOf(value: unknown): readonly Message[] | null {
  if (Array.isArray(value)) {
    if (value.length === 0 || !value.every(isMessage)) return null;
    return value.map(messageOf);
  }
  if (!isObject(value)) return null;
  if (isMessage(value)) return [messageOf(value)];
  const choices = own(value, "choices");
  if (Array.isArray(choices))
    return messagesOf(choices.map((one) => (isObject(one) ? own(one, "message") : null)));
  const messages = messagesOf(own(value, "messages"));
  const system = own(value, "system");
  if (messages === null || system === undefined) return messages;
  return [{ role: "system", name: undefined, parts: partsOf(system) }, ...messages];
}

function isMessage(value: unknown): value is Fields {
  return (
    isObject(value) &&
    text(value, "role") !== undefined &&
    ["content", "parts", "tool_calls"].some((name) => Object.hasOwn(value, name))
  );
}

function messageOf(value: Fields): Message {
  const role = text(value, "role") ?? "";
  const said = partsOf(own(value, "parts") ?? own(value, "content"));
  const reasoning = text(value, "reasoning_content") ?? text(value, "reasoning");
  const calls = own(value, "tool_calls");
  const id = text(value, "tool_call_id");
  const parts: readonly Part[] = [
    ...(reasoning === undefined ? [] : [{ kind: "reasoning", text: reasoning } as const]),
    ...(role === "tool" && id !== undefined ? asResult(id, said, own(value, "content")) : said),
    ...(Array.isArray(calls) ? calls.map(callOf) : []),
  ];
  return { role, name: text(value, "name"), parts };
}

/** What a tool answered, in a message of its own. */
function asResult(id: string, said: readonly Part[], content: unknown): readonly Part[] {
  const only = said.length === 1 ? said[0] : undefined;
  const value = only?.kind === "text" ? parsed(only.text) : content;
  return [{ kind: "result", id, value, failed: false }];
}

function partsOf(content: unknown): readonly Part[] {
  if (content === null || content === undefined) return [];
  if (typeof content === "string") return content === "" ? [] : [{ kind: "text", text: content }];
  return Array.isArray(content) ? content.map(partOf) : [partOf(content)];
}

const TEXTS = new Set(["text", "input_text", "output_text", "refusal"]);
const REASONING = new Set(["reasoning", "thinking"]);
const CALLS = new Set(["tool_call", "tool_use", "function_call"]);
const RESULTS = new Set(["tool_call_response", "tool_result", "function_call_output"]);
const IMAGES = new Set(["image", "image_url", "input_image", "blob", "uri"]);

function partOf(value: unknown): Part {
  if (typeof value === "string") return { kind: "text", text: value };
  if (!isObject(value)) return { kind: "json", value };
  const type = text(value, "type") ?? "";
  if (TEXTS.has(type) || REASONING.has(type)) {
    const said =
      text(value, "text") ?? text(value, "content") ?? text(value, "thinking") ?? text(value, "refusal");
    if (said !== undefined) return { kind: REASONING.has(type) ? "reasoning" : "text", text: said };
  }
  if (CALLS.has(type)) return callOf(value);
  if (RESULTS.has(type)) {
    const found =
      own(value, "response") ?? own(value, "result") ?? own(value, "content") ?? own(value, "output");
    return {
      kind: "result",
      id: text(value, "id") ?? text(value, "tool_use_id") ?? text(value, "call_id"),
      value: typeof found === "string" ? parsed(found) : plainText(found),
      failed: own(value, "is_error") === true,
    };
  }
  if (IMAGES.has(type)) {
    const source = imageOf(value);
    if (source !== undefined) return { kind: "image", source };
  }
  return { kind: "json", value };
}

function callOf(value: unknown): Part {
  if (!isObject(value)) return { kind: "json", value };
  const inner = own(value, "function");
  const called: Fields = isObject(inner) ? inner : value;
  const args = own(called, "arguments") ?? own(called, "input") ?? own(called, "args") ?? null;
  return {
    kind: "call",
    name: text(called, "name") ?? "tool",
    id: text(value, "id") ?? text(value, "call_id"),
    args: typeof args === "string" ? parsed(args) : args,
  };
}

/** Blocks of text alone are that text. */
function plainText(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const parts = value.map(partOf);
  const texts = parts.flatMap((one) => (one.kind === "text" ? [one.text] : []));
  return texts.length === parts.length && texts.length > 0 ? parsed(texts.join("\n")) : value;
}

function imageOf(value: Fields): string | undefined {
  const inner = own(value, "image_url") ?? own(value, "source") ?? value;
  if (typeof inner === "string") return inner;
  if (!isObject(inner)) return undefined;
  const address = text(inner, "url") ?? text(inner, "uri");
  if (address !== undefined) return address;
  const data = text(inner, "data") ?? text(inner, "content");
  const mime = text(inner, "media_type") ?? text(inner, "mime_type");
  return data === undefined || mime === undefined ? undefined : `data:${mime};base64,${data}`;
}

/** A text that is a JSON object or array, as that. */
function parsed(said: string): unknown {
  if (!/^\s*[[{]/.test(said)) return said;
  try {
    return JSON.parse(said);
  } catch {
    return said;
  }
}

/** Images in the page itself, of types that cannot load anything. */
const OWN_IMAGE = /^data:image\/(?:png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/=\s]+$/;

export function isOwnImage(source: string): boolean {
  return OWN_IMAGE.test(source);
}
