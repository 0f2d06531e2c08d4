import type { Fields } from "./json.ts";
import type { Position } from "./position.ts";
import type { Top } from "./reducer.ts";

/** An event as it is in the log of its topic. */
export interface StoredEvent {
  readonly type: string;
  readonly project_id: string | null;
  readonly user_id?: string;
  readonly data: Fields;
  readonly timestamp: string;
  readonly seq: number;
  readonly epoch: string;
}

/** A node of a state: its id, and its fields without the id. */
export type NodeEntry = readonly [id: string, fields: Fields];

/**
 * What the hub said of a topic (a project id, or `@` and a user id), with everything of the protocol already settled: the
 * messages of one topic, applied in order, give the hub's tree at each position.
 */
export type Told =
  | { readonly kind: "event"; readonly topic: string; readonly event: StoredEvent }
  | {
      readonly kind: "state";
      readonly topic: string;
      readonly position: Position;
      readonly reason: "initial" | "gap" | "shed";
      readonly top: Top;
      readonly nodes: readonly NodeEntry[];
    }
  | {
      readonly kind: "conflated";
      readonly topic: string;
      readonly position: Position;
      readonly removed: readonly string[];
      readonly nodes: readonly NodeEntry[];
      readonly top: Partial<Top>;
      readonly events: readonly StoredEvent[];
      readonly logsSkipped: Readonly<Record<string, number>>;
    }
  | { readonly kind: "deleted"; readonly topic: string; readonly event: StoredEvent }
  | { readonly kind: "empty"; readonly topic: string; readonly position: Position }
  | { readonly kind: "refused"; readonly topic: string; readonly code: string; readonly message: string };

export function positionOf(event: StoredEvent): Position {
  return { epoch: event.epoch, seq: event.seq };
}
