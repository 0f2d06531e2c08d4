import { Backoff, LOOKED_AT } from "./backoff.ts";
import type { Heard } from "./clock.ts";
import type { Status } from "./engine.ts";
import { type Parse, writeExact } from "./exact.ts";
import { type Fields, isObject } from "./json.ts";
import { moment } from "./moments.ts";
import { bounded, nameOf } from "./words.ts";

export const SUBPROTOCOL = "tasktree.v1";

/** What a socket needs of the world; tests put their own in its place. */
export interface World {
  open(url: string, protocols: string[]): WebSocket;
  now(): number;
  online(): boolean;
  later(run: () => void, ms: number): () => void;
  random(): number;
}

export const world: World = {
  open: (url, protocols) => new WebSocket(url, protocols),
  now: () => Date.now(),
  online: () => typeof navigator === "undefined" || navigator.onLine !== false,
  later: (run, ms) => {
    const id = setTimeout(run, ms);
    return () => clearTimeout(id);
  },
  random: Math.random,
};

export interface SocketEvents {
  opened(): void;
  message(message: Fields): void;
  closed(): void;
  status(status: Status): void;
  heard?(heard: Heard): void;
  expiring?(): void;
}

/** Closing for one of these, trying again at once would be the same again: a token is needed first. */
export const TOKEN = new Set([4001, 4002, 4003]);
/** What the hub holds against this client: it waits for as long as it ever does. */
const HELD_AGAINST = new Set([1002, 1007, 1009, 4010, 4029]);
/** What a subprotocol may consist of (RFC 9110, 5.6.2); a token of other characters is no token of any hub. */
const SPEAKABLE = /^[\w!#$%&'*+.^`|~-]*$/;
const WATCHDOG_SHARE = 1.5;
/** Bounds of the heartbeat interval, in ms, and what it is where the hub names none. */
const INTERVAL = { least: 1_000, most: 3_600_000, otherwise: 8_000 };
/** A hub that drains cannot ask for a longer absence. */
const ADVICE = { least: 0, most: 300_000 };
const PING_EVERY = 10_000;
/** A connection that is not open by then never will be. */
const OPENING = 15_000;
/** A connection that lasted this long was a good one: the next wait begins small again. */
const GOOD_AFTER = 5_000;

/**
 * A WebSocket that comes back: with full-jitter back-off, at once when the machine is online again, and after the time the
 * hub advises when it is draining. It gives a connection up that says nothing for half as long again as the hub's heartbeat.
 */
export class Socket {
  readonly #url: () => string;
  readonly #parse: Parse;
  readonly #events: SocketEvents;
  readonly #world: World;
  readonly #backoff: Backoff;
  #token: string | null;
  #socket: WebSocket | null = null;
  #cancel: () => void = () => {};
  #stopWatchdog: () => void = () => {};
  #stopPing: () => void = () => {};
  #heartbeat = INTERVAL.otherwise;
  #advised: number | null = null;
  #lost: number | null = null;
  #opened: number | null = null;
  #asked = 0;
  #pinged: number | null = null;
  #behind: number | null = null;
  #summarised: number | null = null;
  #late: readonly string[] = [];
  #closed = false;
  #seen = false;
  #status: Status = { kind: "connecting" };

  /** `url` is asked for the address at each attempt. */
  constructor(
    url: () => string,
    token: string | null,
    events: SocketEvents,
    on: World = world,
    parse: Parse = JSON.parse,
  ) {
    this.#url = url;
    this.#parse = parse;
    this.#token = token;
    this.#events = events;
    this.#world = on;
    this.#backoff = new Backoff(on.random);
    this.#connect();
  }

  get status(): Status {
    return this.#status;
  }

  send(message: Fields): boolean {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(writeExact(message));
    return true;
  }

  /** A summary took the place of events. */
  summarised(): void {
    this.#summarised = this.#world.now();
    this.#tellLive();
  }

  /** So long, in ms, the hub may say nothing, and a topic may stand still. */
  get patience(): number {
    return this.#heartbeat * WATCHDOG_SHARE;
  }

  /** These topics stand still. */
  late(topics: readonly string[]): void {
    if (topics.length === this.#late.length && topics.every((one) => this.#late.includes(one))) return;
    this.#late = topics;
    this.#tellLive();
  }

  setToken(token: string | null): void {
    this.#token = token;
    this.#backoff.reset();
    this.#drop();
    this.#connect();
  }

  /** The token of the next connection. */
  keepToken(token: string): void {
    this.#token = token;
  }

  wake(): void {
    if (this.#closed || this.#socket !== null || this.#status.kind === "refused") return;
    this.#backoff.reset();
    this.#connect();
  }

  /** Whether a person looks at what comes over it. */
  seen(visible: boolean): void {
    this.#seen = visible;
  }

  close(): void {
    this.#closed = true;
    this.#drop();
    this.#say({ kind: "closed" });
  }

  #say(status: Status): void {
    this.#status = status;
    this.#events.status(status);
  }

  #connect(): void {
    if (this.#closed) return;
    this.#cancel();
    this.#opened = null;
    if (!this.#world.online()) {
      this.#say({ kind: "offline", lost: this.#lost });
      return;
    }
    if (this.#lost === null) this.#say({ kind: "connecting" });
    let socket: WebSocket;
    try {
      socket = this.#world.open(this.#url(), protocols(this.#token ?? ""));
    } catch (error) {
      this.#again(String(error));
      return;
    }
    this.#socket = socket;
    this.#asked = this.#world.now();
    this.#cancel = this.#world.later(() => this.#giveUp("the hub did not answer"), OPENING);
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code, reason }) => this.#ended(code, reason);
  }

  #received(data: unknown): void {
    this.#guard();
    let message: unknown;
    try {
      message = this.#parse(String(data));
    } catch {
      this.#giveUp("the hub said something that is no JSON");
      return;
    }
    if (!isObject(message)) return;
    const name = nameOf(message);
    // The hub greets once, first; whatever is called so later is nothing of the hub's own.
    if (this.#opened === null) {
      if (name === "welcome") this.#welcome(message);
    } else if (name === "draining") this.#advised = advice(message);
    else if (name === "pong") this.#ponged();
    else if (name === "token_expiring") this.#events.expiring?.();
    else if (name !== "welcome") this.#events.message(message);
  }

  #welcome(message: Fields): void {
    this.#cancel();
    const data = isObject(message.data) ? message.data : {};
    const interval = bounded(data.heartbeat_interval, INTERVAL.least / 1000, INTERVAL.most / 1000);
    this.#heartbeat = interval === null ? INTERVAL.otherwise : interval * 1000;
    this.#opened = this.#world.now();
    const hub = moment(data.server_time);
    if (hub !== undefined) this.#events.heard?.({ sent: this.#asked, received: this.#opened, hub, step: 0 });
    this.#lost = null;
    this.#behind = null;
    this.#summarised = null;
    this.#late = [];
    this.#guard();
    this.#tellLive();
    this.#events.opened();
    this.#ping();
  }

  #tellLive(): void {
    if (this.#opened === null) return;
    this.#say({
      kind: "live",
      since: this.#opened,
      behind: this.#behind,
      summarised: this.#summarised,
      late: this.#late,
    });
  }

  #ping = (): void => {
    this.#pinged = this.#world.now();
    this.send({ type: "ping" });
    this.#stopPing = this.#world.later(this.#ping, PING_EVERY);
  };

  #ponged(): void {
    if (this.#pinged === null) return;
    this.#behind = (this.#world.now() - this.#pinged) / 2;
    this.#pinged = null;
    this.#tellLive();
  }

  #guard(): void {
    this.#stopWatchdog();
    this.#stopWatchdog = this.#world.later(() => this.#giveUp("the hub fell silent"), this.patience);
  }

  #giveUp(reason: string): void {
    this.#drop();
    this.#events.closed();
    this.#again(reason);
  }

  #drop(): void {
    this.#cancel();
    this.#stopWatchdog();
    this.#stopPing();
    const socket = this.#socket;
    this.#socket = null;
    if (this.#opened !== null) this.#lost = this.#world.now();
    if (socket === null) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  #ended(code: number, reason: string): void {
    if (this.#opened !== null && this.#world.now() - this.#opened > GOOD_AFTER) this.#backoff.reset();
    this.#drop();
    this.#opened = null;
    this.#events.closed();
    if (this.#closed) return;
    if (TOKEN.has(code)) this.#say({ kind: "refused", code, reason });
    else this.#again(reason || why(code), HELD_AGAINST.has(code) ? 30_000 : 0);
  }

  #again(reason: string, least = 0): void {
    this.#opened = null;
    if (!this.#world.online()) {
      this.#say({ kind: "offline", lost: this.#lost });
      return;
    }
    const wait = Math.max(least, this.#advised ?? this.#backoff.next(this.#seen ? LOOKED_AT : undefined));
    this.#advised = null;
    this.#cancel = this.#world.later(() => this.#connect(), wait);
    this.#say({ kind: "waiting", until: this.#world.now() + wait, reason, lost: this.#lost });
  }
}

function advice(message: Fields): number | null {
  return isObject(message.data) ? bounded(message.data.reconnect_after_ms, ADVICE.least, ADVICE.most) : null;
}

function why(code: number): string {
  if (code === 1006) return "the connection broke";
  if (code === 1011) return "a fault in the hub";
  if (code === 1012) return "the hub restarts";
  if (code === 1013) return "the hub is full";
  return `closed with ${code}`;
}

/** The token goes in a subprotocol: proxies log addresses. Without one, `bearer.` asks the hub to say so at once. */
export function protocols(token: string): string[] {
  return [SUBPROTOCOL, bearer(token)];
}

/** The subprotocol that carries a token. */
export function bearer(token: string): string {
  return `bearer.${SPEAKABLE.test(token) ? token : "-"}`;
}
