import { type ReactNode, useEffect, useMemo, useState } from "react";
import { CLASSES, classOf, type ShownRow, type TreeSnapshot } from "../../core/index.ts";
import { useProjects, useWatched } from "../../react/hooks.ts";
import { Link } from "../../ui/link.tsx";
import { usePlace } from "../../ui/location.ts";
import { useSnapshot } from "../../ui/looking.ts";
import { message, title } from "../../ui/nodes.ts";
import { Badge, byClass, CountsBar, Empty, Mark, Spinner } from "../../ui/parts.tsx";
import { clock, count, useClock } from "../../ui/time.ts";
import "./tv.css";

const TURN = 15_000;
const MOST = 12;

/** For a wall: one project after the other, the busiest first. `?turn=30` seconds each, `?project=` only these. */
export default function TvPage({ connection }: { connection: ReactNode }): ReactNode {
  const { byId, ready } = useProjects();
  const { query } = usePlace();
  const only = query.getAll("project").join("|");
  const turn = Math.min(3600, Math.max(3, Number(query.get("turn")) || TURN / 1000)) * 1000;
  const names = useMemo(() => busiest([...byId.values()], only === "" ? [] : only.split("|")), [byId, only]);
  const [at, setAt] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setAt((one) => one + 1), turn);
    return () => clearInterval(timer);
  }, [turn]);
  if (!ready) return <Spinner label="Connecting …" />;
  const name = names[at % Math.max(1, names.length)];
  const row = name === undefined ? undefined : byId.get(name);
  if (row === undefined) {
    return (
      <Empty page title="Nothing to show yet">
        <p className="muted">Projects show here one after the other as soon as there are some.</p>
        <p>
          <Link href="/">All projects</Link>
        </p>
      </Empty>
    );
  }
  const place = `${(at % names.length) + 1} / ${names.length}`;
  return <Channel key={row.project_id} row={row} place={place} connection={connection} />;
}

function busiest(rows: ShownRow[], only: readonly string[]): string[] {
  const shown = only.length === 0 ? rows : rows.filter((row) => only.includes(row.project_id));
  return shown
    .sort((one, other) => (other.updated_at ?? "").localeCompare(one.updated_at ?? ""))
    .slice(0, MOST)
    .map((row) => row.project_id)
    .sort();
}

interface ChannelProps {
  readonly row: ShownRow;
  readonly place: string;
  /** How the connection is. */
  readonly connection: ReactNode;
}

function Channel({ row, place, connection }: ChannelProps): ReactNode {
  const project = useWatched(row.project_id);
  const snapshot = useSnapshot(project.tree, 500);
  const counts = byClass(row.counts);
  const now = useClock();
  return (
    <main className="tv">
      <div className="row wrap">
        <h1 className="grow ellipsis">
          <bdi>{row.title ?? row.project_id}</bdi>
        </h1>
        {row.state !== null && <Badge status={row.state} />}
        <span className="muted">
          {place} · {clock(now)} · <Link href="/">leave</Link>
        </span>
        {connection}
      </div>
      <div className="tv-bar">
        <CountsBar counts={counts} />
      </div>
      <div className="tv-counts">
        {CLASSES.filter((one) => counts[one] > 0).map((one) => (
          <div key={one} className={`tv-count c-${one}`}>
            <strong>{count(counts[one])}</strong>
            {one}
          </div>
        ))}
        {(row.prompts ?? 0) > 0 && (
          <div className="tv-count c-review">
            <strong>{row.prompts}</strong>waiting for a person
          </div>
        )}
      </div>
      <div className="tv-lists">
        <List name="Running now" ids={some(snapshot, "running")} snapshot={snapshot} />
        <List name="Failed" ids={some(snapshot, "failed")} snapshot={snapshot} />
      </div>
    </main>
  );
}

function some({ nodes, shape }: TreeSnapshot, kind: string): string[] {
  const found: string[] = [];
  for (const [id, fields] of nodes) {
    if (classOf(fields.status) !== kind || shape.children(id).length > 0) continue;
    found.push(id);
    if (found.length >= 14) break;
  }
  return found;
}

function List({
  name,
  ids,
  snapshot,
}: {
  name: string;
  ids: readonly string[];
  snapshot: TreeSnapshot;
}): ReactNode {
  if (ids.length === 0) return null;
  return (
    <section aria-label={name}>
      <h2>{name}</h2>
      <ul>
        {ids.map((id) => (
          <li key={id}>
            <Mark status={snapshot.nodes.get(id)?.status} />
            <bdi className="ellipsis">{title(id, snapshot.nodes.get(id))}</bdi>
            <bdi className="ellipsis muted">{message(snapshot.nodes.get(id))}</bdi>
          </li>
        ))}
      </ul>
    </section>
  );
}
