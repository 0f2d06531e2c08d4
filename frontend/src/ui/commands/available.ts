/** Which commands a project's orchestrator obeys now, for as long as the page is looked at. */
import { useMemo } from "react";
import {
  type AnnouncedCommand,
  type AvailableCommands,
  classOf,
  type Fields,
  type Http,
  HubError,
  type Readable,
  text,
  UNKNOWN_COMMANDS,
} from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";

const WAIT = 25;
const AGAIN = 5_000;

const looked = (): boolean => document.visibilityState === "visible";

/** What the hub says of one project: asked by one request at a time, however many listen. It waits for a change. */
class AvailableStore implements Readable<AvailableCommands | null> {
  readonly #http: Http;
  readonly #projectId: string;
  readonly #listeners = new Set<() => void>();
  #found: AvailableCommands | null = null;
  #stop: AbortController | null = null;

  constructor(http: Http, projectId: string) {
    this.#http = http;
    this.#projectId = projectId;
  }

  get = (): AvailableCommands | null => this.#found;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      document.addEventListener("visibilitychange", this.#see);
      this.#see();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      document.removeEventListener("visibilitychange", this.#see);
      this.#rest();
    };
  };

  #see = (): void => {
    if (!looked()) {
      this.#rest();
    } else if (this.#stop === null) {
      this.#stop = new AbortController();
      void this.#ask(this.#stop.signal);
    }
  };

  #rest(): void {
    this.#stop?.abort();
    this.#stop = null;
  }

  async #ask(signal: AbortSignal): Promise<void> {
    let known: string | undefined;
    while (!signal.aborted) {
      try {
        const next = await this.#http.available(this.#projectId, known, WAIT, signal);
        if (signal.aborted) return;
        known = next.version;
        this.#set(next);
      } catch (reason) {
        if (signal.aborted) return;
        if (reason instanceof HubError && reason.code === "not_found") {
          this.#set(UNKNOWN_COMMANDS);
          return;
        }
        known = undefined;
        await pause(AGAIN, signal);
      }
    }
  }

  #set(found: AvailableCommands): void {
    this.#found = found;
    for (const listener of this.#listeners) listener();
  }
}

const stores = new WeakMap<Http, Map<string, AvailableStore>>();

/** Null: not known yet. */
export function useAvailable(projectId: string): AvailableCommands | null {
  const { http } = useHub();
  const store = useMemo(() => {
    const all = stores.get(http) ?? new Map<string, AvailableStore>();
    stores.set(http, all);
    const one = all.get(projectId) ?? new AvailableStore(http, projectId);
    all.set(projectId, one);
    return one;
  }, [http, projectId]);
  return useReadable(store);
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Whether a command is for a node with these fields. */
export function isForNode({ scope, kinds, statuses }: AnnouncedCommand, fields: Fields | undefined): boolean {
  if (scope === "project") return false;
  if (kinds !== undefined && !isOneOf(kinds, text(fields, "kind"))) return false;
  return fitsStatus(statuses, fields?.status);
}

/** Whether a command is for a whole project in this state. */
export function isForProject({ scope, kinds, statuses }: AnnouncedCommand, state: string | null): boolean {
  return scope !== "node" && kinds === undefined && fitsStatus(statuses, state);
}

function fitsStatus(wanted: readonly string[] | undefined, status: unknown): boolean {
  if (wanted === undefined) return true;
  return isOneOf(wanted, typeof status === "string" ? status : undefined) || isOneOf(wanted, classOf(status));
}

function isOneOf(words: readonly string[], word: string | undefined): boolean {
  return word !== undefined && words.includes(word);
}

/** Why no command can be sent now; null: it can. */
export function whyNot(found: AvailableCommands | null): string | null {
  if (found === null) return null;
  if (!found.allowed) return "Your token does not allow commands.";
  if (found.listening > 0) return null;
  return "No orchestrator takes commands for this project at the moment: its orchestrator is not connected, or does not listen.";
}
