import { HubError } from "./errors.ts";
import { type Fields, own } from "./json.ts";
import { Cell, Listeners } from "./readable.ts";
import { Ring } from "./ring.ts";
import type { StoredEvent, Told } from "./told.ts";
import { onFrame, type Scheduler, TreeStore } from "./tree.ts";

/** What became of a command that this page or another sent. */
export interface CommandRecord {
  readonly id: string;
  readonly name: string;
  readonly nodeId: string | null;
  readonly at: string;
  readonly by: string | null;
  readonly status: "sent" | "accepted" | "done" | "refused" | "timeout";
  readonly message: string | null;
}

export type Loading =
  | { readonly kind: "loading" }
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly error: HubError };

const MAX_EVENTS = 5_000;
const MAX_COMMANDS = 200;

/** One watched project: its tree, its newest events, and what became of commands. */
export class Project {
  readonly id: string;
  readonly tree: TreeStore;
  /** The newest events that came while it was watched, the oldest first. A summary shows only those it kept. */
  readonly events: Ring<StoredEvent>;
  readonly loading = new Cell<Loading>({ kind: "loading" });
  readonly commands = new Cell<readonly CommandRecord[]>([]);
  /** How many lines of output were skipped by summaries, by node. */
  readonly skipped = new Cell<Readonly<Record<string, number>>>({});
  readonly #onEvents = new Listeners<[readonly StoredEvent[]]>();

  constructor(id: string, schedule: Scheduler = onFrame) {
    this.id = id;
    this.tree = new TreeStore(id, schedule);
    this.events = new Ring(MAX_EVENTS, schedule);
  }

  /** Hear of events as they come, in order. */
  onEvents(listener: (events: readonly StoredEvent[]) => void): () => void {
    return this.#onEvents.add(listener);
  }

  /** It cannot be watched. */
  refuse(error: HubError): void {
    this.loading.set({ kind: "refused", error });
  }

  /** It is asked for again, after it was refused. */
  again(): void {
    this.loading.set({ kind: "loading" });
  }

  take(told: Told): void {
    if (told.kind === "refused") {
      this.refuse(new HubError(told.code, told.message));
      return;
    }
    this.tree.take(told);
    if (told.kind === "event" || told.kind === "deleted") this.#events([told.event]);
    if (told.kind === "conflated") {
      this.#events(told.events);
      this.#skipped(told.logsSkipped);
    }
    if (this.loading.get().kind !== "ready") this.loading.set({ kind: "ready" });
  }

  #events(events: readonly StoredEvent[]): void {
    if (events.length === 0) return;
    this.events.push(events);
    for (const event of events) {
      if (event.type === "command" || event.type === "command_result") this.#command(event);
    }
    this.#onEvents.tell(events);
  }

  #skipped(more: Readonly<Record<string, number>>): void {
    const found = { ...this.skipped.get() };
    for (const [id, count] of Object.entries(more)) found[id] = (found[id] ?? 0) + count;
    this.skipped.set(found);
  }

  #command(event: StoredEvent): void {
    const id = String(event.data.command_id);
    const all = this.commands.get();
    const before = all.find((one) => one.id === id);
    const now = event.type === "command" ? begun(id, event) : settled(id, event, before);
    this.commands.set([...all.filter((one) => one.id !== id), now].slice(-MAX_COMMANDS));
  }
}

function begun(id: string, { data, timestamp }: StoredEvent): CommandRecord {
  return {
    id,
    name: String(data.name),
    nodeId: optional(data, "node_id"),
    at: timestamp,
    by: optional(data, "by"),
    status: "sent",
    message: null,
  };
}

const RESULTS = new Set(["accepted", "done", "refused", "timeout"]);

function settled(
  id: string,
  { data, timestamp }: StoredEvent,
  before: CommandRecord | undefined,
): CommandRecord {
  const status = String(data.status);
  return {
    ...(before ?? {
      id,
      name: optional(data, "name") ?? "?",
      nodeId: optional(data, "node_id"),
      at: timestamp,
      by: null,
    }),
    status: RESULTS.has(status) ? (status as CommandRecord["status"]) : "done",
    message: optional(data, "message"),
  };
}

function optional(data: Fields, name: string): string | null {
  const value = own(data, name);
  return typeof value === "string" ? value : null;
}
