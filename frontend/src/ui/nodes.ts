import { type Fields, isEnded, number, ran, type StatusClass, shownText, text } from "../core/index.ts";

/** What matters to who looks comes first. */
export const URGENCY: Record<StatusClass, number> = {
  failed: 0,
  review: 1,
  running: 2,
  waiting: 3,
  cancelled: 4,
  done: 5,
};

export function title(id: string, fields: Fields | undefined): string {
  return text(fields, "title") || text(fields, "name") || id;
}

/** A node's message as it is read: without colours, and without what a progress bar wrote over. */
export function message(fields: Fields | undefined): string | undefined {
  const said = text(fields, "message");
  return said === undefined ? undefined : shownText(said);
}

export function progress(fields: Fields | undefined): number | undefined {
  return number(fields, "progress");
}

/** How long it took, or has been going on; milliseconds. */
export function spent(fields: Fields | undefined, now: number): number | undefined {
  const { started, ended } = ran(fields);
  if (started === undefined) return undefined;
  if (ended !== undefined) return ended - started;
  return isEnded(fields?.status) ? undefined : Math.max(0, now - started);
}
