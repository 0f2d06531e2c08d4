/** The stretch of time that a timeline shows. */
import { Listeners, type Readable } from "../../core/readable.ts";

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Nothing narrower is shown, ms. */
const LEAST = 1;
/** Of all, how much more may be shown beside it. */
const BESIDE = 1;

/** What is looked at: all of the run, also as it grows, or a stretch of it. Drawing listens; React need not. */
export class Lens implements Readable<Range | null> {
  readonly #listeners = new Listeners();
  #whole: Range = { from: 0, to: 1 };
  #chosen: Range | null = null;

  /** The stretch that was chosen; null: all of it. */
  get = (): Range | null => this.#chosen;

  subscribe = (listener: () => void): (() => void) => this.#listeners.add(listener);

  /** What is shown. */
  get range(): Range {
    return this.#chosen ?? this.#whole;
  }

  get whole(): Range {
    return this.#whole;
  }

  /** How far all of it reaches. A little is left free behind the last end. */
  reach(first: number, last: number): void {
    const to = Math.max(first + LEAST, last);
    this.#whole = { from: first, to: to + (to - first) * 0.03 };
  }

  /** Look at a stretch; null, or one as long as all of it: at all. */
  look(range: Range | null): void {
    this.#chosen = range === null ? null : this.#bounded(range);
    this.#listeners.tell();
  }

  /** Show `by` times as much, with one moment kept in its place. */
  zoom(by: number, around: number = (this.range.from + this.range.to) / 2): void {
    const { from, to } = this.range;
    this.look({ from: around - (around - from) * by, to: around + (to - around) * by });
  }

  /** Move by a share of what is shown. */
  shift(by: number): void {
    const { from, to } = this.range;
    this.look({ from: from + (to - from) * by, to: to + (to - from) * by });
  }

  #bounded({ from, to }: Range): Range | null {
    const whole = this.#whole;
    const size = whole.to - whole.from;
    if (!(from < to) || (from <= whole.from && to >= whole.to)) return null;
    const length = Math.max(LEAST, to - from);
    const least = whole.from - size * BESIDE;
    const most = whole.to + size * BESIDE;
    const begin = Math.max(least, Math.min(from, most - length));
    return { from: begin, to: begin + length };
  }
}

/** A range as a word of the address, and back; null: it is none. */
export function written(range: Range | null): string {
  return range === null ? "" : `${Math.round(range.from)}-${Math.ceil(range.to)}`;
}

export function readRange(word: string): Range | null {
  const [, from, to] = /^(\d{1,15})-(\d{1,15})$/.exec(word) ?? [];
  const range = { from: Number(from), to: Number(to) };
  return range.from < range.to ? range : null;
}
