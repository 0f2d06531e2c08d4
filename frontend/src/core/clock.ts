/** How far this machine's clock is from the hub's. */
import { Listeners, type Readable } from "./readable.ts";

/** The hub's time was heard: at some moment between `sent` and `received`, by this machine's clock. Milliseconds. */
export interface Heard {
  readonly sent: number;
  readonly received: number;
  readonly hub: number;
  /** The step of the hub's time: 1000 for whole seconds. */
  readonly step: number;
}

/** A clock that jumps by more than this against the machine's uptime was set, or the machine slept. */
const JUMP = 1_500;

const uptime = () => (typeof performance === "undefined" ? Date.now() : performance.now());

/**
 * The hub's clock, as far as it can be known here. What was heard bounds the offset from both sides; the narrowest bounds
 * count until newer ones contradict them. A clock that may be right is taken as right.
 */
export class HubClock implements Readable<number> {
  readonly #listeners = new Listeners();
  #low = Number.NEGATIVE_INFINITY;
  #high = Number.POSITIVE_INFINITY;
  #offset = 0;
  #received = Number.NEGATIVE_INFINITY;
  #base = Date.now() - uptime();

  /** The hub's time less this machine's, in milliseconds. */
  get = (): number => this.#offset;

  subscribe = (listener: () => void): (() => void) => this.#listeners.add(listener);

  /** What time it is at the hub. */
  now(): number {
    return Date.now() + this.#offset;
  }

  hear({ sent, received, hub, step }: Heard): void {
    const low = hub - received;
    const high = hub + step - sent;
    if (!Number.isFinite(low + high) || high < low) return;
    const jumped = this.jumped();
    const fits = low <= this.#high && high >= this.#low && !jumped;
    if (fits && high - low >= this.#high - this.#low) return;
    if (!fits && !jumped && received < this.#received) return;
    this.#received = received;
    this.#low = low;
    this.#high = high;
    this.steady();
    const offset = low <= 0 && high >= 0 ? 0 : Math.round((low + high) / 2);
    if (offset === this.#offset) return;
    this.#offset = offset;
    this.#listeners.tell();
  }

  /** From now on only further jumps count. */
  steady(): void {
    this.#base = Date.now() - uptime();
  }

  /** Whether this machine's clock was set, or the machine slept, since the hub's time was heard. */
  jumped(): boolean {
    return Math.abs(Date.now() - uptime() - this.#base) > JUMP;
  }
}
