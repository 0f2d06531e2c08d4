import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import {
  classOf,
  type HubError,
  type SearchHit,
  type StatusClass,
  type StoredEvent,
  type TreeStore,
  text,
  writeExact,
} from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { download } from "../../ui/download.ts";
import { setFilter, toggled, useFilter } from "../../ui/filter.ts";
import { useSearchKey } from "../../ui/keys.ts";
import { title } from "../../ui/nodes.ts";
import { Failure } from "../../ui/parts.tsx";
import { historyEnd, usePast } from "../../ui/past.ts";
import { HubHits } from "../../ui/search/HubHits.tsx";
import { clock, count, full, at as timeAt } from "../../ui/time.ts";
import type { ViewProps } from "../../ui/view.ts";
import { useWord } from "../../ui/words.ts";
import "./events.css";

/** The log of events: what was, a page at a time, and what comes. */
export default function EventsView({ projectId, project, tree, selected, onSelect }: ViewProps): ReactNode {
  const past = usePast();
  const live = useReadable(past?.events ?? project.events);
  const epoch = past?.epoch ?? project.tree.get().position?.epoch ?? "";
  const earlier = useEarlier(projectId, epoch, historyEnd(past));
  const until = past?.at ?? Number.POSITIVE_INFINITY;
  const [type, setType] = useWord("type");
  const [words, setWords] = useWord("q");
  const [onlyNode, setOnlyNode] = useState(false);
  const [paused, setPaused] = useState<readonly StoredEvent[] | null>(null);
  const [open, setOpen] = useState<StoredEvent | null>(null);
  const search = useDeferredValue(words.toLowerCase());
  const filter = useFilter();
  const { classes } = filter;
  const field = useSearchKey();
  const all = useMemo(
    () => joined(earlier.events, paused ?? live).filter((one) => one.seq <= until),
    [earlier.events, paused, live, until],
  );
  const types = useMemo(
    () => [...new Set([...all.map((one) => one.type), type])].filter((one) => one !== "").sort(),
    [all, type],
  );
  const node = onlyNode ? selected : null;
  const nameOf = useCallback((id: string) => title(id, tree.node(id)), [tree]);
  const before = useCallback((hit: SearchHit) => hit.seq <= until, [until]);
  const shown = useMemo(
    () =>
      all.filter(
        (one) =>
          (type === "" || one.type === type) &&
          (node === null || text(one.data, "node_id") === node) &&
          (classes.size === 0 || isOf(tree, one, classes)) &&
          (search === "" || writeExact(one.data).toLowerCase().includes(search)),
      ),
    [all, type, node, search, classes, tree],
  );
  const filtered = type !== "" || node !== null || search !== "" || classes.size > 0;
  return (
    <>
      <div className="toolbar">
        <input
          className="input grow"
          type="search"
          ref={field}
          placeholder="Search in data"
          aria-label="Search events"
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
        <select
          className="input"
          aria-label="Type"
          value={type}
          onChange={(event) => setType(event.target.value)}
        >
          <option value="">all types</option>
          {types.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        {[...classes].map((one) => (
          <button
            key={one}
            type="button"
            className="button"
            aria-pressed="true"
            title="Only events of nodes with this status now"
            onClick={() => setFilter(toggled(filter, one))}
          >
            Only {one}
          </button>
        ))}
        {selected !== null && (
          <button
            type="button"
            className="button"
            aria-pressed={onlyNode}
            onClick={() => setOnlyNode(!onlyNode)}
          >
            This node only
          </button>
        )}
        <button
          type="button"
          className="button"
          aria-pressed={paused !== null}
          onClick={() => setPaused(paused === null ? live : null)}
        >
          {paused === null ? "Pause" : "Go on"}
        </button>
        {earlier.more && (
          <button type="button" className="button" disabled={earlier.loading} onClick={earlier.load}>
            {filtered ? "Search earlier events" : "Earlier events"}
          </button>
        )}
        <button
          type="button"
          className="button"
          onClick={() =>
            download(
              `${projectId}.ndjson`,
              shown.map((one) => `${writeExact(one)}\n`),
              "application/x-ndjson",
            )
          }
        >
          Download NDJSON
        </button>
        <span className="muted" role="status">
          {filtered ? `${count(shown.length)} of ` : ""}
          {searched(all, earlier.more)}
        </span>
      </div>
      <HubHits projectId={projectId} words={words} node={node} keep={before} nameOf={nameOf} />
      {earlier.error !== null && <Failure error={earlier.error} again={earlier.load} />}
      {shown.length === 0 ? (
        <p className="empty muted">
          {earlier.loading
            ? "Loading …"
            : filtered
              ? `Nothing matches in ${searched(all, earlier.more)}.${earlier.more ? " Earlier ones were not searched." : ""}`
              : "No event yet."}
        </p>
      ) : (
        <Lines events={shown} open={open} onOpen={setOpen} />
      )}
      {open !== null && (
        <>
          <div className="toolbar">
            <span className="grow">Event {open.seq}</span>
            {text(open.data, "node_id") !== undefined && (
              <button
                type="button"
                className="button"
                onClick={() => onSelect(text(open.data, "node_id") ?? null)}
              >
                Show its node
              </button>
            )}
            <button type="button" className="button" onClick={() => setOpen(null)}>
              Close
            </button>
          </div>
          <pre className="events-raw" tabIndex={0}>
            {writeExact(open, 2)}
          </pre>
        </>
      )}
    </>
  );
}

/** Whether an event names a node whose status is of one of these classes now. */
function isOf(tree: TreeStore, { data }: StoredEvent, classes: ReadonlySet<StatusClass>): boolean {
  const fields = tree.node(text(data, "node_id") ?? "");
  return fields !== undefined && classes.has(classOf(fields.status));
}

/** What a search looked through, in words. */
function searched(all: readonly StoredEvent[], more: boolean): string {
  return more ? `the newest ${count(all.length)} events` : `all ${count(all.length)} events`;
}

function joined(earlier: readonly StoredEvent[], live: readonly StoredEvent[]): readonly StoredEvent[] {
  const last = earlier.at(-1);
  if (last === undefined) return live;
  return [...earlier, ...live.filter((one) => one.epoch !== last.epoch || one.seq > last.seq)];
}

interface Earlier {
  readonly events: readonly StoredEvent[];
  readonly more: boolean;
  readonly loading: boolean;
  readonly error: HubError | null;
  readonly load: () => void;
}

const PAGE = 500;

/** The events before those that come: `end` says where the newest page ends. */
function useEarlier(projectId: string, epoch: string, end: string): Earlier {
  const hub = useHub();
  const [events, setEvents] = useState<readonly StoredEvent[]>([]);
  const [before, setBefore] = useState<string | null>(null);
  const [loading, setLoading] = useState(true);
  const [error, setError] = useState<HubError | null>(null);
  const stop = useRef<AbortController | null>(null);
  const page = useCallback(
    async (at: string) => {
      stop.current ??= new AbortController();
      const { signal } = stop.current;
      setLoading(true);
      try {
        const found = await hub.http.events(projectId, { before: at, limit: PAGE }, signal);
        if (signal.aborted) return;
        setEvents((there) => (at === end ? found.events : [...found.events, ...there]));
        setBefore(found.next);
        setError(null);
      } catch (reason) {
        if (signal.aborted) return;
        setBefore(at);
        setError(reason as HubError);
      }
      setLoading(false);
    },
    [hub, projectId, end],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: the first page comes by itself, once for each life
  useEffect(() => {
    void page(end);
    return () => {
      stop.current?.abort();
      stop.current = null;
    };
  }, [page, epoch]);
  const load = () => {
    if (before !== null && !loading) void page(before);
  };
  return { events, more: before !== null && events.length > 0, loading, error, load };
}

interface LinesProps {
  readonly events: readonly StoredEvent[];
  readonly open: StoredEvent | null;
  readonly onOpen: (event: StoredEvent) => void;
}

function Lines({ events, open, onOpen }: LinesProps): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const height = useMemo(() => (window.matchMedia("(pointer: coarse)").matches ? 44 : 28), []);
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => box.current,
    estimateSize: () => height,
    overscan: 16,
  });
  // The newest stand at the top: nothing moves under the eyes of who reads further down.
  const at = (index: number) => events[events.length - 1 - index];
  return (
    <div ref={box} className="events" tabIndex={0} role="group" aria-label="Events, the newest first">
      <div className="events-inner" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const event = at(item.index);
          if (event === undefined) return null;
          return (
            <button
              key={item.index}
              type="button"
              className="events-row"
              data-listed=""
              aria-pressed={open?.seq === event.seq && open.epoch === event.epoch}
              style={{ transform: `translateY(${item.start}px)` }}
              onClick={() => onOpen(event)}
            >
              <span className="seq">{event.seq}</span>
              <time title={full(timeAt(event.timestamp))}>{clock(timeAt(event.timestamp))}</time>
              <span className="type ellipsis">{event.type}</span>
              <code className="ellipsis">{writeExact(event.data)}</code>
            </button>
          );
        })}
      </div>
    </div>
  );
}
