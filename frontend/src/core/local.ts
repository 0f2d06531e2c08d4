import { Courses } from "./course.ts";
import type { Engine, EngineEvents } from "./engine.ts";
import { HubError } from "./errors.ts";
import type { Fields } from "./json.ts";
import { Socket, type World, world } from "./socket.ts";

const ASK_TIMEOUT = 10_000;

interface Asked {
  resolve(reply: Fields): void;
  reject(error: HubError): void;
  cancel(): void;
}

/** An engine that has the socket itself. See `Engine`. It connects when the first topic is watched. */
export class LocalEngine implements Engine {
  readonly events: EngineEvents;
  readonly #url: string;
  readonly #world: World;
  readonly #courses = new Courses();
  readonly #asked = new Map<number, Asked>();
  #token: string | null;
  #socket: Socket | null = null;
  #closed = false;

  constructor(url: string, token: string | null, events: EngineEvents, on: World = world) {
    this.#url = url;
    this.#token = token;
    this.events = events;
    this.#world = on;
  }

  watch(topic: string): void {
    this.#courses.want(topic);
    this.#connect(topic);
    this.#flush();
  }

  unwatch(topic: string): void {
    this.#courses.unwant(topic);
    this.#flush();
  }

  ask(request: Fields): Promise<Fields> {
    return new Promise((resolve, reject) => {
      const id = this.#courses.id();
      if (this.#socket?.send({ ...request, id }) !== true) {
        reject(new HubError("unreachable", "there is no connection to the hub at the moment"));
        return;
      }
      const cancel = this.#world.later(() => {
        this.#asked.delete(id);
        reject(new HubError("timeout", "the hub did not answer in time; it may have been done nevertheless"));
      }, ASK_TIMEOUT);
      this.#asked.set(id, { resolve, reject, cancel });
    });
  }

  setToken(token: string | null): void {
    if (token === this.#token) return;
    this.#token = token;
    this.#socket?.setToken(token);
  }

  wake(): void {
    this.#socket?.wake();
  }

  close(): void {
    this.#closed = true;
    this.#socket?.close();
  }

  /** The address names the first topic: a connection that names none begins with every project there is. */
  #connect(topic: string): void {
    if (this.#socket !== null || this.#closed) return;
    const url = new URL(this.#url);
    if (topic.startsWith("@")) url.searchParams.set("user_id", topic.slice(1));
    else url.searchParams.set("project_id", topic);
    this.#socket = new Socket(
      url.href,
      this.#token,
      {
        opened: () => {
          this.#courses.opened();
          if (!this.#courses.topics.has(topic)) this.#courses.leave(topic);
          this.#flush();
        },
        message: (message) => this.#received(message),
        closed: () => this.#lost(),
        status: (status) => this.events.status(status),
      },
      this.#world,
    );
  }

  #received(message: Fields): void {
    if (this.#answered(message)) return;
    const told = this.#courses.receive(message);
    this.#flush();
    if (told.length === 0) return;
    if (told[0]?.kind === "conflated") this.#socket?.summarised();
    this.events.told(told);
  }

  #answered(message: Fields): boolean {
    if (typeof message.id !== "number" || (message.type !== "reply" && message.type !== "error"))
      return false;
    const asked = this.#asked.get(message.id);
    if (asked === undefined) return false;
    this.#asked.delete(message.id);
    asked.cancel();
    if (message.type === "reply") asked.resolve(message);
    else asked.reject(new HubError(String(message.code), String(message.message), message));
    return true;
  }

  #lost(): void {
    this.#courses.closed();
    for (const asked of this.#asked.values()) {
      asked.cancel();
      asked.reject(new HubError("unreachable", "the connection broke; it may have been done nevertheless"));
    }
    this.#asked.clear();
  }

  #flush(): void {
    for (const request of this.#courses.outgoing.splice(0)) this.#socket?.send(request);
  }
}
