import type { Fields } from "./json.ts";
import type { Position } from "./position.ts";

/** Where one topic is on the present connection, and what is due of it. */
export class TopicState {
  /** Where this connection is; null before anything was said. */
  at: Position | null = null;
  /** The request that has no answer yet. */
  pending: number | null = null;
  /** The request asked for the state. */
  wantsState = false;
  /** The life at `at` is over. */
  ended = false;
  /** The parts of a state that came so far. */
  parts: Fields[] = [];
  /** A state was promised, and has not come whole. */
  awaits = false;
  /** A position that a heartbeat named, while this one is not there yet. */
  told: Position | null = null;
  /** When it last got further while it is behind. */
  since: number;

  constructor(now: number) {
    this.since = now;
  }

  /** Something is due: an answer, a state that was promised, a position that a heartbeat named. */
  get behind(): boolean {
    return this.pending !== null || this.awaits || this.parts.length > 0 || this.told !== null;
  }

  /** It got further. */
  further(now: number): void {
    this.since = now;
    const { at, told } = this;
    if (told !== null && at !== null && (at.epoch !== told.epoch || at.seq >= told.seq)) this.told = null;
  }
}
