import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { classOf, moment, type TreeSnapshot } from "../../core/index.ts";
import { useSnapshot } from "../../ui/looking.ts";
import { title } from "../../ui/nodes.ts";
import { Empty } from "../../ui/parts.tsx";
import { clock, duration, useNow } from "../../ui/time.ts";
import type { ViewProps } from "../../ui/view.ts";
import { criticalPath, packed, type Span, spans, ticks } from "./spans.ts";
import "./timeline.css";

const LANE = 28;
const MOST_BARS = 400;

/** A stretch of time that is looked at; null: all of it, also as it grows. */
type Window = readonly [from: number, to: number] | null;

export default function TimelineView({ tree, selected, onSelect }: ViewProps): ReactNode {
  const snapshot = useSnapshot(tree, 500);
  const [leaves, setLeaves] = useState(true);
  const [critical, setCritical] = useState(true);
  const [looked, setLooked] = useState<Window>(null);
  const clockNow = useNow();
  const now = Number.isNaN(clockNow) ? lastMoment(snapshot) : clockNow;
  const all = useMemo(() => spans(snapshot, now, leaves), [snapshot, now, leaves]);
  const lanes = useMemo(() => packed(all), [all]);
  const path = useMemo(
    () => (critical ? criticalPath(snapshot, all) : new Set<string>()),
    [critical, snapshot, all],
  );
  if (all.length === 0) {
    return (
      <Empty title="Nothing tells yet when it began">
        <p className="muted">
          Nodes with <code>started_at</code> and <code>ended_at</code> stand here. The Python client sets both
          by itself.
        </p>
      </Empty>
    );
  }
  const first = all[0]?.from ?? now;
  const last = Math.max(
    first + 1,
    ...all.slice(-2000).map((one) => one.to),
    all.some((one) => one.going) ? now : 0,
  );
  const [from, to] = looked ?? [first, last + (last - first) * 0.02];
  const zoom = (by: number, around = (from + to) / 2) => {
    const next: Window = [around - (around - from) * by, around + (to - around) * by];
    setLooked(next[0] <= first && next[1] >= last ? null : next);
  };
  const shift = (by: number) => setLooked([from + (to - from) * by, to + (to - from) * by]);
  return (
    <>
      <div className="toolbar">
        <button type="button" className="button" onClick={() => zoom(0.5)}>
          Zoom in
        </button>
        <button type="button" className="button" onClick={() => zoom(2)}>
          Zoom out
        </button>
        <button type="button" className="button icon" aria-label="Earlier" onClick={() => shift(-0.25)}>
          ◂
        </button>
        <button type="button" className="button icon" aria-label="Later" onClick={() => shift(0.25)}>
          ▸
        </button>
        <button type="button" className="button" disabled={looked === null} onClick={() => setLooked(null)}>
          All
        </button>
        <button type="button" className="button" aria-pressed={leaves} onClick={() => setLeaves(!leaves)}>
          Leaves only
        </button>
        <button
          type="button"
          className="button"
          aria-pressed={critical}
          onClick={() => setCritical(!critical)}
        >
          Critical path
        </button>
        <span className="muted">
          {lanes.length} at once at most, {duration(last - first)} in all
          {critical && path.size > 0 && `, ${path.size} on the critical path`}
        </span>
      </div>
      <Lanes
        {...{ lanes, from, to, now, path, snapshot, selected, onSelect }}
        nowShown={now >= from && now <= to}
        onZoom={zoom}
      />
    </>
  );
}

function lastMoment({ nodes }: TreeSnapshot): number {
  let last = 0;
  for (const { started_at, ended_at } of nodes.values()) {
    for (const one of [started_at, ended_at]) last = Math.max(last, moment(one) ?? 0);
  }
  return last;
}

interface LanesProps {
  readonly lanes: readonly (readonly Span[])[];
  readonly from: number;
  readonly to: number;
  readonly now: number;
  readonly nowShown: boolean;
  readonly path: ReadonlySet<string>;
  readonly snapshot: TreeSnapshot;
  readonly selected: string | null;
  readonly onSelect: (id: string) => void;
  readonly onZoom: (by: number, around: number) => void;
}

function Lanes({
  lanes,
  from,
  to,
  now,
  nowShown,
  path,
  snapshot,
  selected,
  onSelect,
  onZoom,
}: LanesProps): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(800);
  const virtual = useVirtualizer({
    count: lanes.length,
    getScrollElement: () => box.current,
    estimateSize: () => LANE,
    overscan: 8,
    scrollMargin: 26,
  });
  useEffect(() => {
    const place = box.current;
    if (place === null) return;
    const watch = new ResizeObserver(() => setWidth(place.clientWidth));
    watch.observe(place);
    return () => watch.disconnect();
  }, []);
  const zoomed = useRef(onZoom);
  zoomed.current = onZoom;
  // Not through React: a wheel that zooms must be able to keep the page from scrolling.
  useEffect(() => {
    const place = box.current;
    if (place === null) return;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const share = (event.clientX - place.getBoundingClientRect().left) / place.clientWidth;
      zoomed.current(event.deltaY > 0 ? 1.25 : 0.8, from + (to - from) * share);
    };
    place.addEventListener("wheel", wheel, { passive: false });
    return () => place.removeEventListener("wheel", wheel);
  }, [from, to]);
  const scale = width / (to - from);
  const x = (at: number) => (at - from) * scale;
  return (
    <div ref={box} className="timeline" tabIndex={0} role="group" aria-label="Timeline">
      <div className="timeline-axis" aria-hidden="true">
        {ticks(from, to, width / 110).map((at) => (
          <span key={at} style={{ left: x(at) }}>
            {clock(at)}
            {to - from < 10_000 && at % 1000 !== 0 && ` +${Math.round(at % 1000)}`}
          </span>
        ))}
      </div>
      <div className="timeline-inner" style={{ height: virtual.getTotalSize() }}>
        {nowShown && <div className="timeline-now" style={{ left: x(now) }} />}
        {virtual.getVirtualItems().map((item) =>
          visible(lanes[item.index] ?? [], from, to, scale).map((one) => {
            const wide = Math.max(3, (one.to - one.from) * scale);
            const fields = snapshot.nodes.get(one.id);
            const name = title(one.id, fields);
            return (
              <button
                key={one.id}
                type="button"
                className={`timeline-bar c-${classOf(fields?.status)}${wide < 16 ? " narrow" : ""}${path.has(one.id) ? " critical" : ""}`}
                aria-pressed={one.id === selected}
                aria-label={`${name}, ${duration(one.to - one.from)}`}
                title={`${name}\n${duration(one.to - one.from)}`}
                style={{ left: x(one.from), width: wide, top: item.start - 26 + 3 }}
                onClick={() => onSelect(one.id)}
              >
                {wide > 30 && name}
              </button>
            );
          }),
        )}
      </div>
    </div>
  );
}

/** What of a lane can be seen: those within the window, of many in one place the first. */
function visible(lane: readonly Span[], from: number, to: number, scale: number): Span[] {
  const found: Span[] = [];
  let drawn = Number.NEGATIVE_INFINITY;
  for (const one of lane) {
    if (one.to < from || one.from > to) continue;
    if ((one.to - drawn) * scale < 2) continue;
    found.push(one);
    drawn = one.to;
    if (found.length >= MOST_BARS) break;
  }
  return found;
}
