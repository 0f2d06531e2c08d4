import type { Heard } from "./clock.ts";
import type { Fields } from "./json.ts";
import type { Told } from "./told.ts";

/** How the connection is, for people. Times are milliseconds since 1970. */
export type Status =
  | { readonly kind: "connecting" }
  | {
      readonly kind: "live";
      readonly since: number;
      /** Milliseconds from the hub to here; null: not measured yet. */
      readonly behind: number | null;
      /** When a summary last took the place of events, because this side was slow. */
      readonly summarised: number | null;
      /** Topics that stand still here although the hub is further, or owes an answer. They are asked for again. */
      readonly late: readonly string[];
    }
  | {
      readonly kind: "waiting";
      readonly until: number;
      readonly reason: string;
      readonly lost: number | null;
    }
  | { readonly kind: "offline"; readonly lost: number | null }
  /** The hub wants another token (`code` is its close code), or lets this page in with none (403). */
  | { readonly kind: "refused"; readonly code: number; readonly reason: string }
  | { readonly kind: "closed" };

export interface EngineEvents {
  told(batch: readonly Told[]): void;
  status(status: Status): void;
  /** A message with the hub's time. */
  heard?(heard: Heard): void;
  /** The hub warns that the connection's token expires soon. */
  expiring?(): void;
}

/**
 * One connection to a hub and what is watched over it. Two kinds: `LocalEngine` has the socket itself, `PortedEngine`
 * speaks to one in a SharedWorker, so that all tabs share a socket.
 */
export interface Engine {
  readonly events: EngineEvents;
  /** Begin to watch a topic: its state follows as `state`. */
  watch(topic: string): void;
  unwatch(topic: string): void;
  /**
   * Send `answer`, `command` or `ack`, and wait for its reply.
   * @throws HubError what the hub refused; `unreachable` if there is no connection; `timeout` after 10 s.
   */
  ask(request: Fields): Promise<Fields>;
  /** Connect anew with this token. Until it is called, an engine that was made without a token does not connect. */
  setToken(token: string | null): void;
  /**
   * Give the hub a new token over the present connection; the next connection has it too.
   * @throws HubError what the hub refused, as `ask`.
   */
  refresh(token: string): Promise<void>;
  /** Something happened that makes a new attempt worthwhile: online again, visible again, a person pressed "now". */
  wake(): void;
  /** Whether a person looks at the page now: then it waits at most 4 s between two attempts. */
  seen(visible: boolean): void;
  close(): void;
}
