import { HubClock } from "./clock.ts";
import type { Engine, EngineEvents, Status } from "./engine.ts";
import { parseExact } from "./exact.ts";
import { Http } from "./http.ts";
import type { Fields } from "./json.ts";
import { LocalEngine } from "./local.ts";
import { type LogScope, LogStore } from "./logs.ts";
import { wrongProject, wrongUser } from "./names.ts";
import { NoticesStore } from "./notices.ts";
import { type PromptAnswer, type PromptPlace, PromptsStore, promptPath } from "./people.ts";
import { Project } from "./project.ts";
import { Cell, type Readable } from "./readable.ts";
import { RowsStore } from "./rows.ts";
import { type Port, PortedEngine, type ToTab, type ToWorker } from "./shared.ts";
import { world } from "./socket.ts";
import { followWorld } from "./surroundings.ts";
import { type TokenSource, Tokens } from "./tokens.ts";
import type { Told } from "./told.ts";
import { Travel } from "./travel.ts";
import { onFrame, type Scheduler } from "./tree.ts";

export interface HubOptions {
  /** The hub's address: `http://host:8000`. Default: where the page came from. */
  readonly url?: string;
  /**
   * For a hub with authentication: the token, or a function that gives one and is asked again before it expires and when the
   * hub refuses it. Tabs share a connection if their tokens are the same.
   */
  readonly token?: TokenSource;
  /** The SharedWorker over which all tabs share a connection; without it each has its own. */
  readonly worker?: (() => SharedWorker) | undefined;
  /**
   * Integers beyond 2^53 as `bigint`, exactly; else they are rounded, as `JSON.parse` does. `writeExact` writes them; mind
   * that `JSON.stringify` throws at one. Default: false.
   */
  readonly exactIntegers?: boolean;
  /** When to tell of changes; default: once an animation frame. */
  readonly schedule?: Scheduler;
  /** Makes the engine in place of either; for tests. */
  readonly engine?: (events: EngineEvents) => Engine;
}

export interface CommandRequest {
  readonly name: string;
  readonly nodeId?: string | undefined;
  readonly args?: Fields;
}

/** A released topic is kept this long: a page that is left and come back to goes on where it was. */
const LINGER = 20_000;

interface Held<T> {
  readonly value: T;
  holders: number;
  timer: ReturnType<typeof setTimeout> | null;
}

/** A hub, as a dashboard sees it: `watch` projects, answer, command, read. Made by `createHub`. */
export class Hub {
  readonly http: Http;
  /** The hub's time, and how far this machine's clock is from it. */
  readonly clock = new HubClock();
  readonly rows: RowsStore;
  readonly prompts: PromptsStore;
  /** How the connection of what is watched is. */
  readonly status: Readable<Status>;
  readonly #status = new Cell<Status>({ kind: "connecting" });
  readonly #engine: Engine;
  readonly #tokens: Tokens;
  /** The token of the connection; undefined: not known yet. */
  #shown: string | null | undefined;
  readonly #projects = new Map<string, Held<Project>>();
  readonly #users = new Map<string, Held<NoticesStore>>();
  readonly #schedule: Scheduler;
  readonly #end: () => void;

  constructor(options: HubOptions = {}) {
    const base = options.url ?? globalThis.location?.origin ?? "http://127.0.0.1:8000";
    this.#tokens = new Tokens(options.token ?? null);
    this.#shown = this.#tokens.renewable ? undefined : this.#tokens.current;
    this.#schedule = options.schedule ?? onFrame;
    const exact = options.exactIntegers === true;
    this.http = new Http(base, this.#tokens, this.clock, exact ? parseExact : JSON.parse);
    this.rows = new RowsStore(this.http);
    this.prompts = new PromptsStore(this.http, this.rows);
    this.status = this.#status;
    const events: EngineEvents = {
      told: (batch) => this.#told(batch),
      status: (status) => this.#connection(status),
      heard: (heard) => this.clock.hear(heard),
      expiring: () => this.#tokens.expiring(this.#shown ?? null),
    };
    this.#engine = options.engine?.(events) ?? engine(base, this.#shown, exact, options.worker, events);
    this.#tokens.attach({
      use: (token) => this.#use(token),
      refresh: (token) => {
        this.#shown = token;
        return this.#engine.refresh(token);
      },
      later: world.later,
      random: world.random,
    });
    this.#end = followWorld(
      () => this.wake(),
      () => this.#engine.close(),
      (visible) => this.#engine.seen(visible),
    );
  }

  /** Whether anything is watched over the connection that `status` tells of. */
  get watching(): boolean {
    const projects = [...this.#projects.values()];
    return this.#users.size > 0 || projects.some(({ value }) => value.loading.get().kind !== "refused");
  }

  /** Watch a project until `release` is called as often as this was. An id that no project can have is `refused`. */
  watch(projectId: string): Project {
    const held = hold(this.#projects, projectId, () => {
      const project = new Project(projectId, this.#schedule);
      const wrong = wrongProject(projectId);
      if (wrong === null) this.#engine.watch(projectId);
      else project.refuse(wrong);
      return project;
    });
    // A refused project is asked for again when it is opened again; not while a component is drawn.
    if (held.holders === 1) queueMicrotask(() => this.retry(projectId));
    return held.value;
  }

  /** Ask for a project again that the hub refused. */
  retry(projectId: string): void {
    const project = this.#projects.get(projectId)?.value;
    if (project?.loading.get().kind !== "refused" || wrongProject(projectId) !== null) return;
    project.again();
    this.#engine.watch(projectId);
  }

  release(projectId: string): void {
    letGo(this.#projects, projectId, () => this.#engine.unwatch(projectId));
  }

  watchUser(userId: string): NoticesStore {
    const held = hold(this.#users, userId, () => {
      const store = new NoticesStore(userId, this.http);
      const wrong = wrongUser(userId);
      if (wrong === null) {
        this.#engine.watch(`@${userId}`);
        void store.load();
      } else store.refuse(wrong);
      return store;
    });
    return held.value;
  }

  releaseUser(userId: string): void {
    letGo(this.#users, userId, () => this.#engine.unwatch(`@${userId}`));
  }

  /**
   * Output of a node (null: the project's own), or of each node for which a predicate says so. `end`: only up to that
   * position, `epoch:seq`.
   */
  log(project: Project, scope: LogScope, end?: string): LogStore {
    return new LogStore(project, scope, this.http, this.#schedule, end);
  }

  travel(project: Project): Travel {
    const position = project.tree.position;
    return new Travel(project.id, position?.epoch ?? "", position?.seq ?? 0, this.http, this.#schedule);
  }

  /**
   * Answer a prompt. `asked`: the project or the user that it is asked in, which an id alone may not tell; a `Prompt` is one.
   * @throws HubError `prompt_closed` with the `outcome` in its details, if another answer was first; `ambiguous`.
   */
  async answer(promptId: string, answer: PromptAnswer, asked: PromptPlace = {}): Promise<void> {
    await this.http.call("POST", promptPath(promptId, asked, "/answer"), answer);
  }

  /** Send a command to the project's orchestrator; what becomes of it shows in `Project.commands`. Returns its id. */
  async command(projectId: string, { name, nodeId, args }: CommandRequest): Promise<string> {
    const body = {
      name,
      ...(nodeId === undefined ? {} : { node_id: nodeId }),
      ...(args === undefined ? {} : { args }),
    };
    const sent = await this.http.call("POST", `${this.http.project(projectId)}/commands`, body);
    return String(sent.command_id);
  }

  /** Use another token, or function that gives tokens. */
  setToken(token: TokenSource): void {
    this.#tokens.set(token);
  }

  #use(token: string | null): void {
    this.#shown = token;
    this.#engine.setToken(token);
    this.rows.restart();
    for (const projectId of this.#projects.keys()) this.retry(projectId);
  }

  #connection(status: Status): void {
    if (status.kind === "live") this.#tokens.accepted();
    else if (status.kind === "refused") this.#tokens.refused(this.#shown ?? null);
    this.#status.set(status);
  }

  /** Try again now whatever waits. */
  wake(): void {
    this.#engine.wake();
    this.rows.wake();
  }

  close(): void {
    this.#end();
    this.#tokens.close();
    this.#engine.close();
  }

  #told(batch: readonly Told[]): void {
    for (const told of batch) {
      if (told.topic.startsWith("@")) this.#toldUser(told);
      else this.#projects.get(told.topic)?.value.take(told);
    }
  }

  #toldUser(told: Told): void {
    this.#users.get(told.topic.slice(1))?.value.take(told);
    // A question to a user alone shows in no project's row.
    if (told.kind === "event" && told.event.type.startsWith("prompt")) void this.prompts.refresh();
  }
}

export function createHub(options: HubOptions = {}): Hub {
  return new Hub(options);
}

function engine(
  base: string,
  token: string | null | undefined,
  exact: boolean,
  worker: HubOptions["worker"],
  events: EngineEvents,
): Engine {
  const url = new URL("/ws/updates", base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (worker === undefined || typeof SharedWorker === "undefined")
    return new LocalEngine(url.href, token, events, world, exact ? parseExact : JSON.parse);
  const { port } = worker();
  const made = new PortedEngine(
    port as unknown as Port<ToWorker, ToTab>,
    { url: url.href, token, exact },
    events,
  );
  port.start();
  holdLock(made);
  return made;
}

/** Hold a lock for as long as this page lives. The worker hears of it once it is held: before, it would get the lock itself. */
function holdLock(made: PortedEngine): void {
  if (typeof navigator === "undefined" || navigator.locks === undefined) return;
  const name = `tasktree_rt:${crypto.randomUUID()}`;
  void navigator.locks.request(name, () => {
    made.locked(name);
    return new Promise(() => {});
  });
}

function hold<T>(all: Map<string, Held<T>>, key: string, make: () => T): Held<T> {
  let held = all.get(key);
  if (held === undefined) {
    held = { value: make(), holders: 0, timer: null };
    all.set(key, held);
  }
  if (held.timer !== null) clearTimeout(held.timer);
  held.timer = null;
  held.holders += 1;
  return held;
}

function letGo<T>(all: Map<string, Held<T>>, key: string, end: () => void): void {
  const held = all.get(key);
  if (held === undefined) return;
  held.holders -= 1;
  if (held.holders > 0 || held.timer !== null) return;
  held.timer = setTimeout(() => {
    all.delete(key);
    end();
  }, LINGER);
}
