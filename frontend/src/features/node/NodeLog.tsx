import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { type Log, type LogLine, type LogStore, linesOf, type Project, shownText } from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { download } from "../../ui/download.ts";
import { go, withQuery } from "../../ui/location.ts";
import { Failure } from "../../ui/parts.tsx";
import { historyEnd, type Past, usePast, usePlayed } from "../../ui/past.ts";
import { at, clock, count } from "../../ui/time.ts";
import { pieces, printed } from "./ansi.ts";

const texts = new WeakMap<LogLine, string>();

/** What a search looks in: the text as it is shown, in small letters. */
function searched(line: LogLine): string {
  let text = texts.get(line);
  if (text === undefined) {
    text = shownText(line.message).toLowerCase();
    texts.set(line, text);
  }
  return text;
}

interface NodeLogProps {
  readonly project: Project;
  readonly nodeId: string;
  /** The seq of a line that the address names. */
  readonly wanted: number | null;
}

/** As many lines are looked through for one that an address names; the store keeps no more. */
const FURTHEST = 20_000;

/** A node's output, live: with its colours, to be searched, followed, and taken along. */
export function NodeLog({ project, nodeId, wanted }: NodeLogProps): ReactNode {
  const hub = useHub();
  const past = usePast();
  const end = past === null ? undefined : historyEnd(past);
  const store = useMemo(() => hub.log(project, nodeId, end), [hub, project, nodeId, end]);
  const stored = useReadable(store);
  const log = useShown(stored, nodeId, past);
  const [search, setSearch] = useState("");
  const [follow, setFollow] = useState(wanted === null);
  const words = useDeferredValue(search.toLowerCase());
  const lines = useMemo(
    () => (words === "" ? log.lines : log.lines.filter((one) => searched(one).includes(words))),
    [log.lines, words],
  );
  const missing = useWanted(store, log, wanted);
  const save = () =>
    download(
      `${nodeId}.log`,
      log.lines.map((one) => `${printed(one.timestamp, one.level, one.message)}\n`),
    );
  return (
    <>
      <div className="row wrap">
        <input
          className="input grow"
          type="search"
          placeholder="Search the log"
          aria-label="Search the log"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
        <button type="button" className="button" aria-pressed={follow} onClick={() => setFollow(!follow)}>
          Follow the end
        </button>
        <button type="button" className="button" onClick={save} disabled={log.lines.length === 0}>
          Download
        </button>
      </div>
      {log.error !== null && <Failure error={log.error} again={() => void store.older()} />}
      {missing && (
        <p className="notice c-review">
          Line {wanted} is not here: it is of another node, was deleted, or is further back.
        </p>
      )}
      {log.skipped > 0 && (
        <div className="notice c-review row">
          <span className="grow">{count(log.skipped)} lines were skipped to keep up.</span>
          <button type="button" className="button" onClick={() => void store.refill()}>
            Load them
          </button>
        </div>
      )}
      {log.more && words === "" && (
        <button type="button" className="button" disabled={log.loading} onClick={() => void store.older()}>
          Earlier lines
        </button>
      )}
      {lines.length === 0 ? (
        <p className="muted">
          {log.loading ? "Loading …" : words === "" ? "No output yet." : "No line matches."}
        </p>
      ) : (
        <Lines lines={lines} follow={follow} wanted={wanted} onLeave={() => setFollow(false)} />
      )}
    </>
  );
}

/** What there is at the page's position: what was loaded, what was played since, and nothing of after it. */
function useShown(stored: Log, nodeId: string, past: Past | null): Log {
  const played = usePlayed(past);
  const until = past?.at;
  return useMemo(() => {
    if (until === undefined) return stored;
    const lines = [...stored.lines, ...linesOf(played, nodeId)].filter((one) => one.seq <= until);
    return { ...stored, lines };
  }, [stored, played, nodeId, until]);
}

/** Load what came before until the line that is wanted is there. Returns whether there is none to be had. */
function useWanted(store: LogStore, log: Log, wanted: number | null): boolean {
  const first = log.lines[0]?.seq ?? Number.POSITIVE_INFINITY;
  const further = log.more && log.error === null && log.lines.length < FURTHEST;
  const sought = wanted !== null && first > wanted && further && !log.loading;
  // biome-ignore lint/correctness/useExhaustiveDependencies: after each page that has not got it
  useEffect(() => {
    if (sought) void store.older();
  }, [store, sought, first]);
  return useMemo(() => {
    if (wanted === null || log.loading || sought) return false;
    return !log.lines.some((one) => one.seq === wanted);
  }, [wanted, log, sought]);
}

interface LinesProps {
  readonly lines: readonly LogLine[];
  readonly follow: boolean;
  readonly wanted: number | null;
  readonly onLeave: () => void;
}

function Lines({ lines, follow, wanted, onLeave }: LinesProps): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => 20,
    overscan: 20,
    getItemKey: (at) => lines[at]?.seq ?? at,
  });
  useEffect(() => {
    if (follow && lines.length > 0) virtual.scrollToIndex(lines.length - 1, { align: "end" });
  }, [follow, lines.length, virtual]);
  const brought = useRef<number | null>(null);
  useEffect(() => {
    if (wanted === null || wanted === brought.current) return;
    const at = lines.findIndex((one) => one.seq === wanted);
    if (at < 0) return;
    brought.current = wanted;
    virtual.scrollToIndex(at, { align: "center" });
  }, [wanted, lines, virtual]);
  const name = (seq: number) => {
    brought.current = seq;
    onLeave();
    go(withQuery({ tab: "log", line: String(seq) }), true);
  };
  return (
    <div
      ref={box}
      className="log"
      tabIndex={0}
      role="log"
      aria-label="Log"
      aria-live="off"
      onWheel={(event) => event.deltaY < 0 && follow && onLeave()}
    >
      <div className="log-inner" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const line = lines[item.index];
          if (line === undefined) return null;
          return (
            <div
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className={`log-line ${line.level}`}
              {...(line.seq === wanted ? { "aria-current": "true" as const } : {})}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <button
                type="button"
                title={`${line.timestamp}\nName this line in the address`}
                onClick={() => name(line.seq)}
              >
                <time>{clock(at(line.timestamp))}</time>
              </button>
              <span>
                {pieces(line.message).map((piece, at) => (
                  <span key={at} className={piece.classes}>
                    {piece.text}
                  </span>
                ))}
              </span>
            </div>
          );
        })}
      </div>
    </div>
  );
}
