import { type ReactNode, useCallback, useEffect, useState } from "react";
import { HubError, isEnded } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";
import { Link } from "../../ui/link.tsx";
import { usePlace } from "../../ui/location.ts";
import { Empty, Failure, Spinner } from "../../ui/parts.tsx";
import { seriesAddress, stateOf } from "../../ui/projects.ts";
import { count } from "../../ui/time.ts";
import { inOrder, type Series } from "./runs.ts";
import { SeriesView } from "./SeriesView.tsx";
import "./series.css";

/** How often runs that go on are asked for again, in milliseconds. */
const AGAIN = 10_000;

/** All series, or the runs of one. */
export default function SeriesPage(): ReactNode {
  const { query } = usePlace();
  const name = query.get("name");
  return name === null || name === "" ? <AllSeries /> : <OneSeries key={name} name={name} />;
}

function OneSeries({ name }: { name: string }): ReactNode {
  const { http } = useHub();
  const ask = useCallback(
    async (signal: AbortSignal) => {
      const path = `/series/${encodeURIComponent(name)}?limit=30`;
      const found = await http.call<Series>("GET", path, undefined, signal);
      return { ...found, runs: inOrder(found.runs) };
    },
    [http, name],
  );
  const { value, error, again } = useAsked(ask, goesOn);
  if (value !== null) return <SeriesView series={value} error={error} again={again} />;
  if (error === null) return <Spinner label={`Loading ${name} …`} />;
  if (error.code !== "not_found") return <Failure error={error} again={again} />;
  return (
    <Empty page title="There is no such series">
      <p className="muted">
        No project that you may watch names <bdi>{name}</bdi> as its series.
      </p>
      <Link href="/series">All series</Link>
    </Empty>
  );
}

function goesOn({ runs }: Series): boolean {
  return runs.some((run) => !isEnded(stateOf(run)));
}

interface Named {
  readonly series: string;
  readonly runs: number;
}

/** More are not listed: a person finds one by its runs. */
const MOST = 1000;

function AllSeries(): ReactNode {
  const { http } = useHub();
  const ask = useCallback(
    (signal: AbortSignal) =>
      http.call<{ series: readonly Named[] }>("GET", `/series?limit=${MOST}`, undefined, signal),
    [http],
  );
  const { value, error, again } = useAsked(ask, never);
  if (error !== null) return <Failure error={error} again={again} />;
  if (value === null) return <Spinner label="Loading …" />;
  if (value.series.length === 0)
    return (
      <Empty page title="No series yet">
        <p className="muted">
          A project that says <code>series</code> in a <code>project_update</code> is a run of that job.
        </p>
      </Empty>
    );
  return (
    <div className="scroll" tabIndex={0} role="group" aria-label="Series">
      <div className="page">
        <h1>Series</h1>
        <ul className="series-list">
          {value.series.map(({ series, runs }) => (
            <li key={series}>
              <Link href={seriesAddress(series)} className="card" data-listed="">
                <bdi>{series}</bdi>
                <span className="muted">{runs === 1 ? "1 run" : `${count(runs)} runs`}</span>
              </Link>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

const never = () => false;

interface Asked<T> {
  readonly value: T | null;
  readonly error: HubError | null;
  readonly again: () => void;
}

/** What the hub answers, asked for again for as long as it may change and the page is seen. */
function useAsked<T>(ask: (signal: AbortSignal) => Promise<T>, changes: (value: T) => boolean): Asked<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<HubError | null>(null);
  const [tries, setTries] = useState(0);
  const again = useCallback(() => setTries((before) => before + 1), []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another try asks again
  useEffect(() => {
    const stop = new AbortController();
    ask(stop.signal).then(
      (found) => {
        setValue(found);
        setError(null);
      },
      (reason: unknown) => {
        if (stop.signal.aborted) return;
        setError(reason instanceof HubError ? reason : new HubError("internal", String(reason)));
      },
    );
    return () => stop.abort();
  }, [ask, tries]);
  const going = value !== null && changes(value);
  useEffect(() => {
    if (!going) return;
    const timer = setInterval(() => document.visibilityState === "visible" && again(), AGAIN);
    return () => clearInterval(timer);
  }, [going, again]);
  return { value, error, again };
}
