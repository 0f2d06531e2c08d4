/** What a log's view asks of the store: what there is at the page's position, further back, and all of it. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import {
  type HubError,
  type Log,
  type LogLine,
  type LogScope,
  type LogStore,
  linesOf,
  type Project,
  wholeLog,
} from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { download } from "../download.ts";
import { historyEnd, usePast, usePlayed } from "../past.ts";
import { printed } from "./ansi.ts";
import { isError } from "./levels.ts";

/** As many lines are looked through for one that is sought; the store keeps no more. */
export const FURTHEST = 20_000;

/** What there is at the page's position: what was loaded, what was played since, and nothing of after it. */
export function useShownLog(
  project: Project,
  scope: LogScope,
): { readonly store: LogStore; readonly log: Log } {
  const hub = useHub();
  const past = usePast();
  const end = past === null ? undefined : historyEnd(past);
  const store = useMemo(() => hub.log(project, scope, end), [hub, project, scope, end]);
  const stored = useReadable(store);
  const played = usePlayed(past);
  const until = past?.at;
  const log = useMemo(() => {
    if (until === undefined) return stored;
    const lines = [...stored.lines, ...linesOf(played, scope)].filter((one) => one.seq <= until);
    return { ...stored, lines };
  }, [stored, played, scope, until]);
  return { store, log };
}

/** Load what came before for as long as something is sought and there is more. Returns whether it is still sought. */
export function useSought(store: LogStore, log: Log, sought: boolean): boolean {
  const first = log.lines[0]?.seq ?? Number.POSITIVE_INFINITY;
  const going = sought && log.more && log.error === null && log.lines.length < FURTHEST;
  // biome-ignore lint/correctness/useExhaustiveDependencies: after each page that has not got it
  useEffect(() => {
    if (going && !log.loading) void store.older();
  }, [store, going, log.loading, first]);
  return sought && (going || log.loading);
}

/** Load what came before until the line that is wanted is there. Returns whether there is none to be had. */
export function useWanted(store: LogStore, log: Log, wanted: number | null): boolean {
  const first = log.lines[0]?.seq ?? Number.POSITIVE_INFINITY;
  const sought = useSought(store, log, wanted !== null && first > wanted);
  return useMemo(() => {
    if (wanted === null || log.loading || sought) return false;
    return !log.lines.some((one) => one.seq === wanted);
  }, [wanted, log, sought]);
}

export interface Errors {
  /** Of the lines that are shown. */
  readonly count: number;
  /** The first one is being looked for. */
  readonly seeking: boolean;
  readonly first: () => void;
  readonly next: () => void;
}

/** Steps from error to error. The first one is looked for in all of the log. */
export function useErrors(
  store: LogStore,
  log: Log,
  shown: readonly LogLine[],
  wanted: number | null,
  go: (seq: number) => void,
): Errors {
  const errors = useMemo(() => shown.filter((one) => isError(one.level)), [shown]);
  const [asked, setAsked] = useState(false);
  const seeking = useSought(store, log, asked);
  const found = errors[0]?.seq;
  const goTo = useRef(go);
  goTo.current = go;
  useEffect(() => {
    if (!asked || seeking) return;
    setAsked(false);
    if (found !== undefined) goTo.current(found);
  }, [asked, seeking, found]);
  const next = () => {
    const after = errors.find((one) => one.seq > (wanted ?? 0)) ?? errors[0];
    if (after !== undefined) go(after.seq);
  };
  return { count: errors.length, seeking, first: () => setAsked(true), next };
}

export interface Saving {
  /** How many lines were read so far; null: nothing is being saved. */
  readonly lines: number | null;
  readonly error: HubError | null;
  readonly save: () => void;
}

/** Read all of a log from its beginning and give it as a file. `named`: each line says whose it is. */
export function useSaving(project: Project, scope: LogScope, name: string, named: boolean): Saving {
  const { http } = useHub();
  const until = usePast()?.at ?? Number.POSITIVE_INFINITY;
  const [lines, setLines] = useState<number | null>(null);
  const [error, setError] = useState<HubError | null>(null);
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const save = useCallback(() => {
    const mine = new AbortController();
    stop.current?.abort();
    stop.current = mine;
    setError(null);
    setLines(0);
    const read = async () => {
      const found: string[] = [];
      for await (const page of wholeLog(http, project.id, scope, until, mine.signal)) {
        for (const one of page)
          found.push(`${printed(one.timestamp, one.level, one.message, named ? one.nodeId : null)}\n`);
        setLines(found.length);
      }
      download(name, found);
    };
    read()
      .catch((reason: HubError) => mine.signal.aborted || setError(reason))
      .finally(() => mine.signal.aborted || setLines(null));
  }, [http, project, scope, until, name, named]);
  return { lines, error, save };
}
