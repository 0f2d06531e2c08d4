/** A project as it was: at any position that the log still reaches, and played from there. */
import { HubError } from "./errors.ts";
import type { Http } from "./http.ts";
import { moment } from "./moments.ts";
import { Listeners, type Readable } from "./readable.ts";
import type { StoredEvent } from "./told.ts";
import { onFrame, type Scheduler, TreeStore } from "./tree.ts";

export interface Travelling {
  /** The seq that is shown. */
  readonly at: number;
  /** The newest seq when the travel began, or since `head` was told. */
  readonly head: number;
  readonly oldest: number;
  /** Times the speed of what happened; 0: standing still. */
  readonly speed: number;
  readonly loading: boolean;
  /** When what is shown happened. */
  readonly time: string | null;
  readonly error: HubError | null;
}

const PAGE = 1_000;
/** Nobody waits longer than this for the next event, whatever the speed: a quiet night is no show. */
const LONGEST_WAIT = 2_000;

export class Travel implements Readable<Travelling> {
  readonly tree: TreeStore;
  readonly projectId: string;
  readonly #http: Http;
  readonly #listeners = new Listeners();
  #snapshot: Travelling;
  #ahead: StoredEvent[] = [];
  #epoch: string;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #seeking: AbortController | null = null;
  #fetching: Promise<void> | null = null;

  constructor(projectId: string, epoch: string, head: number, http: Http, schedule: Scheduler = onFrame) {
    this.projectId = projectId;
    this.tree = new TreeStore(projectId, schedule);
    this.#epoch = epoch;
    this.#http = http;
    this.#snapshot = { at: head, head, oldest: 0, speed: 0, loading: true, time: null, error: null };
  }

  get = (): Travelling => this.#snapshot;

  subscribe = (listener: () => void): (() => void) => this.#listeners.add(listener);

  /** The log has grown. */
  grown(head: number): void {
    if (head > this.#snapshot.head) this.#set({ head });
  }

  /** Show the tree as it was at `seq`; of two seeks under way only the later counts. */
  async seek(seq: number): Promise<void> {
    const at = Math.max(this.#snapshot.oldest, Math.min(seq, this.#snapshot.head));
    this.#seeking?.abort();
    const seeking = new AbortController();
    this.#seeking = seeking;
    this.#set({ at, loading: true });
    try {
      const state = await this.#http.state(this.projectId, at, seeking.signal);
      if (seeking.signal.aborted || state.kind !== "state") return;
      this.#epoch = state.position.epoch;
      this.#ahead = [];
      this.tree.take(state);
      this.#set({ at: state.position.seq, loading: false, error: null });
      await this.#when(state.position.seq, seeking.signal);
    } catch (error) {
      if (!seeking.signal.aborted) this.#failed(error);
    }
  }

  step(by: number): Promise<void> {
    return this.seek(this.#snapshot.at + by);
  }

  play(speed: number): void {
    this.#set({ speed });
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (speed > 0) void this.#next();
  }

  close(): void {
    this.#seeking?.abort();
    this.play(0);
  }

  #failed(error: unknown): void {
    const told = error instanceof HubError ? error : new HubError("internal", String(error));
    const oldest =
      typeof told.details.oldest === "string" ? Number(told.details.oldest.split(":").at(-1)) : null;
    this.#set({ loading: false, speed: 0, error: told, ...(oldest === null ? {} : { oldest }) });
  }

  /** When the event at `seq` happened. */
  async #when(seq: number, signal: AbortSignal): Promise<void> {
    if (seq === 0) return;
    const since = `${this.#epoch}:${seq - 1}`;
    const page = await this.#http.events(this.projectId, { since, limit: 1 }, signal).catch(() => null);
    const time = page?.events[0]?.timestamp;
    if (!signal.aborted && time !== undefined) this.#set({ time });
  }

  async #next(): Promise<void> {
    if (this.#ahead.length === 0) await this.#fetch();
    const due = this.#due();
    if (due.length === 0 || this.#snapshot.speed === 0) {
      if (this.#snapshot.speed > 0 && this.#ahead.length === 0) this.#set({ speed: 0 });
      return;
    }
    for (const event of due) this.tree.take({ kind: "event", topic: this.projectId, event });
    const last = due.at(-1) as StoredEvent;
    this.#set({ at: last.seq, time: last.timestamp });
    if (this.#ahead.length === 0) await this.#fetch();
    if (this.#snapshot.speed > 0) this.#timer = setTimeout(() => void this.#next(), this.#wait(last));
  }

  /** The events of the next 50 ms of the show, at least one. */
  #due(): StoredEvent[] {
    const first = this.#ahead[0];
    if (first === undefined) return [];
    const until = (moment(first.timestamp) ?? 0) + 50 * this.#snapshot.speed;
    let count = this.#ahead.findIndex((event) => (moment(event.timestamp) ?? 0) > until);
    if (count < 0) count = this.#ahead.length;
    return this.#ahead.splice(0, Math.max(1, count));
  }

  #wait(last: StoredEvent): number {
    const next = this.#ahead[0];
    if (next === undefined) return 50;
    const gap = ((moment(next.timestamp) ?? 0) - (moment(last.timestamp) ?? 0)) / this.#snapshot.speed;
    return Math.min(LONGEST_WAIT, Math.max(50, Number.isFinite(gap) ? gap : 50));
  }

  #fetch(): Promise<void> {
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #load(): Promise<void> {
    const since = `${this.#epoch}:${this.#snapshot.at}`;
    try {
      const page = await this.#http.events(this.projectId, { since, limit: PAGE });
      this.#ahead.push(...page.events);
    } catch (error) {
      this.#failed(error);
    }
  }

  #set(changes: Partial<Travelling>): void {
    this.#snapshot = { ...this.#snapshot, ...changes };
    this.#listeners.tell();
  }
}
