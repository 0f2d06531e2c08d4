/** Output of a node, of a branch or of all: what came before, a page at a time, and what comes. */
import { HubError } from "./errors.ts";
import type { EventQuery, Http } from "./http.ts";
import { text } from "./json.ts";
import type { Project } from "./project.ts";
import { Listeners, type Readable } from "./readable.ts";
import type { StoredEvent } from "./told.ts";
import { onFrame, type Scheduler } from "./tree.ts";

export interface LogLine {
  readonly seq: number;
  readonly epoch: string;
  /** Null: it is of no node. */
  readonly nodeId: string | null;
  readonly timestamp: string;
  readonly level: string;
  readonly message: string;
}

/** Whose lines: those of one node (null: of no node), or of each node for which a predicate says so. */
export type LogScope = string | null | ((nodeId: string | null) => boolean);

export interface Log {
  readonly lines: readonly LogLine[];
  readonly loading: boolean;
  /** There is more before the first line. */
  readonly more: boolean;
  /** Lines that a summary skipped; `refill` brings them. */
  readonly skipped: number;
  readonly error: HubError | null;
}

const NEWEST = "end";
const PAGE = 500;
const MOST = 20_000;
const ENOUGH = 100;
const MOST_PAGES = 10;

/** Follows lines while a listener is there. */
export class LogStore implements Readable<Log> {
  readonly #project: Project;
  readonly #scope: LogScope;
  readonly #http: Http;
  readonly #schedule: Scheduler;
  readonly #listeners = new Listeners();
  #lines: LogLine[] = [];
  readonly #end: string;
  #before: string | null;
  #loading = false;
  #error: HubError | null = null;
  #skipped = 0;
  #due = false;
  #snapshot: Log = { lines: [], loading: true, more: false, skipped: 0, error: null };
  #stop: (() => void) | null = null;

  /** `end`: of the past, the lines up to that position and none that come. */
  constructor(
    project: Project,
    scope: LogScope,
    http: Http,
    schedule: Scheduler = onFrame,
    end: string = NEWEST,
  ) {
    this.#end = end;
    this.#before = end;
    this.#project = project;
    this.#scope = scope;
    this.#http = http;
    this.#schedule = schedule;
  }

  get = (): Log => this.#snapshot;

  subscribe = (listener: () => void): (() => void) => {
    const remove = this.#listeners.add(listener);
    if (this.#stop === null) this.#start();
    return () => {
      remove();
      if (this.#listeners.size === 0) {
        this.#stop?.();
        this.#stop = null;
      }
    };
  };

  /** Load the page before the first line. */
  async older(): Promise<void> {
    if (this.#loading || this.#before === null) return;
    this.#loading = true;
    this.#wake();
    try {
      let found = 0;
      // Where lines are rare a page can have none of them, and there is more before it.
      for (let pages = 0; pages < MOST_PAGES && found < ENOUGH && this.#before !== null; pages += 1) {
        const page = await this.#page(this.#before);
        this.#before = page.next;
        const mine = linesOf(page.events, this.#scope);
        found += mine.length;
        this.#merge(mine);
      }
      this.#error = null;
    } catch (error) {
      this.#error = error as HubError;
    }
    this.#loading = false;
    this.#wake();
  }

  /** Load what summaries skipped. */
  async refill(): Promise<void> {
    this.#skipped = 0;
    this.#before = this.#end;
    this.#lines = [];
    await this.older();
  }

  #start(): void {
    const ends = this.#end === NEWEST ? this.#follow() : [];
    this.#stop = () => {
      for (const end of ends) end();
    };
    if (this.#before === this.#end) void this.older();
  }

  #follow(): (() => void)[] {
    const seen = () => this.#skippedNow();
    let before = seen();
    return [
      this.#project.onEvents((events) => {
        const mine = linesOf(events, this.#scope);
        if (mine.length > 0) this.#merge(mine);
      }),
      this.#project.skipped.subscribe(() => {
        this.#skipped += seen() - before;
        before = seen();
        this.#wake();
      }),
    ];
  }

  #skippedNow(): number {
    const all = this.#project.skipped.get();
    if (typeof this.#scope !== "function") return all[this.#scope ?? ""] ?? 0;
    let found = 0;
    for (const [id, many] of Object.entries(all)) if (this.#scope(id === "" ? null : id)) found += many;
    return found;
  }

  #page(before: string) {
    return this.#http.events(this.#project.id, { before, limit: PAGE, ...asked(this.#scope) });
  }

  #merge(more: LogLine[]): void {
    const first = more[0];
    const last = this.#lines.at(-1);
    if (first === undefined) return;
    if (last === undefined || (first.epoch === last.epoch && first.seq > last.seq)) this.#lines.push(...more);
    else {
      const known = new Set(this.#lines.map((one) => `${one.epoch}:${one.seq}`));
      const fresh = more.filter((one) => !known.has(`${one.epoch}:${one.seq}`));
      this.#lines = [...this.#lines, ...fresh].sort((one, other) =>
        one.epoch === other.epoch ? one.seq - other.seq : 0,
      );
    }
    if (this.#lines.length > 1.2 * MOST) this.#lines = this.#lines.slice(-MOST);
    this.#wake();
  }

  #wake(): void {
    if (this.#due) return;
    this.#due = true;
    this.#schedule(() => {
      this.#due = false;
      this.#snapshot = {
        lines: this.#lines.slice(),
        loading: this.#loading,
        more: this.#before !== null && this.#before !== this.#end,
        skipped: this.#skipped,
        error: this.#error,
      };
      this.#listeners.tell();
    });
  }
}

function asked(scope: LogScope): EventQuery {
  return { type: "log", ...(typeof scope === "string" ? { node_id: scope } : {}) };
}

/** The lines among events that are in a scope. */
export function linesOf(events: readonly StoredEvent[], scope: LogScope): LogLine[] {
  const within = typeof scope === "function" ? scope : (nodeId: string | null) => nodeId === scope;
  return events.filter(({ type, data }) => type === "log" && within(text(data, "node_id") ?? null)).map(line);
}

function line({ seq, epoch, timestamp, data }: StoredEvent): LogLine {
  return {
    seq,
    epoch,
    nodeId: text(data, "node_id") ?? null,
    timestamp,
    level: text(data, "level") ?? "info",
    message: text(data, "message") ?? "",
  };
}

const WHOLE_PAGE = 1_000;

/**
 * All lines of a scope, the oldest first, a page at a time. `until`: the last seq.
 *
 * @throws HubError of the hub's; what was given before stays good.
 */
export async function* wholeLog(
  http: Http,
  projectId: string,
  scope: LogScope,
  until: number,
  signal?: AbortSignal,
): AsyncGenerator<LogLine[]> {
  let since: string | null = ":0";
  while (since !== null) {
    const query: EventQuery = { since, limit: WHOLE_PAGE, ...asked(scope) };
    let page: Awaited<ReturnType<Http["events"]>>;
    try {
      page = await http.events(projectId, query, signal);
    } catch (error) {
      since = oldest(error, since);
      continue;
    }
    yield linesOf(page.events, scope).filter((one) => one.seq <= until);
    if ((page.events.at(-1)?.seq ?? 0) >= until) return;
    since = page.next;
  }
}

/** Where a log begins now whose beginning was taken away. */
function oldest(error: unknown, before: string): string {
  const found = error instanceof HubError && error.code === "gone" ? error.details.oldest : null;
  if (typeof found === "string" && found !== before) return found;
  throw error;
}
