/** Time travel, for whatever shows something of a project: nothing of after the position is shown anywhere. */
import { createContext, useContext } from "react";
import { Cell, type Readable, type StoredEvent } from "../core/index.ts";
import { useReadable } from "../react/hooks.ts";

export interface Past {
  readonly epoch: string;
  /** The seq that is shown. */
  readonly at: number;
  /** The seq to read history up to: what was played since then is in `events`. */
  readonly from: number;
  /** When what is shown happened, in milliseconds: the page's now. NaN: before the first event, or not known. */
  readonly time: number;
  readonly events: Readable<readonly StoredEvent[]>;
}

export const PastContext = createContext<Past | null>(null);

/** The position in the past that the page shows; null: it shows the present. */
export function usePast(): Past | null {
  return useContext(PastContext);
}

/** Where a page of history ends, in the words of the hub's `before`. */
export function historyEnd(past: Past | null): string {
  return past === null ? "end" : `${past.epoch}:${past.from}`;
}

const NONE = new Cell<readonly StoredEvent[]>([]);

/** The events that were played since `from`; none in the present. */
export function usePlayed(past: Past | null): readonly StoredEvent[] {
  return useReadable(past?.events ?? NONE);
}
