/** All projects in a line each, live: what the hub's `GET /projects/stream` tells. */
import { Backoff, LOOKED_AT } from "./backoff.ts";
import type { Status } from "./engine.ts";
import { HubError } from "./errors.ts";
import type { Http } from "./http.ts";
import { type Fields, isObject } from "./json.ts";
import { lines } from "./lines.ts";
import { Cell, Listeners, type Readable } from "./readable.ts";
import { bounded } from "./words.ts";

export interface ProjectRow {
  readonly project_id: string;
  readonly epoch: string;
  readonly seq: number;
  readonly state: string | null;
  readonly nodes: number;
  readonly updated_at: string | null;
  readonly title?: string | null;
  readonly group?: string | null;
  readonly labels?: readonly string[] | null;
  readonly url?: string | null;
  /** Nodes by status; `""` for those without one. */
  readonly counts?: Readonly<Record<string, number>>;
  /** Open prompts. */
  readonly prompts?: number;
  readonly orchestrator?: Fields | null;
  /** The job of which it is a run, and what the run is called in it. */
  readonly series?: string;
  readonly run?: string | number;
  /** What its nodes have used: tokens by their keys, and `cost_usd`; undefined: nothing. */
  readonly usage?: Fields;
  /** What the store has of it cannot be read: it cannot be watched until it is recovered or deleted. */
  readonly damaged?: boolean;
}

/** A row and how many events a second it had, one figure for each of the last seconds. */
export interface ShownRow extends ProjectRow {
  readonly rates: readonly number[];
}

export interface Rows {
  readonly ready: boolean;
  readonly byId: ReadonlyMap<string, ShownRow>;
  readonly error: HubError | null;
}

const SPARK = 30;
/** Where the hub does not say how often it breaks its silence. */
const SILENT_AFTER = 60_000;

/** Follows the rows while there is a listener. */
export class RowsStore implements Readable<Rows> {
  readonly status = new Cell<Status>({ kind: "connecting" });
  readonly #http: Http;
  readonly #listeners = new Listeners();
  readonly #backoff = new Backoff();
  #snapshot: Rows = { ready: false, byId: new Map(), error: null };
  #seqs = new Map<string, number>();
  #stop: AbortController | null = null;
  #seconds: ReturnType<typeof setInterval> | null = null;
  #lost: number | null = null;
  #retry: (() => void) | null = null;

  constructor(http: Http) {
    this.#http = http;
  }

  get = (): Rows => this.#snapshot;

  subscribe = (listener: () => void): (() => void) => {
    const remove = this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#start();
    return () => {
      remove();
      if (this.#listeners.size === 0) this.#end();
    };
  };

  /** Try again now. */
  wake(): void {
    this.#retry?.();
  }

  /** Begin anew, with another token. */
  restart(): void {
    if (this.#stop === null) return;
    this.#end();
    this.#start();
  }

  #start(): void {
    const stop = new AbortController();
    this.#stop = stop;
    this.#seconds = setInterval(() => this.#second(), 1000);
    void this.#follow(stop.signal);
  }

  #end(): void {
    this.#stop?.abort();
    this.#stop = null;
    if (this.#seconds !== null) clearInterval(this.#seconds);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const error = await this.#once(signal).then(
        () => new HubError("unreachable", "the connection broke"),
        (reason: unknown) =>
          reason instanceof HubError ? reason : new HubError("unreachable", String(reason)),
      );
      if (signal.aborted) return;
      const needsToken = error.code === "unauthorized" || error.code === "forbidden";
      this.#set({ error });
      if (needsToken) {
        const code = error.code === "forbidden" ? 403 : this.#http.token === null ? 4001 : 4003;
        this.status.set({ kind: "refused", code, reason: error.message });
        return;
      }
      await this.#pause(error.message, signal);
    }
  }

  #pause(reason: string, signal: AbortSignal): Promise<void> {
    this.#lost ??= Date.now();
    const wait = this.#backoff.next(isSeen() ? LOOKED_AT : undefined);
    this.status.set({ kind: "waiting", until: Date.now() + wait, reason, lost: this.#lost });
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#retry = null;
        resolve();
      };
      const timer = setTimeout(done, wait);
      this.#retry = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }

  /** One connection, until it ends or falls silent. */
  async #once(signal: AbortSignal): Promise<void> {
    const silent = new AbortController();
    let patience = SILENT_AFTER;
    let timer = setTimeout(() => silent.abort(), patience);
    try {
      const response = await this.#http.timed("/projects/stream", {
        headers: { accept: "text/event-stream" },
        signal: AbortSignal.any([signal, silent.signal]),
      });
      patience = silenceOf(response);
      this.#lost = null;
      this.#backoff.reset();
      this.status.set({ kind: "live", since: Date.now(), behind: null, summarised: null, late: [] });
      for await (const { data } of lines(response)) {
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), patience);
        if (data !== "") this.#take(this.#http.parse(data));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #take(message: unknown): void {
    if (!isObject(message)) return;
    const byId = message.whole === true ? new Map<string, ShownRow>() : new Map(this.#snapshot.byId);
    for (const row of (message.projects as ProjectRow[] | undefined) ?? []) {
      const before = this.#snapshot.byId.get(row.project_id);
      if (before === undefined) this.#seqs.set(row.project_id, row.seq);
      byId.set(row.project_id, { ...row, rates: before?.rates ?? [] });
    }
    for (const id of (message.removed as string[] | undefined) ?? []) byId.delete(id);
    this.#set({ byId, ready: true, error: null });
  }

  /** Note each row's rate of the second that passed. */
  #second(): void {
    const { clock } = this.#http;
    if (clock.jumped() && this.status.get().kind === "live") {
      clock.steady();
      void this.#http.askTime();
    }
    let any = false;
    const byId = new Map(this.#snapshot.byId);
    for (const [id, row] of byId) {
      const came = Math.max(0, row.seq - (this.#seqs.get(id) ?? row.seq));
      this.#seqs.set(id, row.seq);
      if (came === 0 && row.rates.every((one) => one === 0)) continue;
      any = true;
      byId.set(id, { ...row, rates: [...row.rates, came].slice(-SPARK) });
    }
    if (any) this.#set({ byId });
  }

  #set(changes: Partial<Rows>): void {
    this.#snapshot = { ...this.#snapshot, ...changes };
    this.#listeners.tell();
  }
}

/** So long, in ms, this stream may say nothing: half as long again as the hub does. */
function silenceOf(response: Response): number {
  const seconds = bounded(Number.parseFloat(response.headers.get("heartbeat-interval") ?? ""), 1, 3_600);
  return seconds === null ? SILENT_AFTER : seconds * 1_500;
}

function isSeen(): boolean {
  return globalThis.document?.visibilityState === "visible";
}
