import type { Choice, Option } from "./api.ts";
import { HubError } from "./errors.ts";
import type { Http } from "./http.ts";
import type { Fields } from "./json.ts";
import { moment } from "./moments.ts";
import { Listeners, type Readable } from "./readable.ts";
import type { RowsStore } from "./rows.ts";

/** A question put to people, as the hub tells it. */
export interface Prompt {
  readonly prompt_id: string;
  readonly project_id?: string;
  readonly user_id?: string;
  readonly node_id?: string;
  readonly message: string;
  readonly options?: readonly Option[];
  readonly schema?: Fields | boolean;
  readonly deadline: string;
  readonly default: Choice;
  readonly status?: "open" | "answered" | "timeout" | "cancelled";
  readonly outcome?: Outcome;
  readonly settled_at?: string;
}

/** Where a prompt is asked: its id is of its project, or of its user. */
export interface PromptPlace {
  readonly project_id?: string | undefined;
  readonly user_id?: string | undefined;
}

/** The name of a prompt among all that a viewer sees. */
export function promptKey({ prompt_id, project_id, user_id }: Prompt): string {
  return JSON.stringify([project_id, user_id, prompt_id]);
}

/** The path of a prompt, or of what is below it. */
export function promptPath(promptId: string, { project_id, user_id }: PromptPlace, below = ""): string {
  const words = new URLSearchParams();
  if (project_id !== undefined) words.set("project_id", project_id);
  if (user_id !== undefined) words.set("user_id", user_id);
  const query = words.size > 0 ? `?${words}` : "";
  return `/prompts/${encodeURIComponent(promptId)}${below}${query}`;
}

export interface Outcome {
  readonly proceed: boolean;
  readonly value?: unknown;
  readonly feedback?: string;
  readonly by?: string | null;
  readonly how: "answered" | "timeout" | "cancelled";
}

export interface PromptAnswer {
  readonly proceed: boolean;
  readonly value?: unknown;
  readonly feedback?: string;
}

export interface Prompts {
  readonly ready: boolean;
  readonly open: readonly Prompt[];
  /** Those that were settled, the newest first. */
  readonly settled: readonly Prompt[];
  readonly error: HubError | null;
}

const AGAIN = 300;
const KEPT = 50;

/**
 * Every open prompt that the viewer may answer. It asks the hub again when a project's row says that something happened
 * with its prompts, not by the clock.
 */
export class PromptsStore implements Readable<Prompts> {
  readonly #http: Http;
  readonly #rows: RowsStore;
  readonly #listeners = new Listeners();
  #snapshot: Prompts = { ready: false, open: [], settled: [], error: null };
  #mark = "";
  #timer: ReturnType<typeof setTimeout> | null = null;
  #unfollow: (() => void) | null = null;
  #asking: Promise<void> | null = null;
  #again = false;

  constructor(http: Http, rows: RowsStore) {
    this.#http = http;
    this.#rows = rows;
  }

  get = (): Prompts => this.#snapshot;

  subscribe = (listener: () => void): (() => void) => {
    const remove = this.#listeners.add(listener);
    if (this.#unfollow === null) {
      this.#unfollow = this.#rows.subscribe(() => this.#look());
      void this.refresh();
      void this.#recall();
    }
    return () => {
      remove();
      if (this.#listeners.size > 0) return;
      this.#unfollow?.();
      this.#unfollow = null;
    };
  };

  /** Ask again. One after the other: of two answers the older must not come last. */
  refresh(): Promise<void> {
    if (this.#asking !== null) {
      this.#again = true;
      return this.#asking;
    }
    this.#asking = this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#fetch();
      } catch (error) {
        this.#set({
          ready: true,
          error: error instanceof HubError ? error : new HubError("internal", String(error)),
        });
      }
    } while (this.#again);
  }

  async #fetch(): Promise<void> {
    const { prompts: open } = await this.#http.call<{ prompts: Prompt[] }>(
      "GET",
      "/prompts?status=open&limit=500",
    );
    const names = new Set(open.map(promptKey));
    const gone = this.#snapshot.open.filter((one) => !names.has(promptKey(one)));
    this.#set({ open, ready: true, error: null });
    for (const one of gone) await this.#outcome(one);
  }

  /** What was settled before this page looked. Without it there is what is settled from now on. */
  async #recall(): Promise<void> {
    const page = await this.#http
      .call<{ prompts: Prompt[] }>("GET", `/prompts?status=settled&before=end&limit=${KEPT}`)
      .catch(() => null);
    if (page !== null) this.#settled(page.prompts);
  }

  #settled(more: readonly Prompt[]): void {
    const byId = new Map([...this.#snapshot.settled, ...more].map((one) => [promptKey(one), one]));
    const at = ({ settled_at }: Prompt) => moment(settled_at) ?? 0;
    const all = [...byId.values()].sort((one, other) => at(other) - at(one));
    this.#set({ settled: all.slice(0, KEPT) });
  }

  async #outcome(prompt: Prompt): Promise<void> {
    const path = promptPath(prompt.prompt_id, prompt);
    const settled = await this.#http.call<Prompt>("GET", path).catch(() => null);
    if (settled !== null) this.#settled([settled]);
  }

  /** Something may be another with the prompts: at those projects that have some, or had. */
  #look(): void {
    const rows = [...this.#rows.get().byId.values()];
    const mark = rows
      .map((row) => ((row.prompts ?? 0) > 0 ? `${row.project_id}:${row.prompts}:${row.seq}` : ""))
      .join("|");
    if (mark === this.#mark || this.#timer !== null) return;
    this.#mark = mark;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.refresh();
      this.#look();
    }, AGAIN);
  }

  #set(changes: Partial<Prompts>): void {
    this.#snapshot = { ...this.#snapshot, ...changes };
    this.#listeners.tell();
  }
}
