const LONGEST = 30_000;
/** The longest wait of a page that is looked at. */
export const LOOKED_AT = 4_000;

/** Waits between attempts, in milliseconds: full jitter, doubling from 0.5 s to 30 s; random within [0, ceiling]. */
export class Backoff {
  #attempt = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The next wait; `most`: the longest wait while the page is seen. */
  next(most: number = LONGEST): number {
    const ceiling = Math.min(most, 500 * 2 ** this.#attempt);
    this.#attempt += 1;
    return Math.round(this.#random() * ceiling);
  }

  reset(): void {
    this.#attempt = 0;
  }
}
