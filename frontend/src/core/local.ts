import { Backoff } from "./backoff.ts";
import { Courses } from "./course.ts";
import type { Engine, EngineEvents } from "./engine.ts";
import { HubError } from "./errors.ts";
import type { Parse } from "./exact.ts";
import type { Fields } from "./json.ts";
import { wrongTopic } from "./names.ts";
import { Pace } from "./pace.ts";
import { Socket, type World, world } from "./socket.ts";
import type { Told } from "./told.ts";

const ASK_TIMEOUT = 10_000;
/** The hub refuses a subscription for one of these only for the moment. */
const PASSING = new Set([
  "rate_limited",
  "overloaded",
  "store_unavailable",
  "draining",
  "internal",
  // The position from which it was to go on: it is asked for again from its state.
  "invalid_position",
]);
/** Added to the wait before a subscription that was refused for the moment is asked for again. */
const AGAIN = 1_000;

interface Asked {
  resolve(reply: Fields): void;
  reject(error: HubError): void;
  cancel(): void;
}

interface Retry {
  readonly backoff: Backoff;
  cancel(): void;
}

/**
 * An engine that has the socket itself. See `Engine`. It connects when the first topic is watched.
 *
 * The address of a connection has to name a topic, and a hub that refuses the topic refuses the whole connection, without
 * a word that a browser could read. So an impossible topic never comes into an address, and each attempt names another
 * of the wanted topics: a topic that is refused keeps no other topic from being watched.
 */
export class LocalEngine implements Engine {
  readonly events: EngineEvents;
  readonly #url: string;
  readonly #world: World;
  readonly #parse: Parse;
  readonly #courses: Courses;
  readonly #asked = new Map<number, Asked>();
  /** undefined: not known yet. */
  #token: string | null | undefined;
  #socket: Socket | null = null;
  #minding: (() => void) | null = null;
  #closed = false;
  #visible = false;
  /** The topic that the present connection's address names. */
  #named = "";
  /** Topics that were refused for the moment, until they come. */
  readonly #retries = new Map<string, Retry>();
  readonly #pace = new Pace();
  #resting: (() => void) | null = null;

  constructor(
    url: string,
    token: string | null | undefined,
    events: EngineEvents,
    on: World = world,
    parse: Parse = JSON.parse,
  ) {
    this.#url = url;
    this.#parse = parse;
    this.#token = token;
    this.events = events;
    this.#world = on;
    this.#courses = new Courses(() => on.now());
  }

  watch(topic: string): void {
    const wrong = wrongTopic(topic);
    if (wrong !== null) {
      // Not at once: the caller has to be ready for what it asks.
      queueMicrotask(() => this.#refuse(topic, wrong));
      return;
    }
    this.#courses.want(topic);
    this.#connect();
    this.#flush();
    this.#mind();
  }

  unwatch(topic: string): void {
    this.#retries.get(topic)?.cancel();
    this.#retries.delete(topic);
    this.#courses.unwant(topic);
    this.#flush();
  }

  ask(request: Fields): Promise<Fields> {
    this.#pace.take(1, this.#world.now());
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
    if (this.#courses.topics.size > 0) this.#connect();
  }

  async refresh(token: string): Promise<void> {
    this.#token = token;
    this.#socket?.keepToken(token);
    await this.ask({ type: "refresh", token });
  }

  wake(): void {
    this.#socket?.wake();
  }

  seen(visible: boolean): void {
    this.#visible = visible;
    this.#socket?.seen(visible);
  }

  close(): void {
    this.#closed = true;
    this.#minding?.();
    for (const { cancel } of this.#retries.values()) cancel();
    this.#resting?.();
    this.#socket?.close();
  }

  #refuse(topic: string, { code, message }: HubError): void {
    if (!this.#closed) this.events.told([{ kind: "refused", topic, code, message }]);
  }

  #connect(): void {
    if (this.#socket !== null || this.#closed || this.#token === undefined) return;
    this.#socket = new Socket(
      () => this.#address(),
      this.#token,
      {
        opened: () => {
          this.#pace.reset(this.#world.now());
          this.#courses.opened();
          if (!this.#courses.topics.has(this.#named)) this.#courses.leave(this.#named);
          this.#flush();
          this.#mind();
        },
        message: (message) => this.#received(message),
        closed: () => this.#lost(),
        status: (status) => this.events.status(status),
        heard: (heard) => this.events.heard?.(heard),
        expiring: () => this.events.expiring?.(),
      },
      this.#world,
      this.#parse,
    );
    this.#socket.seen(this.#visible);
  }

  /** The address names one topic: a connection that names none begins with every project there is. */
  #address(): string {
    const wanted = [...this.#courses.topics];
    this.#named = wanted[(wanted.indexOf(this.#named) + 1) % wanted.length] ?? this.#named;
    const url = new URL(this.#url);
    if (this.#named.startsWith("@")) url.searchParams.set("user_id", this.#named.slice(1));
    else url.searchParams.set("project_id", this.#named);
    return url.href;
  }

  #received(message: Fields): void {
    if (this.#answered(message)) return;
    const told = this.#courses.receive(message).filter((one) => !this.#passing(one));
    this.#flush();
    this.#mind();
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

  /** Whether a topic was refused only for the moment; then it is asked for again. */
  #passing(told: Told): boolean {
    const passing = told.kind === "refused" && PASSING.has(told.code);
    if (passing) this.#retry(told.topic);
    else if (this.#retries.size > 0) this.#retries.delete(told.topic);
    return passing;
  }

  #retry(topic: string): void {
    const backoff = this.#retries.get(topic)?.backoff ?? new Backoff(this.#world.random);
    const again = () => {
      this.#courses.want(topic);
      this.#flush();
    };
    const cancel = this.#world.later(again, AGAIN + backoff.next());
    this.#retries.set(topic, { backoff, cancel });
  }

  /** Look again when a topic that is behind will have stood still for too long. */
  #mind(): void {
    const socket = this.#socket;
    if (socket === null) return;
    socket.late(this.#courses.late);
    const due = this.#minding === null ? this.#courses.due(socket.patience) : null;
    if (due === null) return;
    this.#minding = this.#world.later(
      () => {
        this.#minding = null;
        this.#courses.tend(socket.patience);
        this.#flush();
        this.#mind();
      },
      Math.max(0, due - this.#world.now()),
    );
  }

  #lost(): void {
    this.#minding?.();
    this.#minding = null;
    this.#courses.closed();
    for (const asked of this.#asked.values()) {
      asked.cancel();
      asked.reject(new HubError("unreachable", "the connection broke; it may have been done nevertheless"));
    }
    this.#asked.clear();
  }

  /** Send what is to be asked, as fast as the hub takes it. */
  #flush(): void {
    const { outgoing } = this.#courses;
    const most = this.#pace.take(outgoing.length, this.#world.now());
    for (const request of this.#courses.take(most)) this.#socket?.send(request);
    if (outgoing.length === 0 || this.#resting !== null || this.#closed) return;
    this.#resting = this.#world.later(() => {
      this.#resting = null;
      this.#flush();
    }, this.#pace.wait);
  }
}
