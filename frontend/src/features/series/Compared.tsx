import { type ReactNode, useEffect, useMemo, useState } from "react";
import { HubError, shownText } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";
import { Link } from "../../ui/link.tsx";
import { go, projectAddress, usePlace, withQuery } from "../../ui/location.ts";
import { Badge, Failure, Spinner } from "../../ui/parts.tsx";
import { runName, stateOf } from "../../ui/projects.ts";
import { count, duration } from "../../ui/time.ts";
import { type Difference, differences, type Nodes, otherWords, slower } from "./differences.ts";
import { lastGood, type Run } from "./runs.ts";

const MOST = 200;
const WHAT = {
  status: "status and messages",
  times: "and durations",
  all: "and all fields",
} as const;
type What = keyof typeof WHAT;

/** What is different between a run and another one, which the person chooses. */
export function Compared({ runs, run }: { runs: readonly Run[]; run: Run }): ReactNode {
  const { query } = usePlace();
  const [what, setWhat] = useState<What>("status");
  const [open, setOpen] = useState(query.has("with"));
  const others = runs.filter((one) => one !== run && one.overview !== null);
  const at = runs.indexOf(run);
  const other =
    others.find((one) => one.project_id === query.get("with")) ??
    lastGood(runs, run) ??
    runs[at - 1] ??
    others[0];
  if (other === undefined || run.overview === null) return null;
  return (
    <details className="series-compare" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h3>Compared with another run</h3>
      </summary>
      <div className="row wrap">
        <select
          className="input"
          aria-label="The other run"
          value={other.project_id}
          onChange={(event) => go(withQuery({ run: run.project_id, with: event.target.value }), true)}
        >
          {[...others].reverse().map((one) => (
            <option key={one.project_id} value={one.project_id}>
              {runName(one)} ({stateOf(one) ?? "no status"})
            </option>
          ))}
        </select>
        <select
          className="input"
          aria-label="What is compared"
          value={what}
          onChange={(event) => setWhat(event.target.value as What)}
        >
          {Object.entries(WHAT).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
      </div>
      {open && <Both key={`${run.project_id} ${other.project_id}`} first={other} second={run} what={what} />}
    </details>
  );
}

function useStates(first: Run, second: Run) {
  const { http } = useHub();
  const [found, setFound] = useState<readonly [Nodes, Nodes] | null>(null);
  const [error, setError] = useState<HubError | null>(null);
  const [tries, setTries] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another try asks again; a run that goes on is compared as it was
  useEffect(() => {
    const stop = new AbortController();
    const read = async ({ project_id }: Run) => {
      const told = await http.state(project_id, undefined, stop.signal);
      return told.kind === "state" ? new Map(told.nodes) : new Map();
    };
    Promise.all([read(first), read(second)]).then(setFound, (reason: unknown) => {
      if (stop.signal.aborted) return;
      setError(reason instanceof HubError ? reason : new HubError("internal", String(reason)));
    });
    return () => stop.abort();
  }, [http, first.project_id, second.project_id, tries]);
  const again = () => {
    setError(null);
    setTries(tries + 1);
  };
  return { found, error, again };
}

function Both({ first, second, what }: { first: Run; second: Run; what: What }): ReactNode {
  const { found, error, again } = useStates(first, second);
  const all = useMemo(() => (found === null ? [] : differences(...found)), [found]);
  if (error !== null) return <Failure error={error} again={again} />;
  if (found === null) return <Spinner label="Loading both runs …" />;
  const shown = all.filter((one) => isMeant(one, what));
  if (shown.length === 0)
    return (
      <p className="muted">
        No node differs in this{all.length > 0 && `; ${count(all.length)} in other fields`}.
      </p>
    );
  return (
    <div className="series-scroll" tabIndex={0} role="group" aria-label="Differences">
      <table className="plain">
        <thead>
          <tr>
            <th>Node</th>
            <th>
              <bdi>{runName(first)}</bdi>
            </th>
            <th>
              <bdi>{runName(second)}</bdi>
            </th>
            <th>What</th>
          </tr>
        </thead>
        <tbody>
          {shown.slice(0, MOST).map((one) => (
            <tr key={one.id}>
              <td>
                <Link
                  href={projectAddress((one.kind === "gone" ? first : second).project_id, "tree", one.id)}
                >
                  <bdi>{one.title}</bdi>
                </Link>
              </td>
              <Side one={one} side={0} />
              <Side one={one} side={1} />
              <td>{inWords(one, what)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length > MOST && <p className="muted">and {count(shown.length - MOST)} more</p>}
    </div>
  );
}

function isMeant(one: Difference, what: What): boolean {
  if (what === "all" || one.kind !== "changed") return true;
  if (one.status[0] !== one.status[1] || otherWords(one.message)) return true;
  return what === "times" && slower(one.duration);
}

function Side({ one, side }: { one: Difference; side: 0 | 1 }): ReactNode {
  const missing = one.kind === (side === 0 ? "new" : "gone");
  if (missing) return <td className="muted">not there</td>;
  const ms = one.duration[side];
  const said = one.message[side];
  return (
    <td>
      <span className="row wrap">
        <Badge status={one.status[side]} />
        {ms !== undefined && <span className="muted">{duration(ms)}</span>}
      </span>
      {said !== undefined && <bdi className="series-said">{shownText(said).slice(0, 300)}</bdi>}
    </td>
  );
}

function inWords(one: Difference, what: What): string {
  if (one.kind !== "changed") return one.kind === "new" ? "new" : "no longer there";
  const said: string[] = [];
  if (one.status[0] !== one.status[1]) said.push("status");
  if (otherWords(one.message)) said.push("message");
  const [before = 0, after = 0] = one.duration;
  if (slower(one.duration)) said.push(after > before ? "slower" : "faster");
  if (what === "all" && one.fields.length > 0) said.push(`fields: ${one.fields.slice(0, 8).join(", ")}`);
  return said.join("; ");
}
