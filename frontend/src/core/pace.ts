const BURST = 150;
const A_SECOND = 40;

/**
 * How many requests a connection may send now: a token bucket well below the hub's own limit, which refuses requests and
 * then closes the connection for all topics on it.
 */
export class Pace {
  #left = BURST;
  #at = 0;

  /** A new connection was made: the hub counts anew. */
  reset(now: number): void {
    this.#left = BURST;
    this.#at = now;
  }

  /** Take up to `wanted`; returns how many may be sent. */
  take(wanted: number, now: number): number {
    const gained = Math.max(0, now - this.#at) * (A_SECOND / 1000);
    this.#left = Math.min(BURST, this.#left + gained);
    this.#at = now;
    const taken = Math.min(wanted, Math.floor(this.#left));
    this.#left -= taken;
    return taken;
  }

  /** Milliseconds until the next one. */
  get wait(): number {
    return 1000 / A_SECOND;
  }
}
