import { type ReactNode, useEffect, useMemo, useState } from "react";
import { type HubError, type Project, type StoredEvent, text, writeExact } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";
import { Badge, Failure } from "../../ui/parts.tsx";
import { historyEnd, usePast, usePlayed } from "../../ui/past.ts";
import { at, clock, full } from "../../ui/time.ts";

const MOST = 200;

/** What happened to a node: its own events and transitions, the newest first. */
export function NodeMoments({ project, nodeId }: { project: Project; nodeId: string }): ReactNode {
  const hub = useHub();
  const past = usePast();
  const played = usePlayed(past);
  const end = historyEnd(past);
  const present = past === null;
  const [loaded, setEvents] = useState<readonly StoredEvent[] | null>(null);
  const [error, setError] = useState<HubError | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const bySeq = new Map<number, StoredEvent>();
    const add = (more: readonly StoredEvent[]) => {
      for (const event of more) if (event.type !== "log") bySeq.set(event.seq, event);
      setEvents([...bySeq.values()].sort((one, other) => other.seq - one.seq).slice(0, MOST));
    };
    const stopped = project.onEvents((came) => {
      const own = present ? came.filter(of(nodeId)) : [];
      if (own.length > 0) add(own);
    });
    hub.http.events(project.id, { before: end, limit: MOST, node_id: nodeId }, stop.signal).then(
      (page) => add(page.events),
      (reason: HubError) => !stop.signal.aborted && setError(reason),
    );
    return () => {
      stopped();
      stop.abort();
    };
  }, [hub, project, nodeId, end, present]);
  const until = past?.at ?? Number.POSITIVE_INFINITY;
  const events = useMemo(() => {
    const later = played.filter((one) => one.type !== "log" && of(nodeId)(one)).reverse();
    return loaded && [...later, ...loaded].filter((one) => one.seq <= until).slice(0, MOST);
  }, [loaded, played, nodeId, until]);
  if (error !== null) return <Failure error={error} />;
  if (events === null) return <p className="muted">Loading …</p>;
  if (events.length === 0) return <p className="muted">Nothing happened to it yet.</p>;
  return (
    <ol className="moments">
      {events.map((event) => (
        <li key={`${event.epoch}:${event.seq}`}>
          <time title={full(at(event.timestamp))}>{clock(at(event.timestamp))}</time>
          <Said event={event} />
        </li>
      ))}
    </ol>
  );
}

const of = (nodeId: string) => (event: StoredEvent) => text(event.data, "node_id") === nodeId;

function Said({ event: { type, data } }: { event: StoredEvent }): ReactNode {
  if (type === "state_transition") {
    return (
      <span className="row wrap">
        {text(data, "from") !== undefined && <Badge status={data.from} />}→<Badge status={data.to} />
      </span>
    );
  }
  if (type === "node_update") {
    return <code className="grow">{writeExact(data.changes)}</code>;
  }
  const { node_id: _, ...rest } = data;
  return (
    <span className="grow">
      <strong>{type}</strong> <code>{writeExact(rest)}</code>
    </span>
  );
}
