import type { Fields } from "../src/core/index.ts";

/** Fields of a node that ran from one second to another; null: it still runs. */
export function at(from: number, to: number | null, more: Fields = {}): Fields {
  return {
    started_at: new Date(from * 1000).toISOString(),
    ...(to === null ? { status: "running" } : { ended_at: new Date(to * 1000).toISOString() }),
    ...more,
  };
}
