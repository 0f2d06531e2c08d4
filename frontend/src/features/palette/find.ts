/** What a person may want to jump to, and which of it the words mean. */
import type { ProjectRow, TreeSnapshot } from "../../core/index.ts";
import { projectAddress, VIEWS, withQuery } from "../../ui/location.ts";
import { title } from "../../ui/nodes.ts";

export interface Target {
  readonly kind: "page" | "view" | "project" | "node" | "search";
  readonly name: string;
  /** Where it is, or what it is called besides; a node's id. */
  readonly detail: string;
  readonly address: string;
  readonly status?: unknown;
}

export const MOST = 40;

const PAGES: readonly Target[] = [
  { kind: "page", name: "Projects", detail: "all of them", address: "/" },
  { kind: "page", name: "Series", detail: "runs of the same job", address: "/series" },
  { kind: "page", name: "Inbox", detail: "open questions, notifications", address: "/inbox" },
  { kind: "page", name: "Search", detail: "events and output of all projects", address: "/search" },
  { kind: "page", name: "Hub", detail: "for operators", address: "/hub" },
  { kind: "page", name: "TV", detail: "for a wall", address: "/tv" },
];

export interface Sources {
  readonly projects: Iterable<ProjectRow>;
  readonly projectId: string | null;
  readonly snapshot: TreeSnapshot | null;
}

function* views(projectId: string | null): Iterable<Target> {
  if (projectId === null) return;
  for (const view of VIEWS) {
    const name = `${view[0]?.toUpperCase()}${view.slice(1)}`;
    yield { kind: "view", name, detail: projectId, address: withQuery({}, projectAddress(projectId, view)) };
  }
}

function* projects(rows: Iterable<ProjectRow>): Iterable<Target> {
  for (const row of rows) {
    const id = row.project_id;
    const address = projectAddress(id);
    yield { kind: "project", name: row.title || id, detail: id, address, status: row.state };
  }
}

function* nodes(snapshot: TreeSnapshot | null): Iterable<Target> {
  if (snapshot === null) return;
  for (const [id, fields] of snapshot.nodes) {
    yield { kind: "node", name: title(id, fields), detail: id, address: "", status: fields.status };
  }
}

/** Made only of what is shown: there are many nodes. */
const nodeAddress = (id: string) => withQuery({ node: id, line: null });

/** How well words fit, the smaller the better; infinite: a word is missing. */
function distance({ name, detail, kind }: Target, words: readonly string[]): number {
  const [short, long] = [name.toLowerCase(), `${detail} ${kind}`.toLowerCase()];
  let sum = 0;
  for (const word of words) {
    const at = short.indexOf(word);
    if (at === 0) sum += short.length === word.length ? 0 : 1;
    else if (at > 0) sum += /[\s/._:-]/.test(short[at - 1] ?? "") ? 2 : 4;
    else if (long.includes(word)) sum += 6;
    else return Number.POSITIVE_INFINITY;
  }
  return sum;
}

/** The targets that words mean, the best first; without words what is near: pages, views, projects, then nodes. */
export function find(text: string, { projects: rows, projectId, snapshot }: Sources): Target[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  // As many of each distance as can be shown: no more is sorted.
  const byDistance = new Map<number, Target[]>();
  for (const source of [PAGES, views(projectId), projects(rows), nodes(snapshot)]) {
    for (const one of source) {
      const far = distance(one, words);
      if (far === Number.POSITIVE_INFINITY) continue;
      const there = byDistance.get(far);
      if (there === undefined) byDistance.set(far, [one]);
      else if (there.length < MOST) there.push(one);
    }
  }
  const near = [...byDistance.keys()].sort((one, other) => one - other);
  return near
    .flatMap((far) => byDistance.get(far) ?? [])
    .slice(0, MOST)
    .map((one) => (one.kind === "node" ? { ...one, address: nodeAddress(one.detail) } : one));
}
