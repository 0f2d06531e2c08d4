/** The parts of the hub's messages about a topic, read and put together. */
import { type Fields, isObject } from "./json.ts";
import type { Position } from "./position.ts";
import { EMPTY_TOP, type Top } from "./reducer.ts";
import type { NodeEntry, Told } from "./told.ts";
import { isCount } from "./words.ts";

export type Message = Fields;

export function named(topic: string): Fields {
  return topic.startsWith("@") ? { user_id: topic.slice(1) } : { project_id: topic };
}

export function topicOf(message: Message): string {
  return typeof message.user_id === "string" ? `@${message.user_id}` : String(message.project_id);
}

export function isPosition<M extends object>(message: M): message is M & Position {
  return "seq" in message && isCount(message.seq) && "epoch" in message && typeof message.epoch === "string";
}

export function isPart<M extends Fields>(message: M): message is M & { part: number; parts: number } {
  return (
    isCount(message.part) && isCount(message.parts) && 1 <= message.part && message.part <= message.parts
  );
}

export function continues(parts: Fields[], next: Fields): boolean {
  const last = parts.at(-1);
  return (
    last !== undefined &&
    next.part === Number(last.part) + 1 &&
    next.seq === last.seq &&
    next.epoch === last.epoch &&
    next.parts === last.parts
  );
}

export function assemble(topic: string, parts: Fields[]): Told {
  const first = parts[0] as Fields;
  return {
    kind: "state",
    topic,
    position: { epoch: String(first.epoch), seq: Number(first.seq) },
    reason: first.reason === "gap" || first.reason === "shed" ? first.reason : "initial",
    top: { ...EMPTY_TOP, ...partialTop(object(first.data)) },
    nodes: parts.flatMap((part) => entries(object(part.data).nodes)),
  };
}

const TOP = ["state", "project", "orchestrator", "coordination", "prompts", "read"] as const;

/** The project's own fields that an object has. */
export function partialTop(from: Fields): Partial<Top> {
  const found: Record<string, unknown> = {};
  for (const name of TOP) if (Object.hasOwn(from, name)) found[name] = from[name];
  return found as Partial<Top>;
}

/** Whole nodes as ids and fields. */
export function entries(nodes: unknown): NodeEntry[] {
  return list<Fields>(nodes).map((node) => {
    const { node_id, ...fields } = node;
    return [String(node_id), fields] as const;
  });
}

export function list<T>(value: unknown): readonly T[] {
  return Array.isArray(value) ? (value as T[]) : [];
}

export function object(value: unknown): Fields {
  return isObject(value) ? value : {};
}
