import { type ReactNode, useMemo } from "react";
import { CLASSES, moment, type ShownRow, type StatusClass, summed } from "../../core/index.ts";
import { useProjects } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { useSearchKey } from "../../ui/keys.ts";
import { Link } from "../../ui/link.tsx";
import { go, projectAddress, usePlace, withQuery } from "../../ui/location.ts";
import {
  Ago,
  Badge,
  byClass,
  CopyLine,
  CountsLine,
  Empty,
  Failure,
  Sparkline,
  Spinner,
} from "../../ui/parts.tsx";
import { usePreference } from "../../ui/preference.ts";
import { stateOf, titleOf } from "../../ui/projects.ts";
import { count } from "../../ui/time.ts";
import { Spending } from "../../ui/usage.tsx";
import { type Choice, chosen, groups, labelsOf, rate, SORTS, type Sort } from "./list.ts";
import "./projects.css";

const MOST_CARDS = 300;

/** Every project the viewer may see, live. */
export default function ProjectsPage(): ReactNode {
  const hub = useHub();
  const { byId, ready, error } = useProjects();
  const { query } = usePlace();
  const field = useSearchKey();
  const [shape, setShape] = usePreference("projects", "cards");
  const choice: Choice = {
    search: query.get("q") ?? "",
    state: (query.get("state") ?? "") as StatusClass | "",
    group: query.get("group") ?? "",
    sort: (query.get("sort") ?? "activity") as Sort,
  };
  const { search, state, group, sort } = choice;
  const rows = useMemo(
    () => chosen(byId.values(), { search, state, group, sort }),
    [byId, search, state, group, sort],
  );
  const set = (name: string) => (event: { target: { value: string } }) =>
    go(withQuery({ [name]: event.target.value || null }), true);
  if (!ready) {
    return error === null ? (
      <Spinner label="Asking the hub for its projects …" />
    ) : (
      <Unreachable again={() => hub.wake()} error={error} />
    );
  }
  if (byId.size === 0) return <NoProjects />;
  const shown = rows.slice(0, MOST_CARDS);
  return (
    <div className="page">
      <div className="row wrap">
        <h1>Projects</h1>
        <span className="muted grow">{count(rows.length)}</span>
        <input
          className="input"
          type="search"
          ref={field}
          placeholder="Search"
          aria-label="Search projects"
          value={search}
          onChange={set("q")}
        />
        <select className="input" aria-label="State" value={state} onChange={set("state")}>
          <option value="">any state</option>
          {CLASSES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <Groups all={groups(byId.values())} value={group} onChange={set("group")} />
        <select className="input" aria-label="Sort by" value={sort} onChange={set("sort")}>
          {SORTS.map((one) => (
            <option key={one} value={one}>
              by {one}
            </option>
          ))}
        </select>
        {[...byId.values()].some((row) => row.series !== undefined) && (
          <Link href="/series" className="button">
            Series
          </Link>
        )}
        <button
          type="button"
          className="button"
          aria-pressed={shape === "table"}
          onClick={() => setShape(shape === "table" ? "cards" : "table")}
        >
          Table
        </button>
      </div>
      {error !== null && <Failure error={error} again={() => hub.wake()} />}
      {rows.length === 0 && (
        <Empty title="No project matches">
          <p className="muted">
            {count(byId.size)} projects are there; the search and the filters leave none of them.
          </p>
        </Empty>
      )}
      {shape === "table" ? <Table rows={shown} /> : <Cards rows={shown} />}
      {rows.length > MOST_CARDS && (
        <p className="muted">The first {MOST_CARDS} are shown. Search or filter to see others.</p>
      )}
    </div>
  );
}

function Groups({
  all,
  value,
  onChange,
}: {
  all: string[];
  value: string;
  onChange: (event: { target: { value: string } }) => void;
}): ReactNode {
  if (all.length === 0) return null;
  return (
    <select className="input" aria-label="Group" value={value} onChange={onChange}>
      <option value="">all groups</option>
      {all.map((one) => (
        <option key={one}>{one}</option>
      ))}
    </select>
  );
}

function Cards({ rows }: { rows: readonly ShownRow[] }): ReactNode {
  return (
    <div className="grid-cards">
      {rows.map((row) => (
        <Link
          key={row.project_id}
          href={projectAddress(row.project_id)}
          className="card projects-card"
          data-listed=""
        >
          <div className="row">
            <h2 className="grow ellipsis">
              <bdi>{titleOf(row)}</bdi>
            </h2>
            {(row.prompts ?? 0) > 0 && <span className="badge c-review">{row.prompts} waiting</span>}
            <Badge status={stateOf(row)} />
          </div>
          <div className="row">
            {typeof row.group === "string" && <bdi className="chip">{row.group}</bdi>}
            {labelsOf(row)
              .slice(0, 4)
              .map((one) => (
                <bdi key={one} className="chip">
                  {one}
                </bdi>
              ))}
          </div>
          <CountsLine counts={byClass(row.counts)} />
          <Rate row={row} />
          <div className="projects-foot">
            <span>{count(row.nodes)} nodes</span>
            <Used row={row} />
            <span>{rate(row).toFixed(rate(row) < 10 ? 1 : 0)} events/s</span>
            <Ago time={updated(row)} />
          </div>
        </Link>
      ))}
    </div>
  );
}

function Table({ rows }: { rows: readonly ShownRow[] }): ReactNode {
  return (
    <div className="scroll">
      <table className="plain projects-table">
        <thead>
          <tr>
            <th>Project</th>
            <th>State</th>
            <th>Nodes by status</th>
            <th className="num">Nodes</th>
            <th>Tokens, cost</th>
            <th className="num">Events/s</th>
            <th>Last half minute</th>
            <th>Last event</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.project_id}>
              <td>
                <Link href={projectAddress(row.project_id)} data-listed="">
                  <bdi>{titleOf(row)}</bdi>
                </Link>
              </td>
              <td>
                <Badge status={stateOf(row)} />
              </td>
              <td>
                <CountsLine counts={byClass(row.counts)} />
              </td>
              <td className="num">{count(row.nodes)}</td>
              <td>
                <Used row={row} />
              </td>
              <td className="num">{rate(row).toFixed(1)}</td>
              <td>
                <Rate row={row} />
              </td>
              <td>
                <Ago time={updated(row)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Tokens and cost, as the hub sums them up. */
function Used({ row }: { row: ShownRow }): ReactNode {
  const used = summed(row.usage);
  return used === null ? null : <Spending spent={used} />;
}

function Rate({ row }: { row: ShownRow }): ReactNode {
  return <Sparkline values={row.rates} label={`${rate(row).toFixed(1)} events a second`} />;
}

function updated(row: ShownRow): number | undefined {
  return row.updated_at === null ? undefined : moment(row.updated_at);
}

function Unreachable({ error, again }: { error: Error; again: () => void }): ReactNode {
  return (
    <Empty page title="The hub cannot be reached">
      <Failure error={error} again={again} />
      <p className="muted">This page tries again by itself. Is the hub running? In its terminal:</p>
      <CopyLine text="tasktree-rt serve" />
    </Empty>
  );
}

function NoProjects(): ReactNode {
  const event = `{"type":"node_update","data":{"node_id":"build","changes":{"title":"Build","status":"running"}}}`;
  return (
    <Empty page title="No project yet">
      <p className="muted">
        A project begins with its first event, and shows here at once. Try it in a terminal:
      </p>
      <CopyLine
        text={`curl -X POST ${window.location.origin}/api/v1/projects/my-first/events \\\n  -H 'content-type: application/json' \\\n  -d '${event}'`}
      />
      <p className="muted">Or see a real folder being worked through:</p>
      <CopyLine text={`tasktree-rt demo --hub ${window.location.origin} .`} />
    </Empty>
  );
}
