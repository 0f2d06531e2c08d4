/** A project as it was: at any position that the log still reaches, and played from there. */
import { HubError } from "./errors.ts";
import type { Http } from "./http.ts";
import { moment } from "./moments.ts";
import { Listeners, type Readable } from "./readable.ts";
import { Ring } from "./ring.ts";
import type { StoredEvent } from "./told.ts";
import { onFrame, type Scheduler, TreeStore } from "./tree.ts";

export interface Travelling {
  /** The seq that is shown. */
  readonly at: number;
  readonly epoch: string;
  /** The seq that was sought last: what was played since is in `events`. */
  readonly from: number;
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
const MAX_PLAYED = 5_000;
/** The longest wait for the next event at any speed: a quiet night is skipped. */
const LONGEST_WAIT = 2_000;

export class Travel implements Readable<Travelling> {
  readonly tree: TreeStore;
  readonly projectId: string;
  /** What was played since `from`, the oldest first. */
  readonly events: Ring<StoredEvent>;
  readonly #http: Http;
  readonly #listeners = new Listeners();
  #snapshot: Travelling;
  #ahead: StoredEvent[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;
  #seeking: AbortController | null = null;
  #fetching: Promise<void> | null = null;

  constructor(projectId: string, epoch: string, head: number, http: Http, schedule: Scheduler = onFrame) {
    this.projectId = projectId;
    this.tree = new TreeStore(projectId, schedule);
    this.events = new Ring(MAX_PLAYED, schedule);
    this.#http = http;
    const still = { oldest: 0, speed: 0, loading: true, time: null, error: null };
    this.#snapshot = { at: head, from: head, epoch, head, ...still };
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
      if (state.kind !== "state") return;
      const { seq, epoch } = state.position;
      // Its time is part of what is shown: both at once.
      const time = await this.#when(epoch, seq, seeking.signal);
      if (seeking.signal.aborted) return;
      this.#ahead = [];
      this.events.clear();
      this.tree.take(state);
      this.#set({ at: seq, from: seq, epoch, time, loading: false, error: null });
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
  async #when(epoch: string, seq: number, signal: AbortSignal): Promise<string | null> {
    if (seq === 0) return null;
    const before = `${epoch}:${seq}`;
    const page = await this.#http.events(this.projectId, { before, limit: 1 }, signal).catch(() => null);
    return page?.events[0]?.timestamp ?? null;
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
    this.events.push(due);
    this.#set({ at: last.seq, time: last.timestamp });
    if (this.events.total >= MAX_PLAYED) this.#anchor();
    if (this.#ahead.length === 0) await this.#fetch();
    if (this.#snapshot.speed > 0) this.#timer = setTimeout(() => void this.#next(), this.#wait(last));
  }

  /** From here on history is read up to this position. */
  #anchor(): void {
    this.events.clear();
    this.#set({ from: this.#snapshot.at });
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
    const since = `${this.#snapshot.epoch}:${this.#snapshot.at}`;
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
