import { Listeners, type Readable } from "./readable.ts";
import type { Scheduler } from "./tree.ts";

/** The newest of a stream of things, to be shown: passed on at most once a frame, bounded in number. */
export class Ring<T> implements Readable<readonly T[]> {
  readonly #most: number;
  readonly #schedule: Scheduler;
  readonly #listeners = new Listeners();
  #kept: T[] = [];
  #snapshot: readonly T[] = [];
  #due = false;
  /** How many there were in all, those no longer kept included. */
  total = 0;

  constructor(most: number, schedule: Scheduler) {
    this.#most = most;
    this.#schedule = schedule;
  }

  get = (): readonly T[] => this.#snapshot;

  subscribe = (listener: () => void): (() => void) => this.#listeners.add(listener);

  push(all: readonly T[]): void {
    if (all.length === 0) return;
    this.total += all.length;
    for (const one of all) this.#kept.push(one);
    // Not at each one: a shift moves everything.
    if (this.#kept.length > 2 * this.#most) this.#kept = this.#kept.slice(-this.#most);
    this.#wake();
  }

  clear(): void {
    this.#kept = [];
    this.total = 0;
    this.#wake();
  }

  #wake(): void {
    if (this.#due) return;
    this.#due = true;
    this.#schedule(() => {
      this.#due = false;
      this.#snapshot = this.#kept.slice(-this.#most);
      this.#listeners.tell();
    });
  }
}
