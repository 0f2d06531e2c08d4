/** Which position of a log a time means. */
import { HubError } from "./errors.ts";
import type { Http } from "./http.ts";
import { moment } from "./moments.ts";
import type { Position } from "./position.ts";

/**
 * The seq of the last event that happened at a time (milliseconds since 1970) or before it; 0 if none did. It halves the log
 * up to `head`, with one request a step.
 *
 * @throws HubError if the log cannot be read.
 */
export async function seqAt(
  http: Http,
  projectId: string,
  head: Position,
  time: number,
  signal?: AbortSignal,
): Promise<number> {
  let low = 0;
  let high = head.seq;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const then = await timeOf(http, projectId, { epoch: head.epoch, seq: middle }, signal);
    if (then <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** When an event happened. One that the log no longer reaches happened before all that it reaches. */
async function timeOf(
  http: Http,
  projectId: string,
  { epoch, seq }: Position,
  signal?: AbortSignal,
): Promise<number> {
  try {
    const page = await http.events(projectId, { before: `${epoch}:${seq}`, limit: 1 }, signal);
    return moment(page.events[0]?.timestamp) ?? Number.NEGATIVE_INFINITY;
  } catch (error) {
    if (error instanceof HubError && error.code === "gone") return Number.NEGATIVE_INFINITY;
    throw error;
  }
}
