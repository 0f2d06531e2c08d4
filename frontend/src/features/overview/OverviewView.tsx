import { type ReactNode, useEffect, useMemo, useState } from "react";
import { CLASSES, classOf, type StatusClass, type StoredEvent, type TreeSnapshot } from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { FilterFields } from "../../ui/FilterFields.tsx";
import { filtered, useFilter } from "../../ui/filter.ts";
import { useSnapshot } from "../../ui/looking.ts";
import { ModelsTable } from "../../ui/ModelsTable.tsx";
import { byModel } from "../../ui/models.ts";
import { title } from "../../ui/nodes.ts";
import { Plot } from "../../ui/Plot.tsx";
import { CountsBar, Mark } from "../../ui/parts.tsx";
import { historyEnd, usePast } from "../../ui/past.ts";
import { count, duration, useMoment } from "../../ui/time.ts";
import type { ViewProps } from "../../ui/view.ts";
import { failures, over, slowest, throughput, tries } from "./figures.ts";
import "../../ui/figures.css";

const HISTORY = 5_000;

/** The newest events from before this page watched. */
function useHistory(projectId: string, end: string): readonly StoredEvent[] {
  const hub = useHub();
  const [events, setEvents] = useState<readonly StoredEvent[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    const load = async () => {
      let all: readonly StoredEvent[] = [];
      let before: string | null = end;
      while (before !== null && all.length < HISTORY) {
        const page: { events: readonly StoredEvent[]; next: string | null } = await hub.http.events(
          projectId,
          { before, limit: 1000 },
          stop.signal,
        );
        all = [...page.events, ...all];
        before = page.next;
      }
      setEvents(all);
    };
    // What cannot be loaded is not drawn; what comes is.
    load().catch(() => {});
    return () => stop.abort();
  }, [hub, projectId, end]);
  return events;
}

export default function OverviewView({ projectId, project, tree, onSelect }: ViewProps): ReactNode {
  const every = useSnapshot(tree, 1000);
  const filter = useFilter();
  const snapshot = useMemo(() => filtered(every, filter), [every, filter]);
  const past = usePast();
  const history = useHistory(projectId, historyEnd(past));
  const live = useReadable(past?.events ?? project.events);
  const moment = useMoment();
  const now = moment();
  const states = useMemo(() => over(snapshot, moment()), [snapshot, moment]);
  const until = past?.at ?? Number.POSITIVE_INFINITY;
  const rates = useMemo(() => {
    const last = history.at(-1)?.seq ?? 0;
    const all = [...history, ...live.filter((one) => one.seq > last)];
    return throughput(all.filter((one) => one.seq <= until));
  }, [history, live, until]);
  const counts = useMemo(() => {
    const found = Object.fromEntries(CLASSES.map((one) => [one, 0])) as Record<StatusClass, number>;
    for (const fields of snapshot.nodes.values()) found[classOf(fields.status)] += 1;
    return found;
  }, [snapshot]);
  const slow = slowest(snapshot, now);
  const reasons = failures(snapshot);
  return (
    <>
      <div className="toolbar">
        <FilterFields tree={tree} />
      </div>
      <div className="scroll" tabIndex={0} role="group" aria-label="Overview">
        <div className="page">
          <div className="figures">
            {CLASSES.map((one) => (
              <div key={one} className={`card c-${one}`}>
                <span className="row muted">
                  <Mark status={one} /> {one}
                </span>
                <strong>{count(counts[one])}</strong>
              </div>
            ))}
          </div>
          <CountsBar counts={counts} />
          <div className="plots">
            <Plot
              title="States over time"
              times={states.times}
              stacked
              series={[
                { label: "running", colour: "--running", values: states.byClass.running },
                { label: "failed", colour: "--failed", values: states.byClass.failed },
                { label: "cancelled", colour: "--cancelled", values: states.byClass.cancelled },
                { label: "done", colour: "--done", values: states.byClass.done },
              ]}
            />
            <Plot
              title="Events a second"
              times={rates.times}
              series={[{ label: "events/s", colour: "--accent", values: rates.rates }]}
            />
          </div>
          <section className="stack" aria-label="Slowest nodes">
            <h2>Slowest nodes</h2>
            {slow.length === 0 && <p className="muted">Nothing tells yet when it began.</p>}
            <table className="plain">
              <tbody>
                {slow.map(({ id, ms }) => (
                  <tr key={id}>
                    <td>
                      <button type="button" className="button plain" onClick={() => onSelect(id)}>
                        <Mark status={snapshot.nodes.get(id)?.status} />
                        <bdi className="ellipsis">{title(id, snapshot.nodes.get(id))}</bdi>
                      </button>
                    </td>
                    <td className="num">{duration(ms)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
          <TriedAgain tree={snapshot} onSelect={onSelect} />
          <Models tree={snapshot} />
          <section className="stack" aria-label="Failures by message">
            <h2>Failures by message</h2>
            {reasons.length === 0 && <p className="muted">Nothing has failed.</p>}
            {reasons.map((one) => (
              <div key={one.message} className="card row wrap">
                <span className="badge c-failed">{count(one.ids.length)}</span>
                <bdi className="grow mono">{one.message.slice(0, 400)}</bdi>
                <button type="button" className="button" onClick={() => onSelect(one.ids[0] ?? null)}>
                  Show the first
                </button>
              </div>
            ))}
          </section>
        </div>
      </div>
    </>
  );
}

/** What each model took; nothing where no node used any. */
function Models({ tree }: { tree: TreeSnapshot }): ReactNode {
  const models = useMemo(() => byModel(tree, null), [tree]);
  if (models.length === 0) return null;
  return (
    <section className="stack" aria-label="Tokens and cost by model">
      <h2>Tokens and cost by model</h2>
      <ModelsTable models={models} />
    </section>
  );
}

const MOST_TRIED = 10;

/** How often nodes were tried; nothing where each was tried once. */
function TriedAgain({ tree, onSelect }: { tree: TreeSnapshot; onSelect: (id: string) => void }): ReactNode {
  const { attempts, again, failed } = useMemo(() => tries(tree), [tree]);
  if (again.length === 0) return null;
  return (
    <section className="stack" aria-label="Tried again">
      <h2>Tried again</h2>
      <p>
        {count(attempts)} attempts of {count(tree.nodes.size)} nodes: {count(again.length)}{" "}
        {again.length === 1 ? "was" : "were"} tried again, after {count(failed)}{" "}
        {failed === 1 ? "failure" : "failures"}.
      </p>
      <table className="plain">
        <tbody>
          {again.slice(0, MOST_TRIED).map(({ id, attempts: many }) => (
            <tr key={id}>
              <td>
                <button type="button" className="button plain" onClick={() => onSelect(id)}>
                  <Mark status={tree.nodes.get(id)?.status} />
                  <bdi className="ellipsis">{title(id, tree.nodes.get(id))}</bdi>
                </button>
              </td>
              <td className="num">×{many}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
