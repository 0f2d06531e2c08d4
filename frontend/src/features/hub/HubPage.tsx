import { type ReactNode, useEffect, useState } from "react";
import { type Fields, type HubError, number, text } from "../../core/index.ts";
import { useProjects } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { Link } from "../../ui/link.tsx";
import { projectAddress } from "../../ui/location.ts";
import { Plot } from "../../ui/Plot.tsx";
import { byClass, CountsLine, Failure, Spinner } from "../../ui/parts.tsx";
import { bytes, count, duration, hubNow } from "../../ui/time.ts";
import { Access } from "./Access.tsx";
import { asHubError } from "./asked.ts";
import { Connections } from "./Connections.tsx";
import "../../ui/figures.css";

const EVERY = 2_000;
const KEPT = 300;

interface Sample {
  readonly at: number;
  readonly stats: Fields;
}

interface Looked {
  readonly samples: readonly Sample[];
  readonly error: HubError | null;
}

/** The hub's own figures, sampled for as long as the page is looked at. */
function useLooked(): Looked {
  const hub = useHub();
  const [looked, setLooked] = useState<Looked>({ samples: [], error: null });
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const look = async () => {
      try {
        const stats = await hub.http.call<Fields>("GET", "/stats", undefined, stop.signal);
        const sample = { at: hubNow() / 1000, stats };
        setLooked((there) => ({
          samples: [...there.samples, sample].slice(-KEPT),
          error: null,
        }));
      } catch (reason) {
        if (stop.signal.aborted) return;
        const error = asHubError(reason);
        setLooked((there) => ({ ...there, error }));
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void look(), EVERY);
    };
    void look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [hub]);
  return looked;
}

export default function HubPage(): ReactNode {
  const { samples, error } = useLooked();
  const last = samples.at(-1)?.stats;
  if (last === undefined) {
    return error === null ? (
      <Spinner label="Asking the hub how it is …" />
    ) : (
      <div className="page">
        <Failure error={error} />
        <p className="muted">Only a token with the right to administer the hub may see this page.</p>
      </div>
    );
  }
  return (
    <div className="page">
      <h1>Hub</h1>
      {error !== null && <Failure error={error} />}
      {last.draining === true && (
        <p className="notice c-review">The hub is stopping: it takes no new connections.</p>
      )}
      {text(last, "store_error") !== undefined && (
        <p className="notice c-failed">The store has a fault: {text(last, "store_error")}</p>
      )}
      <Figures stats={last} />
      <Plots samples={samples} />
      <Connections />
      <Access />
      <Largest />
    </div>
  );
}

const SIZED = /bytes|_size$/;
const TIMED = /seconds$|_latency$/;

function Figures({ stats }: { stats: Fields }): ReactNode {
  const shown = Object.entries(stats).filter(
    ([, value]) => typeof value === "number" || typeof value === "string",
  );
  return (
    <div className="figures">
      {shown.map(([name, value]) => (
        <div key={name} className="card">
          <span className="muted">{name.replaceAll("_", " ")}</span>
          {typeof value === "number" ? (
            <strong>{figure(name, value)}</strong>
          ) : (
            <div className="mono ellipsis" title={String(value)}>
              {String(value)}
            </div>
          )}
        </div>
      ))}
    </div>
  );
}

function figure(name: string, value: number): string {
  if (SIZED.test(name)) return bytes(value);
  if (TIMED.test(name)) return duration(value * 1000);
  return Number.isInteger(value) ? count(value) : value.toFixed(1);
}

function Plots({ samples }: { samples: readonly Sample[] }): ReactNode {
  const times = samples.map((one) => one.at);
  const of = (name: string) => samples.map((one) => number(one.stats, name) ?? null);
  const rate = (name: string) =>
    samples.map((one, at) => {
      const before = samples[at - 1];
      if (before === undefined) return null;
      const came = (number(one.stats, name) ?? 0) - (number(before.stats, name) ?? 0);
      return Math.max(0, came / (one.at - before.at));
    });
  return (
    <div className="plots">
      <Plot
        title="Events a second"
        times={times}
        series={[
          { label: "in", colour: "--running", values: rate("events_in") },
          { label: "delivered", colour: "--done", values: rate("messages_out") },
        ]}
      />
      <Plot
        title="Waiting"
        times={times}
        series={[
          { label: "publishes", colour: "--review", values: of("publishes_waiting") },
          { label: "for slow readers", colour: "--failed", values: of("outbox_messages") },
        ]}
      />
      <Plot
        title="From a publish to every outbox, ms"
        times={times}
        series={[
          {
            label: "the newest",
            colour: "--accent",
            values: of("publish_seconds").map((one) => (one === null ? null : one * 1000)),
          },
        ]}
      />
      <Plot
        title="Connections"
        times={times}
        series={[
          { label: "open", colour: "--accent", values: of("connections") },
          { label: "behind", colour: "--failed", values: of("lagging") },
        ]}
      />
    </div>
  );
}

function Largest(): ReactNode {
  const { byId } = useProjects();
  const largest = [...byId.values()].sort((one, other) => other.nodes - one.nodes).slice(0, 15);
  return (
    <section className="stack" aria-label="Largest projects">
      <h2>Largest projects</h2>
      <table className="plain">
        <thead>
          <tr>
            <th>Project</th>
            <th className="num">Nodes</th>
            <th className="num">Events</th>
            <th>By status</th>
          </tr>
        </thead>
        <tbody>
          {largest.map((row) => (
            <tr key={row.project_id}>
              <td>
                <Link href={projectAddress(row.project_id)}>
                  <bdi>{row.title ?? row.project_id}</bdi>
                </Link>
              </td>
              <td className="num">{count(row.nodes)}</td>
              <td className="num">{count(row.seq)}</td>
              <td>
                <CountsLine counts={byClass(row.counts)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
