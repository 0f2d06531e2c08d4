import { classOf, type ShownRow, type StatusClass } from "../../core/index.ts";
import { byClass } from "../../ui/parts.tsx";

export const SORTS = ["activity", "title", "failures", "size", "waiting"] as const;
export type Sort = (typeof SORTS)[number];

export interface Choice {
  readonly search: string;
  readonly state: StatusClass | "";
  readonly group: string;
  readonly sort: Sort;
}

export function titleOf(row: ShownRow): string {
  return typeof row.title === "string" && row.title !== "" ? row.title : row.project_id;
}

export function rate(row: ShownRow): number {
  const last = row.rates.slice(-5);
  return last.length === 0 ? 0 : last.reduce((sum, one) => sum + one, 0) / last.length;
}

/** What a project is at: that it cannot be read, else its own state, else what its nodes tell. */
export function stateOf(row: ShownRow): string | null {
  if (row.damaged === true) return "damaged";
  if (row.state !== null) return row.state;
  const counts = byClass(row.counts);
  if (counts.running > 0) return "running";
  if (counts.review > 0) return "review";
  if (counts.failed > 0) return "failed";
  if (counts.waiting > 0) return "pending";
  return counts.done > 0 ? "completed" : null;
}

export function chosen(rows: Iterable<ShownRow>, choice: Choice): ShownRow[] {
  const words = choice.search.toLowerCase();
  const found = [...rows].filter(
    (row) =>
      (words === "" || mentions(row, words)) &&
      (choice.state === "" || classOf(stateOf(row)) === choice.state) &&
      (choice.group === "" || row.group === choice.group),
  );
  return found.sort(
    (one, other) => compare(choice.sort, one, other) || titleOf(one).localeCompare(titleOf(other)),
  );
}

export function groups(rows: Iterable<ShownRow>): string[] {
  const found = new Set<string>();
  for (const { group } of rows) if (typeof group === "string" && group !== "") found.add(group);
  return [...found].sort((one, other) => one.localeCompare(other));
}

function mentions(row: ShownRow, words: string): boolean {
  const all = [row.project_id, titleOf(row), row.group ?? "", ...labelsOf(row)];
  return all.some((one) => String(one).toLowerCase().includes(words));
}

export function labelsOf(row: ShownRow): readonly string[] {
  return Array.isArray(row.labels) ? row.labels.filter((one) => typeof one === "string") : [];
}

function compare(by: Sort, one: ShownRow, other: ShownRow): number {
  switch (by) {
    case "activity":
      return (other.updated_at ?? "").localeCompare(one.updated_at ?? "");
    case "title":
      return 0;
    case "failures":
      return byClass(other.counts).failed - byClass(one.counts).failed;
    case "size":
      return other.nodes - one.nodes;
    case "waiting":
      return (other.prompts ?? 0) - (one.prompts ?? 0);
  }
}
