/** Where the page is: one URL for each view and selection. */
import { useMemo, useSyncExternalStore } from "react";
import { Listeners } from "../core/readable.ts";

const moved = new Listeners();

export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

function subscribe(listener: () => void): () => void {
  const remove = moved.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    remove();
    window.removeEventListener("popstate", listener);
  };
}

const here = () => window.location.pathname + window.location.search;

export function usePlace(): Place {
  const text = useSyncExternalStore(subscribe, here, () => "/");
  return useMemo(() => {
    const [path = "/", query = ""] = text.split("?");
    return { path, query: new URLSearchParams(query) };
  }, [text]);
}

/** Go to another address of the app. `replace`: back does not return to the one that is left. */
export function go(
  address: string,
  replace = false,
  state: unknown = replace ? window.history.state : null,
): void {
  if (address === here()) return;
  if (replace) window.history.replaceState(state, "", address);
  else window.history.pushState(state, "", address);
  moved.tell();
}

/** The present address with some words of the query set, or taken out (null). */
export function withQuery(changes: Readonly<Record<string, string | null>>, path?: string): string {
  const query = new URLSearchParams(window.location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) query.delete(name);
    else query.set(name, value);
  }
  const words = query.toString();
  return `${path ?? window.location.pathname}${words === "" ? "" : `?${words}`}`;
}

/** The address with another node chosen, or none; what belongs to the one before goes. */
function withNode(nodeId: string | null): string {
  return withQuery(
    nodeId === null
      ? { node: null, tab: null, line: null, attempt: null }
      : { node: nodeId, line: null, attempt: null },
  );
}

/** Choose a node. Back returns to what was chosen before; one that is closed at once leaves no trace. */
export function select(nodeId: string | null, replace = false): void {
  const before = new URLSearchParams(window.location.search).get("node");
  if (nodeId === before) return;
  if (nodeId === null && opened()) {
    window.history.back();
    return;
  }
  if (replace) go(withNode(nodeId), true);
  else go(withNode(nodeId), false, before === null ? OPENED : null);
}

/** Of an entry of the history: the one before it is the same page without a node. */
const OPENED = { opened: true };

function opened(): boolean {
  return (window.history.state as Partial<typeof OPENED> | null)?.opened === true;
}

export const VIEWS = ["tree", "board", "graph", "timeline", "overview", "failures", "log", "events"] as const;
export type ViewName = (typeof VIEWS)[number];

/** The project that an address names; null if it names none. What is no encoding is taken as it is. */
export function projectOf(path: string): string | null {
  const named = /^\/p\/([^/]+)/.exec(path)?.[1];
  if (named === undefined) return null;
  try {
    return decodeURIComponent(named);
  } catch {
    return named;
  }
}

export function projectAddress(projectId: string, view: ViewName = "tree", nodeId?: string): string {
  const node = nodeId === undefined ? "" : `?node=${encodeURIComponent(nodeId)}`;
  return `/p/${encodeURIComponent(projectId)}/${view}${node}`;
}
