/** Where the hits of a search over all projects lead. */
import type { SearchHit } from "../../core/index.ts";
import { projectAddress } from "../../ui/location.ts";

/** Hits by project, in the order in which each project came first. */
export function byProject(hits: readonly SearchHit[]): ReadonlyMap<string, SearchHit[]> {
  const found = new Map<string, SearchHit[]>();
  for (const hit of hits) {
    const own = found.get(hit.project_id);
    if (own === undefined) found.set(hit.project_id, [hit]);
    else own.push(hit);
  }
  return found;
}

/** The moment at which an event happened: output in its log, a change at its node, anything else in the events. */
export function momentOf({ project_id, kind, node_id, seq }: SearchHit): string {
  const words = new URLSearchParams();
  if (node_id !== null) words.set("node", node_id);
  if (kind === "log") words.set("line", String(seq));
  if (kind === "log" && node_id !== null) words.set("tab", "log");
  words.set("at", String(seq));
  const view = node_id !== null ? "tree" : kind === "log" ? "log" : "events";
  return `${projectAddress(project_id, view)}?${words}`;
}
