import { classOf, type TreeSnapshot, text } from "../../core/index.ts";

export interface Column {
  readonly name: string;
  readonly title: string;
  readonly status: string;
  readonly ids: readonly string[];
}

interface Kind {
  readonly name: string;
  readonly title: string;
  readonly takes: readonly string[];
}

/** The columns of a run: by what a status means. */
const RUN: readonly Kind[] = [
  { name: "waiting", title: "Waiting", takes: [] },
  { name: "running", title: "Running", takes: [] },
  { name: "review", title: "Review", takes: [] },
  { name: "done", title: "Done", takes: [] },
  { name: "failed", title: "Failed", takes: [] },
  { name: "cancelled", title: "Cancelled", takes: [] },
];

/** The columns of a TaskTree board, by its own words. */
const TASKS: readonly Kind[] = [
  { name: "unclaimed", title: "Unclaimed", takes: ["unclaimed"] },
  { name: "up_next", title: "Up next", takes: ["up_next"] },
  { name: "in_progress", title: "In progress", takes: ["in_progress"] },
  { name: "completed", title: "Completed", takes: ["completed", "queued_for_merge"] },
  { name: "merged", title: "Merged", takes: ["merged"] },
];

/** The columns of a mission: planned work on its way through draft, work and review. */
const MISSION: readonly Kind[] = [
  { name: "draft", title: "Draft", takes: ["draft"] },
  { name: "ready", title: "Ready", takes: ["ready"] },
  { name: "running", title: "Running", takes: ["running"] },
  { name: "review", title: "Review", takes: ["review"] },
  { name: "completed", title: "Completed", takes: ["completed"] },
  { name: "failed", title: "Failed", takes: ["failed", "cancelled"] },
];

export const BOARDS = { auto: null, run: RUN, tasks: TASKS, mission: MISSION } as const;
export type BoardName = keyof typeof BOARDS;

/** Cards by column: leaves, or tasks where there are some. Statuses of no column stand in one of their own. */
export function columns(snapshot: TreeSnapshot, name: BoardName): Column[] {
  const { nodes, shape } = snapshot;
  const tasks = [...nodes].filter(([, fields]) => fields.kind === "task").map(([id]) => id);
  const cards = tasks.length > 0 ? tasks : [...nodes.keys()].filter((id) => shape.children(id).length === 0);
  const board = name === "auto" ? guess(snapshot, cards, tasks.length > 0) : name;
  const kinds = BOARDS[board] ?? RUN;
  const byColumn = new Map<string, string[]>(kinds.map((kind) => [kind.name, []]));
  for (const id of cards) {
    const status = text(nodes.get(id), "status") ?? "";
    const column =
      kinds === RUN ? classOf(status) : (kinds.find((kind) => kind.takes.includes(status))?.name ?? status);
    const there = byColumn.get(column);
    if (there === undefined) byColumn.set(column, [id]);
    else there.push(id);
  }
  return [...byColumn].map(([column, ids]) => ({
    name: column,
    title:
      kinds.find((kind) => kind.name === column)?.title ??
      (column === "" ? "No status" : column.replaceAll("_", " ")),
    status: column,
    ids,
  }));
}

function guess(
  { nodes }: TreeSnapshot,
  cards: readonly string[],
  tasks: boolean,
): Exclude<BoardName, "auto"> {
  if (!tasks) return "run";
  const words = new Set(cards.map((id) => text(nodes.get(id), "status")));
  return words.has("draft") || words.has("ready") ? "mission" : "tasks";
}
