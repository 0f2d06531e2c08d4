import { Backoff } from "../core/backoff.ts";
import { type Fields, isObject } from "../core/json.ts";
import { protocols, SUBPROTOCOL, TOKEN } from "../core/socket.ts";
import { type TokenSource, Tokens } from "../core/tokens.ts";
import { bounded, nameOf } from "../core/words.ts";
import { Course } from "./course.ts";
import type { WebSocketMessage } from "./message.ts";

/** What a stream needs of the world; tests put their own in its place. */
export interface World {
  open(url: string, protocols: string[]): WebSocket;
  now(): number;
  later(run: () => void, ms: number): () => void;
  random(): number;
}

export const world: World = {
  open: (url, protocols) => new WebSocket(url, protocols),
  now: () => Date.now(),
  later: (run, ms) => {
    const id = setTimeout(run, ms);
    return () => clearTimeout(id);
  },
  random: Math.random,
};

/** A connection that is not open by then never will be. */
const OPENING = 15_000;
/** Bounds of the heartbeat interval, in ms, and how much longer a hub may be silent. */
const INTERVAL = { least: 1_000, most: 3_600_000, otherwise: 8_000 };
const WATCHDOG_SHARE = 1.5;
const LONGEST_ADVICE = 300_000;

type Language = "native" | "plain";

/**
 * All messages, over a connection that comes back. At a hub it speaks the hub's own language and goes on from where
 * it was. At a backend that knows none it speaks TaskTree's, which has no resume: each attempt begins with the hub's
 * language, and where that comes to nothing TaskTree's is tried at once.
 */
export class Stream {
  readonly #url: string;
  readonly #told: (message: WebSocketMessage) => void;
  readonly #tokens: Tokens;
  /** The token of the present connection, and the one that the hub refused. */
  #shown: string | null = null;
  #refused: string | null = null;
  readonly #world: World;
  readonly #backoff: Backoff;
  readonly #course: Course;
  #socket: WebSocket | null = null;
  #asked: Language = "native";
  /** What the peer speaks; null: it has said nothing yet. */
  #speaks: Language | null = null;
  #advised: number | null = null;
  #interval = INTERVAL.otherwise;
  #cancel: () => void = () => {};
  #closed = false;

  constructor(
    url: string,
    told: (message: WebSocketMessage) => void,
    on: World = world,
    token: TokenSource = null,
  ) {
    this.#url = url;
    this.#told = told;
    this.#tokens = new Tokens(token);
    this.#world = on;
    this.#backoff = new Backoff(on.random);
    this.#course = new Course({
      send: (message) => this.#socket?.send(JSON.stringify(message)),
      told,
      giveUp: () => this.#giveUp(),
    });
    this.#connect("native");
  }

  /** As TaskTree's: there is no answer, and a hub does not listen. False if it was not sent. */
  send(message: unknown): boolean {
    if (this.#socket?.readyState !== 1) return false;
    if (this.#speaks !== "native") this.#socket.send(JSON.stringify(message));
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #connect(language: Language): void {
    const { current } = this.#tokens;
    if (!this.#tokens.renewable || (current !== null && current !== this.#refused)) {
      this.#open(language, current);
      return;
    }
    this.#tokens.other(this.#refused).then(
      (token) => this.#open(language, token),
      () => this.#again(),
    );
  }

  #open(language: Language, token: string | null): void {
    if (this.#closed) return;
    this.#asked = language;
    this.#shown = token;
    this.#speaks = null;
    let socket: WebSocket;
    try {
      // Not in the address, which proxies log. A backend without the hub's language wants no token.
      const native = token === null ? [SUBPROTOCOL] : protocols(token);
      socket = this.#world.open(this.#url, language === "native" ? native : []);
    } catch {
      this.#again();
      return;
    }
    this.#socket = socket;
    this.#guard(OPENING);
    socket.onopen = () => {
      if (this.#asked === "plain") this.#plain();
    };
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code }) => this.#ended(code);
  }

  #received(data: unknown): void {
    let message: unknown;
    try {
      message = JSON.parse(String(data));
    } catch {
      return;
    }
    if (!isObject(message)) return;
    if (this.#speaks === null && nameOf(message) === "welcome") this.#welcome(message);
    else if (this.#speaks === "native") this.#heard(message);
    else {
      this.#plain();
      this.#told(message as unknown as WebSocketMessage);
    }
  }

  #welcome(message: Fields): void {
    const data = isObject(message.data) ? message.data : {};
    const seconds = bounded(data.heartbeat_interval, INTERVAL.least / 1000, INTERVAL.most / 1000);
    this.#interval = seconds === null ? INTERVAL.otherwise : seconds * 1000;
    this.#speaks = "native";
    this.#backoff.reset();
    this.#guard(this.#interval * WATCHDOG_SHARE);
    this.#course.opened();
  }

  #heard(message: Fields): void {
    this.#guard(this.#interval * WATCHDOG_SHARE);
    if (nameOf(message) === "draining") {
      const data = isObject(message.data) ? message.data : {};
      this.#advised = bounded(data.reconnect_after_ms, 0, LONGEST_ADVICE);
    } else if (nameOf(message) === "token_expiring") void this.#renew();
    else this.#course.take(message);
  }

  /** Give the hub another token over this connection. What fails is left: once it is refused there is another. */
  async #renew(): Promise<void> {
    if (!this.#tokens.renewable) return;
    const token = await this.#tokens.other(this.#shown).catch(() => null);
    if (token === null || token === this.#shown || this.#speaks !== "native") return;
    this.#shown = token;
    this.#socket?.send(JSON.stringify({ type: "refresh", token }));
  }

  /** The peer speaks TaskTree's language, in which silence says nothing. */
  #plain(): void {
    if (this.#speaks !== null) return;
    this.#speaks = "plain";
    this.#backoff.reset();
    this.#cancel();
  }

  #guard(ms: number): void {
    this.#cancel();
    this.#cancel = this.#world.later(() => this.#giveUp(), ms);
  }

  #giveUp(): void {
    this.#drop();
    this.#ended();
  }

  #drop(): void {
    this.#cancel();
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  #ended(code = 0): void {
    this.#drop();
    if (TOKEN.has(code)) {
      this.#refused = this.#shown;
      this.#again();
    } else if (this.#speaks === null && this.#asked === "native") this.#connect("plain");
    else this.#again();
  }

  #again(): void {
    if (this.#closed) return;
    const wait = this.#advised ?? this.#backoff.next();
    this.#advised = null;
    this.#cancel = this.#world.later(() => this.#connect("native"), wait);
  }
}
