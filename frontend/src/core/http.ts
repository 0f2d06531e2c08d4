import { HubClock } from "./clock.ts";
import type { AvailableCommands } from "./commands.ts";
import { HubError } from "./errors.ts";
import { type Parse, writeExact } from "./exact.ts";
import type { Fields } from "./json.ts";
import { isObject } from "./json.ts";
import { entries, partialTop } from "./messages.ts";
import { EMPTY_TOP } from "./reducer.ts";
import type { SearchOfAll, SearchPage, SearchQuery } from "./search.ts";
import { type TokenSource, Tokens } from "./tokens.ts";
import type { StoredEvent, Told } from "./told.ts";

export interface EventPage {
  readonly events: readonly StoredEvent[];
  readonly next: string | null;
}

export interface EventQuery {
  readonly since?: string;
  readonly before?: string;
  readonly limit?: number;
  readonly type?: string;
  readonly node_id?: string;
}

/** The hub's HTTP interface, as far as a dashboard needs it. Whatever fails throws `HubError`. */
export class Http {
  readonly base: string;
  readonly tokens: Tokens;
  readonly clock: HubClock;
  readonly parse: Parse;

  constructor(
    base: string,
    tokens: TokenSource | Tokens,
    clock: HubClock = new HubClock(),
    parse: Parse = JSON.parse,
  ) {
    this.base = base.replace(/\/$/, "");
    this.tokens = tokens instanceof Tokens ? tokens : new Tokens(tokens);
    this.clock = clock;
    this.parse = parse;
  }

  /** The present token. */
  get token(): string | null {
    return this.tokens.current;
  }

  /** Ask the hub what time it is. What fails is left: the clock stays as it was. */
  async askTime(): Promise<void> {
    await this.timed("/projects?limit=1").catch(() => null);
  }

  /** A response that no cache gives, and whose `Date` tells the hub's time. */
  async timed(path: string, init: RequestInit = {}): Promise<Response> {
    const sent = Date.now();
    const response = await this.fetch(path, { ...init, cache: "no-store" });
    const hub = Date.parse(response.headers.get("date") ?? "");
    this.clock.hear({ sent, received: Date.now(), hub, step: 1000 });
    return response;
  }

  async call<T = Fields>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    const response = await this.fetch(path, {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: writeExact(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    return response.status === 204 ? (null as T) : (this.parse(await response.text()) as T);
  }

  /** A response that is 2xx. What the hub refuses for its token is sent once more with another, if there is one. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const token = await this.#token();
    let response = await this.#send(path, init, token);
    if (response.status === 401 && this.tokens.renewable) {
      const other = await this.tokens.other(token).catch(() => token);
      if (other !== token) response = await this.#send(path, init, other);
    }
    if (!response.ok) throw await problem(response);
    return response;
  }

  async #token(): Promise<string | null> {
    try {
      return await this.tokens.get();
    } catch {
      throw new HubError("unauthorized", "the page's function for tokens gave none");
    }
  }

  async #send(path: string, init: RequestInit, token: string | null): Promise<Response> {
    const headers = new Headers(init.headers);
    if (token !== null) headers.set("authorization", `Bearer ${token}`);
    try {
      return await fetch(`${this.base}/api/v1${path}`, { ...init, headers });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new HubError("unreachable", "the hub cannot be reached");
    }
  }

  project(id: string): string {
    return `/projects/${encodeURIComponent(id)}`;
  }

  async state(projectId: string, at?: number, signal?: AbortSignal): Promise<Told> {
    const query = at === undefined ? "" : `?at=${at}`;
    const found = await this.call<Fields>(
      "GET",
      `${this.project(projectId)}/state${query}`,
      undefined,
      signal,
    );
    const data = isObject(found.data) ? found.data : {};
    return {
      kind: "state",
      topic: projectId,
      position: { epoch: String(found.epoch), seq: Number(found.seq) },
      reason: "initial",
      top: { ...EMPTY_TOP, ...partialTop(data) },
      nodes: entries(data.nodes),
    };
  }

  /** One field of a node, whole; `at`: its value after that event. */
  field(
    projectId: string,
    nodeId: string,
    name: string,
    at?: number,
    signal?: AbortSignal,
  ): Promise<unknown> {
    const words = new URLSearchParams({ node_id: nodeId, name });
    if (at !== undefined) words.set("at", String(at));
    return this.call<unknown>("GET", `${this.project(projectId)}/field?${words}`, undefined, signal);
  }

  /** A page of a project's events, the oldest first. `before`: the ones that end there (`end`: the newest). */
  events(projectId: string, query: EventQuery, signal?: AbortSignal): Promise<EventPage> {
    return this.call("GET", `${this.project(projectId)}/events?${inQuery(query)}`, undefined, signal);
  }

  /** The commands that a project's orchestrator obeys; with `known`, once they are others or after `wait` seconds. */
  available(
    projectId: string,
    known: string | undefined,
    wait: number,
    signal?: AbortSignal,
  ): Promise<AvailableCommands> {
    const query = known === undefined ? "" : `?${inQuery({ known, wait })}`;
    return this.call("GET", `${this.project(projectId)}/commands/available${query}`, undefined, signal);
  }

  /** A page of a project's events that have the words of a query, the newest first. */
  search(projectId: string, query: SearchQuery, signal?: AbortSignal): Promise<SearchPage> {
    return this.call("GET", `${this.project(projectId)}/search?${inQuery(query)}`, undefined, signal);
  }

  /** The same of all projects whose history may be read. */
  searchAll(query: SearchQuery, signal?: AbortSignal): Promise<SearchOfAll> {
    return this.call("GET", `/search?${inQuery(query)}`, undefined, signal);
  }
}

function inQuery(given: object): URLSearchParams {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) if (value !== undefined) words.set(name, String(value));
  return words;
}

async function problem(response: Response): Promise<HubError> {
  const told: unknown = await response.json().catch(() => null);
  const details = isObject(told) ? told : {};
  const code = typeof details.code === "string" ? details.code : `http_${response.status}`;
  const message =
    typeof details.detail === "string"
      ? details.detail
      : `the hub answered ${response.status} ${response.statusText}`;
  return new HubError(code, message, details);
}
