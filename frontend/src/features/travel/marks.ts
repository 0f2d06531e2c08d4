/** Where on the way something failed or was asked. */
import { classOf, isObject, own, type StoredEvent } from "../../core/index.ts";

export interface Mark {
  readonly seq: number;
  readonly kind: "failed" | "review";
}

function statusOf({ type, data }: StoredEvent): unknown {
  if (type === "node_update") return isObject(data.changes) ? own(data.changes, "status") : undefined;
  if (type === "state_transition") return own(data, "to");
  return type === "task_status_changed" ? own(data, "status") : undefined;
}

/** What an event marks; null: nothing. */
export function markOf(event: StoredEvent): Mark | null {
  const { seq, type } = event;
  if (type === "prompt") return { seq, kind: "review" };
  const status = statusOf(event);
  if (type === "orchestrator_error" || (status !== undefined && classOf(status) === "failed"))
    return { seq, kind: "failed" };
  return null;
}

/** As many places as a mark can be seen at. */
const PLACES = 200;

/** Marks at different places, in per cent: of those at one place a failure is shown. */
export function placed(marks: readonly Mark[], oldest: number, head: number): (Mark & { at: number })[] {
  const found = new Map<number, Mark & { at: number }>();
  const length = Math.max(1, head - oldest);
  for (const one of marks) {
    const place = Math.round(((one.seq - oldest) / length) * PLACES);
    const there = found.get(place);
    if (there === undefined || (there.kind === "review" && one.kind === "failed"))
      found.set(place, { ...one, at: (place / PLACES) * 100 });
  }
  return [...found.values()];
}
