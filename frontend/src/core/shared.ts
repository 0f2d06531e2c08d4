/** One connection for all tabs: what a tab and the SharedWorker say to each other, and the tab's end of it. */
import type { Heard } from "./clock.ts";
import type { Engine, EngineEvents, Status } from "./engine.ts";
import { HubError } from "./errors.ts";
import type { Fields } from "./json.ts";
import type { Told } from "./told.ts";

/** What a tab wants of its connection. */
export interface Hello {
  readonly url: string;
  /** undefined: not known yet. */
  readonly token: string | null | undefined;
  /** Integers beyond 2^53 as `bigint`. */
  readonly exact: boolean;
}

export type ToWorker =
  | ({ readonly kind: "hello" } & Hello)
  /** The tab holds this lock for as long as it lives; said only when it has it. */
  | { readonly kind: "lock"; readonly lock: string }
  | { readonly kind: "watch" | "unwatch"; readonly topic: string }
  | { readonly kind: "ask"; readonly number: number; readonly request: Fields }
  | { readonly kind: "token"; readonly token: string | null }
  | { readonly kind: "refresh"; readonly number: number; readonly token: string }
  | { readonly kind: "seen"; readonly visible: boolean }
  | { readonly kind: "taken" | "wake" | "bye" };

export type ToTab =
  | { readonly kind: "told"; readonly batch: readonly Told[] }
  /** `now` is the worker's clock. */
  | { readonly kind: "status"; readonly status: Status; readonly now: number }
  | { readonly kind: "heard"; readonly heard: Heard }
  | { readonly kind: "expiring" }
  | { readonly kind: "answer"; readonly number: number; readonly reply?: Fields; readonly error?: Fields };

/** What both ends need of a `MessagePort`. */
export interface Port<Out, In> {
  postMessage(message: Out): void;
  onmessage: ((event: { data: In }) => void) | null;
}

/** An engine whose socket is in a SharedWorker. See `Engine`. */
export class PortedEngine implements Engine {
  readonly events: EngineEvents;
  readonly #port: Port<ToWorker, ToTab>;
  readonly #asked = new Map<number, [(reply: Fields) => void, (error: HubError) => void]>();
  #numbers = 0;
  readonly #greeted = Date.now();
  /** This page's clock less the worker's; null before the worker said anything. One machine, but a page may have its own. */
  #apart: number | null = null;

  constructor(port: Port<ToWorker, ToTab>, hello: Hello, events: EngineEvents) {
    this.events = events;
    this.#port = port;
    port.onmessage = ({ data }) => this.#received(data);
    port.postMessage({ kind: "hello", ...hello });
  }

  /** The page holds a lock of this name now: when the worker gets it, the page is gone. */
  locked(lock: string): void {
    this.#port.postMessage({ kind: "lock", lock });
  }

  watch(topic: string): void {
    this.#port.postMessage({ kind: "watch", topic });
  }

  unwatch(topic: string): void {
    this.#port.postMessage({ kind: "unwatch", topic });
  }

  ask(request: Fields): Promise<Fields> {
    return this.#answered((number) => ({ kind: "ask", number, request }));
  }

  async refresh(token: string): Promise<void> {
    await this.#answered((number) => ({ kind: "refresh", number, token }));
  }

  #answered(message: (number: number) => ToWorker): Promise<Fields> {
    this.#numbers += 1;
    const number = this.#numbers;
    return new Promise((resolve, reject) => {
      this.#asked.set(number, [resolve, reject]);
      this.#port.postMessage(message(number));
    });
  }

  setToken(token: string | null): void {
    this.#port.postMessage({ kind: "token", token });
  }

  wake(): void {
    this.#port.postMessage({ kind: "wake" });
  }

  seen(visible: boolean): void {
    this.#port.postMessage({ kind: "seen", visible });
  }

  close(): void {
    this.#port.postMessage({ kind: "bye" });
  }

  #received(message: ToTab): void {
    if (message.kind === "told") {
      this.events.told(message.batch);
      this.#port.postMessage({ kind: "taken" });
    } else if (message.kind === "status") {
      this.#apart ??= apart(this.#greeted - message.now, Date.now() - message.now);
      this.events.status(shifted(message.status, this.#apart));
    } else if (message.kind === "heard") {
      const { heard } = message;
      const by = this.#apart ?? 0;
      this.events.heard?.({ ...heard, sent: heard.sent + by, received: heard.received + by });
    } else if (message.kind === "expiring") this.events.expiring?.();
    else {
      const [resolve, reject] = this.#asked.get(message.number) ?? [];
      this.#asked.delete(message.number);
      if (message.error === undefined) resolve?.(message.reply ?? {});
      else reject?.(new HubError(String(message.error.code), String(message.error.message), message.error));
    }
  }
}

/** A difference that lies between these two: none, if it may be none. */
function apart(low: number, high: number): number {
  return low <= 0 && high >= 0 ? 0 : (low + high) / 2;
}

/** A status with its times by a clock that is `by` ahead. */
function shifted(status: Status, by: number): Status {
  if (by === 0) return status;
  const moved = (time: number | null) => (time === null ? null : time + by);
  if (status.kind === "live")
    return { ...status, since: status.since + by, summarised: moved(status.summarised) };
  if (status.kind === "waiting") return { ...status, until: status.until + by, lost: moved(status.lost) };
  return status.kind === "offline" ? { ...status, lost: moved(status.lost) } : status;
}
