/** What a project is called, and what it is at. */
import type { ProjectRow } from "../core/index.ts";
import { byClass } from "./parts.tsx";

export function titleOf(row: ProjectRow): string {
  return typeof row.title === "string" && row.title !== "" ? row.title : row.project_id;
}

/** What a project is at: that it cannot be read, else its own state, else what its nodes tell. */
export function stateOf(row: ProjectRow): string | null {
  if (row.damaged === true) return "damaged";
  if (row.state !== null) return row.state;
  const counts = byClass(row.counts);
  if (counts.running > 0) return "running";
  if (counts.review > 0) return "review";
  if (counts.failed > 0) return "failed";
  if (counts.waiting > 0) return "pending";
  return counts.done > 0 ? "completed" : null;
}

/** What a run is called in its series: `#212`, or its own words; where it has none, its title. */
export function runName(row: ProjectRow): string {
  if (typeof row.run === "number") return `#${row.run}`;
  return typeof row.run === "string" && row.run !== "" ? row.run : titleOf(row);
}

export function seriesAddress(series: string, run?: string): string {
  const words = new URLSearchParams({ name: series, ...(run === undefined ? {} : { run }) });
  return `/series?${words}`;
}
