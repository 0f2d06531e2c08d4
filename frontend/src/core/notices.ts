import { HubError } from "./errors.ts";
import type { Http } from "./http.ts";
import { text } from "./json.ts";
import { Listeners, type Readable } from "./readable.ts";
import type { StoredEvent, Told } from "./told.ts";

export interface Notice {
  readonly seq: number;
  readonly timestamp: string;
  readonly title: string;
  readonly body: string | null;
  readonly level: string;
  readonly url: string | null;
}

export interface Notices {
  readonly ready: boolean;
  /** The newest first. */
  readonly all: readonly Notice[];
  /** The seq up to which the user has read. */
  readonly read: number;
  readonly error: HubError | null;
}

interface Page {
  readonly events: readonly StoredEvent[];
  readonly read: number;
}

const KEPT = 200;

/** A user's notifications: the newest from the hub's log, then whatever comes. */
export class NoticesStore implements Readable<Notices> {
  readonly userId: string;
  readonly #http: Http;
  readonly #listeners = new Listeners();
  #snapshot: Notices = { ready: false, all: [], read: 0, error: null };

  constructor(userId: string, http: Http) {
    this.userId = userId;
    this.#http = http;
  }

  get = (): Notices => this.#snapshot;

  subscribe = (listener: () => void): (() => void) => this.#listeners.add(listener);

  get #path(): string {
    return `/users/${encodeURIComponent(this.userId)}`;
  }

  async load(): Promise<void> {
    try {
      const query = "?before=end&limit=100&type=notification";
      const page = await this.#http.call<Page>("GET", `${this.#path}/notifications${query}`);
      this.#merge(page.events, { read: page.read, ready: true, error: null });
    } catch (error) {
      this.#set({ ready: true, error: error as HubError });
    }
  }

  /** It cannot be watched. */
  refuse(error: HubError): void {
    this.#set({ ready: true, error });
  }

  take(told: Told): void {
    if (told.kind === "refused") this.refuse(new HubError(told.code, told.message));
    else if (told.kind === "state") {
      this.#set({ read: told.top.read });
      if (told.reason !== "initial") void this.load();
    } else if (told.kind === "event") this.#event(told.event);
    else if (told.kind === "conflated") for (const event of told.events) this.#event(event);
  }

  async markRead(): Promise<void> {
    const seq = this.#snapshot.all[0]?.seq ?? 0;
    if (seq <= this.#snapshot.read) return;
    await this.#http.call("POST", `${this.#path}/read`, { seq });
    this.#set({ read: seq });
  }

  #event(event: StoredEvent): void {
    if (event.type === "notification") this.#merge([event], {});
    else if (event.type === "notifications_read") this.#set({ read: Number(event.data.seq) });
  }

  #merge(events: readonly StoredEvent[], more: Partial<Notices>): void {
    const bySeq = new Map(this.#snapshot.all.map((one) => [one.seq, one]));
    for (const event of events) bySeq.set(event.seq, notice(event));
    const all = [...bySeq.values()].sort((one, other) => other.seq - one.seq).slice(0, KEPT);
    this.#set({ all, ...more });
  }

  #set(changes: Partial<Notices>): void {
    this.#snapshot = { ...this.#snapshot, ...changes };
    this.#listeners.tell();
  }
}

function notice({ seq, timestamp, data }: StoredEvent): Notice {
  return {
    seq,
    timestamp,
    title: text(data, "title") ?? "",
    body: text(data, "body") ?? null,
    level: text(data, "level") ?? "info",
    url: text(data, "url") ?? null,
  };
}
