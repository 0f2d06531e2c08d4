import { type ReactNode, useEffect, useMemo, useState } from "react";
import { type Fields, HubError, type Project } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { go, withQuery } from "../../ui/location.ts";
import { useSnapshot } from "../../ui/looking.ts";
import { title } from "../../ui/nodes.ts";
import { Badge, Failure } from "../../ui/parts.tsx";
import { count, hubNow } from "../../ui/time.ts";
import { type Differences, differences } from "./differences.ts";
import { TimeForm } from "./TimeForm.tsx";
import { useTimes } from "./useTimes.ts";

const MINUTE = 60_000;
const BACK = [
  ["10 min ago", 10 * MINUTE],
  ["1 h ago", 60 * MINUTE],
  ["1 day ago", 1440 * MINUTE],
] as const;

type Nodes = ReadonlyMap<string, Fields>;

/** The nodes as they were after an event; null: not known yet. */
function useBefore(project: Project, seq: number | null): { nodes: Nodes | null; error: HubError | null } {
  const { http } = useHub();
  const [nodes, setNodes] = useState<Nodes | null>(null);
  const [error, setError] = useState<HubError | null>(null);
  useEffect(() => {
    setNodes(null);
    setError(null);
    if (seq === null) return;
    const stop = new AbortController();
    http.state(project.id, seq, stop.signal).then(
      (state) => state.kind === "state" && setNodes(new Map(state.nodes)),
      (reason) =>
        stop.signal.aborted ||
        setError(reason instanceof HubError ? reason : new HubError("internal", String(reason))),
    );
    return () => stop.abort();
  }, [http, project, seq]);
  return { nodes, error };
}

const close = () => go(withQuery({ since: null }), true);

/** What changed from a moment to now. */
export default function Since({ project, since }: { project: Project; since: number | null }): ReactNode {
  const times = useTimes(project, (seq) => go(withQuery({ since: String(seq) }), true));
  const before = useBefore(project, since);
  const error = times.error ?? before.error;
  return (
    <Dialog label="Changes since" onClose={close}>
      <div className="since">
        <div className="row">
          <h2 className="grow">Changes since {since === null ? "…" : `event ${count(since)}`}</h2>
          <button type="button" className="button icon" aria-label="Close" onClick={close}>
            ✕
          </button>
        </div>
        <div className="row wrap">
          {BACK.map(([name, ms]) => (
            <button
              key={name}
              type="button"
              className="button"
              disabled={times.looking}
              onClick={() => times.find(hubNow() - ms)}
            >
              {name}
            </button>
          ))}
          <TimeForm from={hubNow()} label="Since a time" disabled={times.looking} onTime={times.find} />
        </div>
        {error !== null && <Failure error={error} />}
        {since !== null && before.nodes === null && error === null && <p className="muted">Loading …</p>}
        {before.nodes !== null && <Changed project={project} before={before.nodes} />}
      </div>
    </Dialog>
  );
}

const SHOWN = 100;

function Changed({ project, before }: { project: Project; before: Nodes }): ReactNode {
  const snapshot = useSnapshot(project.tree, 1000);
  const found = useMemo(() => differences(before, snapshot.nodes), [before, snapshot]);
  const { turned, came, went, other } = found;
  const nothing = [turned, came, went, other].every((one) => one.length === 0);
  if (nothing) return <p className="muted">No node has changed.</p>;
  return <Lists found={found} now={snapshot.nodes} />;
}

function Lists({ found: { turned, came, went, other }, now }: { found: Differences; now: Nodes }): ReactNode {
  const statusOf = (id: string) => now.get(id)?.status;
  return (
    <>
      <List
        name="with another status"
        all={turned.map(({ id, from, to }) => [id, <Turn key={id} from={from} to={to} />])}
        now={now}
      />
      <List name="new" all={came.map((id) => [id, <Badge key={id} status={statusOf(id)} />])} now={now} />
      <List name="with other fields" all={other.map(({ id, names }) => [id, names.join(", ")])} now={now} />
      {went.length > 0 && (
        <section className="stack" aria-label="Gone">
          <h3>{count(went.length)} gone</h3>
          <p className="muted">
            {went
              .slice(0, SHOWN)
              .map(([id, fields]) => title(id, fields))
              .join(", ")}
          </p>
        </section>
      )}
    </>
  );
}

function Turn({ from, to }: { from: unknown; to: unknown }): ReactNode {
  return (
    <span className="row">
      <Badge status={from} />→<Badge status={to} />
    </span>
  );
}

interface ListProps {
  readonly name: string;
  readonly all: readonly (readonly [id: string, what: ReactNode])[];
  readonly now: Nodes;
}

function List({ name, all, now }: ListProps): ReactNode {
  if (all.length === 0) return null;
  return (
    <section className="stack" aria-label={name}>
      <h3>
        {count(all.length)} {name}
        {all.length > SHOWN && `, the first ${SHOWN}`}
      </h3>
      <ul className="since-list">
        {all.slice(0, SHOWN).map(([id, what]) => (
          <li key={id}>
            <button
              type="button"
              className="button plain"
              onClick={() => go(withQuery({ since: null, node: id, line: null }))}
            >
              <bdi className="ellipsis">{title(id, now.get(id))}</bdi>
            </button>
            <span className="muted">{what}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
