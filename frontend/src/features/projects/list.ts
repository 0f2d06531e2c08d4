import { classOf, type ShownRow, type StatusClass } from "../../core/index.ts";
import { byClass } from "../../ui/parts.tsx";
import { stateOf, titleOf } from "../../ui/projects.ts";

export const SORTS = ["activity", "title", "failures", "size", "waiting"] as const;
export type Sort = (typeof SORTS)[number];

export interface Choice {
  readonly search: string;
  readonly state: StatusClass | "";
  readonly group: string;
  readonly sort: Sort;
}

export function rate(row: ShownRow): number {
  const last = row.rates.slice(-5);
  return last.length === 0 ? 0 : last.reduce((sum, one) => sum + one, 0) / last.length;
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
