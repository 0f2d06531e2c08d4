import type { ReactNode } from "react";
import { classOf, type HubError } from "../../core/index.ts";
import { Link } from "../../ui/link.tsx";
import { go, projectAddress, usePlace, withQuery } from "../../ui/location.ts";
import { Badge, Failure, Mark } from "../../ui/parts.tsx";
import { runName, stateOf } from "../../ui/projects.ts";
import { count, duration, useNow } from "../../ui/time.ts";
import { Compared } from "./Compared.tsx";
import { Grid } from "./Grid.tsx";
import { isDone, lastGood, news, type Run, type RunNode, type Series, took, usual } from "./runs.ts";

/** The runs of one job beside each other, and one run in detail. */
export function SeriesView({
  series,
  error,
  again,
}: {
  series: Series;
  error: HubError | null;
  again: () => void;
}): ReactNode {
  const { query } = usePlace();
  const { runs } = series;
  const chosen = runs.find((run) => run.project_id === query.get("run")) ?? worthALook(runs);
  const choose = (run: Run) => go(withQuery({ run: run.project_id, with: null }), true);
  const middle = usual(runs);
  return (
    <div className="scroll" tabIndex={0} role="group" aria-label="Series">
      <div className="page series">
        <div className="row wrap">
          <h1>
            <bdi>{series.series}</bdi>
          </h1>
          <span className="muted">
            {runs.length < series.count
              ? `the newest ${runs.length} of ${count(series.count)} runs`
              : `${count(series.count)} ${series.count === 1 ? "run" : "runs"}`}
            , {runs.filter(isDone).length} ended well
            {middle !== undefined && `, usually in ${duration(middle)}`}
          </span>
          <Link href="/series">All series</Link>
        </div>
        {error !== null && <Failure error={error} again={again} />}
        <Grid runs={runs} chosen={chosen} usual={middle} onChoose={choose} />
        {chosen !== undefined && <Chosen runs={runs} run={chosen} usual={middle} />}
      </div>
    </div>
  );
}

/** The newest run, if it failed or goes on; else the last that failed; else the newest. */
function worthALook(runs: readonly Run[]): Run | undefined {
  const newest = runs.at(-1);
  if (newest === undefined || !isDone(newest)) return newest;
  return runs.findLast((run) => classOf(stateOf(run)) === "failed") ?? newest;
}

function Chosen({
  runs,
  run,
  usual: middle,
}: {
  runs: readonly Run[];
  run: Run;
  usual: number | undefined;
}): ReactNode {
  const now = useNow();
  const ms = took(run.overview, now);
  const failed = run.overview?.failed ?? [];
  return (
    <section className="stack" aria-label="The chosen run">
      <div className="row wrap">
        <h2>
          <bdi>{runName(run)}</bdi>
        </h2>
        <Badge status={stateOf(run)} />
        {ms !== undefined && (
          <span className="muted">
            {duration(ms)}
            {middle !== undefined && middle > 0 && `, ${against(ms, middle)}`}
          </span>
        )}
        <Link href={projectAddress(run.project_id)} className="button">
          Open
        </Link>
      </div>
      {run.overview === null && <p className="notice c-failed">The hub cannot read this run.</p>}
      {failed.length > 0 && <WhatIsNew runs={runs} run={run} />}
      <Compared key={run.project_id} runs={runs} run={run} />
    </section>
  );
}

/** `1.8 × the usual`, `as usual`. */
function against(ms: number, middle: number): string {
  const times = ms / middle;
  if (times > 0.9 && times < 1.1) return "as usual";
  return `${times.toLocaleString("en", { maximumSignificantDigits: 2 })} × the usual`;
}

function WhatIsNew({ runs, run }: { runs: readonly Run[]; run: Run }): ReactNode {
  const groups = news(runs, run);
  const good = lastGood(runs, run);
  const more = run.overview?.failed_more ?? 0;
  return (
    <section className="stack" aria-label="What is new in this failure">
      <h3>What is new in this failure</h3>
      <ul className="series-news">
        {groups.map((group) => (
          <li key={group.nodes[0]?.node_id} className="card">
            <span className="row wrap">
              <strong
                className={group.messageIn + group.nodesIn === 0 ? "badge c-failed" : "badge c-waiting"}
              >
                {howNew(group)}
              </strong>
              <Nodes run={run} nodes={group.nodes} />
            </span>
            {group.message !== "" && <bdi className="series-said">{group.message}</bdi>}
          </li>
        ))}
      </ul>
      {more > 0 && <p className="muted">{count(more)} more failed.</p>}
      {good === undefined ? (
        <p className="muted">None of the runs before ended well.</p>
      ) : (
        <Since run={run} good={good} />
      )}
    </section>
  );
}

function howNew({
  messageIn,
  nodesIn,
  before,
}: {
  messageIn: number;
  nodesIn: number;
  before: number;
}): string {
  const runs = before === 1 ? "the run before" : `the ${before} runs before`;
  if (before === 0) return "the first run";
  if (messageIn === 0 && nodesIn === 0) return `new: not in ${runs}`;
  if (messageIn === 0) return `new message; failed in ${nodesIn} of ${runs}`;
  return `in ${messageIn} of ${runs} too`;
}

const SHOWN = 5;

function Nodes({ run, nodes }: { run: Run; nodes: readonly RunNode[] }): ReactNode {
  return (
    <>
      {nodes.slice(0, SHOWN).map((one) => (
        <Link key={one.node_id} href={projectAddress(run.project_id, "tree", one.node_id)} className="chip">
          <Mark status={one.status} />
          <bdi>{one.title ?? one.node_id}</bdi>
        </Link>
      ))}
      {nodes.length > SHOWN && <span className="muted">and {count(nodes.length - SHOWN)} more</span>}
    </>
  );
}

/** Nodes at the top that are there since the last run that ended well, and those that are gone. */
function Since({ run, good }: { run: Run; good: Run }): ReactNode {
  const then = new Set(good.overview?.top.map((one) => one.node_id));
  const now = new Set(run.overview?.top.map((one) => one.node_id));
  const added = (run.overview?.top ?? []).filter((one) => !then.has(one.node_id));
  const gone = (good.overview?.top ?? []).filter((one) => !now.has(one.node_id));
  return (
    <p className="row wrap">
      <span className="muted">
        The last that ended well: <bdi>{runName(good)}</bdi>.
      </span>
      {added.length > 0 && (
        <>
          <span>New since:</span> <Nodes run={run} nodes={added} />
        </>
      )}
      {gone.length > 0 && (
        <>
          <span>No longer there:</span> <Nodes run={good} nodes={gone} />
        </>
      )}
    </p>
  );
}
