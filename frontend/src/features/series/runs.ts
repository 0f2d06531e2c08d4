/** The runs of a series as the hub tells of them, and what they say together. */
import { classOf, type Fields, moment, type ProjectRow, shownText } from "../../core/index.ts";
import { alike, type Failed, grouped } from "../../ui/failures.ts";
import { stateOf } from "../../ui/projects.ts";

export interface RunNode {
  readonly node_id: string;
  readonly title: string | null;
  readonly status: string | null;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly message: string | null;
}

export interface Overview {
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly top: readonly RunNode[];
  readonly top_more: number;
  readonly failed: readonly RunNode[];
  readonly failed_more: number;
}

export interface Run extends ProjectRow {
  readonly overview: Overview | null;
}

export interface Series {
  readonly series: string;
  /** All that there are. */
  readonly count: number;
  /** Those that are shown, the newest last. */
  readonly runs: readonly Run[];
}

const NEVER = Number.NEGATIVE_INFINITY;

/** The hub gives them by their newest events; they are shown by when they began. */
export function inOrder(runs: readonly Run[]): Run[] {
  const begun = (run: Run) => time(run.overview?.started_at) ?? time(run.updated_at) ?? NEVER;
  return [...runs].sort((one, other) => begun(one) - begun(other));
}

export function time(said: string | null | undefined): number | undefined {
  return said == null ? undefined : moment(said);
}

/** How long something took, or has been going on; milliseconds. */
export function took(
  of: { readonly started_at: string | null; readonly ended_at: string | null } | null,
  now?: number,
): number | undefined {
  const started = time(of?.started_at);
  if (of == null || started === undefined) return undefined;
  const ended = time(of.ended_at);
  if (ended !== undefined && ended >= started) return ended - started;
  return now === undefined ? undefined : Math.max(0, now - started);
}

/** The middle of them; undefined: there are none. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((one, other) => one - other);
  const half = sorted.length >> 1;
  const upper = sorted[half];
  if (upper === undefined) return undefined;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? upper) + upper) / 2;
}

export function isDone(run: Run): boolean {
  return classOf(stateOf(run)) === "done";
}

/** How long runs that ended well took, in the middle. */
export function usual(runs: readonly Run[]): number | undefined {
  const known = runs.filter(isDone).flatMap((run) => took(run.overview) ?? []);
  return median(known);
}

export interface GridRow {
  readonly nodeId: string;
  readonly title: string;
  /** One for each run; null: the run has no such node. */
  readonly cells: readonly (RunNode | null)[];
}

/** Each node at the top of any run, with what it was in each of them; in the order of the newest run that has it. */
export function gridOf(runs: readonly Run[]): GridRow[] {
  const order: string[] = [];
  const titles = new Map<string, string>();
  for (const run of [...runs].reverse()) {
    let last = -1;
    for (const { node_id, title } of run.overview?.top ?? []) {
      const at = order.indexOf(node_id);
      if (at >= 0) last = at;
      else {
        last += 1;
        order.splice(last, 0, node_id);
        titles.set(node_id, title ?? node_id);
      }
    }
  }
  const byId = runs.map((run) => new Map(run.overview?.top.map((one) => [one.node_id, one])));
  return order.map((nodeId) => ({
    nodeId,
    title: titles.get(nodeId) ?? nodeId,
    cells: byId.map((nodes) => nodes.get(nodeId) ?? null),
  }));
}

/** A group of failures with one message, and whether it is new. */
export interface News {
  readonly message: string;
  readonly nodes: readonly RunNode[];
  /** In how many of the runs before that message was there too. */
  readonly messageIn: number;
  /** In how many of the runs before one of these nodes failed. */
  readonly nodesIn: number;
  readonly before: number;
}

/** So many runs before are looked at. */
const LOOKED = 10;

/** What failed in a run, by message: what never was so in the runs before comes first. */
export function news(runs: readonly Run[], run: Run): News[] {
  const at = runs.indexOf(run);
  const before = runs.slice(Math.max(0, at - LOOKED), Math.max(0, at));
  const known = before.map((one) => {
    const failed = one.overview?.failed ?? [];
    return { ids: new Set(failed.map(({ node_id }) => node_id)), messages: new Set(failed.map(key)) };
  });
  const groups = grouped((run.overview?.failed ?? []).map(asFailed));
  return groups
    .map(({ message, failed }) => {
      const nodes = failed.map(({ fields }) => fields as unknown as RunNode);
      const [first] = nodes;
      return {
        message,
        nodes,
        messageIn: known.filter(({ messages }) => first !== undefined && messages.has(key(first))).length,
        nodesIn: known.filter(({ ids }) => nodes.some(({ node_id }) => ids.has(node_id))).length,
        before: before.length,
      };
    })
    .sort((one, other) => one.messageIn + one.nodesIn - other.messageIn - other.nodesIn);
}

function asFailed(one: RunNode): Failed {
  return {
    id: one.node_id,
    fields: one as unknown as Fields,
    at: time(one.ended_at) ?? time(one.started_at) ?? Number.POSITIVE_INFINITY,
  };
}

/** A message but for what is particular to one failure. */
function key(one: RunNode): string {
  return alike(shownText(one.message ?? ""));
}

/** The last run before another one that ended well. */
export function lastGood(runs: readonly Run[], run: Run): Run | undefined {
  return runs.slice(0, runs.indexOf(run)).findLast(isDone);
}
