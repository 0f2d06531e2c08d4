/** Where a node's log first tells of a fault, with what stands around it. */
import { useEffect, useState } from "react";
import { type Http, type LogLine, moment, type Project, wholeLog } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";

const ERRORS = new Set(["error", "critical", "fatal"]);
/** No more of a log is looked through. */
const MOST_PAGES = 20;
const BEFORE = 3;
const AFTER = 2;

export interface Excerpt {
  readonly lines: readonly LogLine[];
  /** The seq of the first line that tells of a fault; null: none does, and these are the last lines. */
  readonly fault: number | null;
}

/** The lines around the first fault; where no line has the level of one, the last lines. Null: there are no lines. */
export function excerpt(lines: readonly LogLine[], since: number | undefined): Excerpt | null {
  if (lines.length === 0) return null;
  const faults = lines.filter((one) => ERRORS.has(one.level.toLowerCase()));
  // Of several attempts the last one's counts; clocks of two machines are never quite alike.
  const own = faults.find((one) => since === undefined || (moment(one.timestamp) ?? 0) >= since - 1_000);
  const fault = own ?? faults[0];
  if (fault === undefined) return { lines: lines.slice(-BEFORE - AFTER), fault: null };
  const at = lines.indexOf(fault);
  return { lines: lines.slice(Math.max(0, at - BEFORE), at + AFTER + 1), fault: fault.seq };
}

interface Wanted {
  readonly http: Http;
  readonly project: Project;
  readonly nodeId: string;
  readonly until: number | undefined;
  readonly signal: AbortSignal;
}

/** All of a node's lines from the beginning of its log, as far as is looked. */
async function read({ http, project, nodeId, until, signal }: Wanted): Promise<LogLine[]> {
  const found: LogLine[] = [];
  let pages = 0;
  for await (const lines of wholeLog(http, project.id, nodeId, until ?? Number.POSITIVE_INFINITY, signal)) {
    found.push(...lines);
    pages += 1;
    if (pages === MOST_PAGES) break;
  }
  return found;
}

/** Undefined: it is being looked for; null: there is nothing to show. `end` is another one whenever the node ends anew. */
export function useFirstError(
  project: Project,
  nodeId: string,
  started: number | undefined,
  end: unknown,
  until: number | undefined,
): Excerpt | null | undefined {
  const { http } = useHub();
  const [found, setFound] = useState<Excerpt | null | undefined>(undefined);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another end is another failure
  useEffect(() => {
    const stop = new AbortController();
    setFound(undefined);
    read({ http, project, nodeId, until, signal: stop.signal }).then(
      (lines) => setFound(excerpt(lines, started)),
      // Without the log there is the message; the log's own tab says what is wrong.
      () => stop.signal.aborted || setFound(null),
    );
    return () => stop.abort();
  }, [http, project, nodeId, started, end, until]);
  return found;
}
