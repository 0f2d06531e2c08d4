import { Backoff } from "../core/backoff.ts";
import { type Fields, isObject } from "../core/json.ts";
import { SUBPROTOCOL } from "../core/socket.ts";
import { bounded, nameOf } from "../core/words.ts";
import { Course } from "./course.ts";
import type { WebSocketMessage } from "./message.ts";

/** What a stream needs of the world; tests put their own in its place. */
export interface World {
  open(url: string, protocol?: string): WebSocket;
  now(): number;
  later(run: () => void, ms: number): () => void;
  random(): number;
}

export const world: World = {
  open: (url, protocol) => (protocol === undefined ? new WebSocket(url) : new WebSocket(url, protocol)),
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

  constructor(url: string, told: (message: WebSocketMessage) => void, on: World = world) {
    this.#url = url;
    this.#told = told;
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
    if (this.#closed) return;
    this.#asked = language;
    this.#speaks = null;
    let socket: WebSocket;
    try {
      socket = this.#world.open(this.#url, language === "native" ? SUBPROTOCOL : undefined);
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
    socket.onclose = () => this.#ended();
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
    } else this.#course.take(message);
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

  #ended(): void {
    this.#drop();
    if (this.#speaks === null && this.#asked === "native") this.#connect("plain");
    else this.#again();
  }

  #again(): void {
    if (this.#closed) return;
    const wait = this.#advised ?? this.#backoff.next();
    this.#advised = null;
    this.#cancel = this.#world.later(() => this.#connect("native"), wait);
  }
}
