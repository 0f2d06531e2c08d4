import { type Fields, isEnded, number, text, time } from "../core/index.ts";

export function title(id: string, fields: Fields | undefined): string {
  return text(fields, "title") || text(fields, "name") || id;
}

export function progress(fields: Fields | undefined): number | undefined {
  return number(fields, "progress");
}

/** How long it took, or has been going on; milliseconds. */
export function spent(fields: Fields | undefined, now: number): number | undefined {
  const started = time(fields, "started_at");
  if (started === undefined) return undefined;
  const ended = time(fields, "ended_at");
  if (ended !== undefined) return ended - started;
  return isEnded(fields?.status) ? undefined : Math.max(0, now - started);
}
