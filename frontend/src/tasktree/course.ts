import { type Fields, isObject } from "../core/json.ts";
import { isBroadcast, isCount, isEvent } from "../core/words.ts";
import type { WebSocketMessage } from "./message.ts";
import { asGiven } from "./names.ts";

/** The type of the message that says: something was missed or merged, load the project (without one: all) anew. */
export const RELOAD = "projects_reload";

interface Position {
  readonly epoch: string;
  readonly seq: number;
}

export interface CourseEvents {
  send(message: Fields): void;
  told(message: WebSocketMessage): void;
  /** The connection is of no use any more. */
  giveUp(): void;
}

/** A request that a hub takes is at most 1 MiB; positions that do not fit cannot be gone on from. */
const LARGEST = 900_000;
const LASTING = new Set(["unauthorized", "forbidden"]);

/**
 * Every project at once, in the hub's own language: the position of each, and how to go on from there after a break
 * (docs/protocol.md, "Subscribing"). Each event is passed on once and in order; what no event says is `RELOAD`.
 */
export class Course {
  readonly #events: CourseEvents;
  readonly #positions = new Map<string, Position>();
  #connections = 0;
  /** Whether the positions of all projects are known. */
  #complete = false;
  #requests = 0;
  /** The request before whose answer nothing counts. */
  #fence: number | null = null;
  #request: number | null = null;

  constructor(events: CourseEvents) {
    this.#events = events;
  }

  /** A connection was made, and has begun with every project as it is. */
  opened(): void {
    this.#connections += 1;
    this.#fence = this.#request = null;
    if (this.#connections > 1) this.#goOn();
  }

  take(message: Fields): void {
    if (isEvent(message)) this.#event(message);
    else if (isBroadcast(message)) this.#tell(message);
    else this.#control(message);
  }

  #goOn(): void {
    const since = Object.fromEntries(
      [...this.#positions].map(([name, at]) => [name, `${at.epoch}:${at.seq}`]),
    );
    const fits = this.#complete && JSON.stringify(since).length < LARGEST;
    this.#fence = this.#ask("unsubscribe", {});
    this.#request = this.#ask("subscribe", fits ? { since } : {});
    if (fits) return;
    this.#complete = false;
    this.#reload(null);
  }

  #ask(type: string, fields: Fields): number {
    this.#requests += 1;
    this.#events.send({ type, id: this.#requests, project_id: "*", ...fields });
    return this.#requests;
  }

  #event(message: Fields): void {
    const { project_id: project, epoch, seq } = message;
    if (this.#fence !== null || typeof project !== "string" || typeof epoch !== "string" || !isCount(seq))
      return;
    const at = this.#positions.get(project);
    if (at?.epoch === epoch && seq <= at.seq) return;
    if (message.type === "project_deleted") this.#positions.delete(project);
    else this.#positions.set(project, { epoch, seq });
    this.#tell(message);
  }

  #control(message: Fields): void {
    if (message.type === "unsubscribed") this.#unsubscribed(message);
    else if (message.type === "error") this.#refused(message);
    else if (this.#fence !== null) return;
    else if (message.type === "subscribed") this.#subscribed(message);
    else if (message.type === "project_state") this.#state(message);
    else if (message.type === "conflated") this.#conflated(message);
    else if (message.type === "reply") this.#replied(message);
    else if (message.type === "heartbeat") this.#compare(message);
  }

  #unsubscribed(message: Fields): void {
    if (message.id === this.#fence) this.#fence = null;
    else if (this.#fence === null && typeof message.project_id === "string") {
      this.#positions.delete(message.project_id);
    }
  }

  #refused(message: Fields): void {
    if (message.id === this.#fence) this.#fence = null;
    else if (!LASTING.has(String(message.code))) this.#events.giveUp();
  }

  #subscribed(message: Fields): void {
    if (message.recovered !== false && (message.recovered === true || !this.#complete)) this.#moved(message);
  }

  #state(message: Fields): void {
    if (message.part !== message.parts) return;
    this.#moved(message);
    this.#reload(message.project_id);
  }

  #conflated(message: Fields): void {
    for (const event of Array.isArray(message.events) ? message.events : []) {
      if (isObject(event)) this.#event(event);
    }
    this.#moved(message);
    this.#reload(message.project_id);
  }

  #replied(message: Fields): void {
    if ((message.id ?? null) === this.#request) this.#complete = true;
  }

  /** A hub at another position has sent events that did not arrive here. */
  #compare(message: Fields): void {
    if (!this.#complete || !isObject(message.positions)) return;
    const apart = Object.entries(message.positions).some(([project, text]) => {
      const at = this.#positions.get(project);
      return at !== undefined && text !== `${at.epoch}:${at.seq}`;
    });
    if (apart) this.#goOn();
  }

  #moved({ project_id: project, epoch, seq }: Fields): void {
    if (typeof project === "string" && typeof epoch === "string" && isCount(seq)) {
      this.#positions.set(project, { epoch, seq });
    }
  }

  #reload(project: unknown): void {
    this.#tell({ type: RELOAD, project_id: project, data: {}, timestamp: new Date().toISOString() });
  }

  #tell(message: Fields): void {
    const { project_id: project, data } = message;
    const [name, given] = typeof project === "string" ? asGiven(project, data) : [project, data];
    this.#events.told({ ...message, project_id: name, data: given } as unknown as WebSocketMessage);
  }
}
