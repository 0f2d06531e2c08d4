import { type ReactNode, useMemo, useState } from "react";
import { type TreeSnapshot, text } from "../../core/index.ts";
import {
  begun,
  type Dependents,
  dependents,
  type Failed,
  type Group,
  grouped,
  heldUp,
  heldUpHow,
} from "../../ui/failures.ts";
import { Link } from "../../ui/link.tsx";
import { projectAddress } from "../../ui/location.ts";
import { useCounts, useSnapshot } from "../../ui/looking.ts";
import { title } from "../../ui/nodes.ts";
import { Ago, Mark } from "../../ui/parts.tsx";
import { useShared } from "../../ui/shared.ts";
import { clock, count } from "../../ui/time.ts";
import type { ViewProps } from "../../ui/view.ts";
import { RetryAll } from "./RetryAll.tsx";
import "./failures.css";

/** What went wrong in a run: the failures that others follow from, by message, the first one first. */
export default function FailuresView({ projectId, tree, onSelect, past }: ViewProps): ReactNode {
  const snapshot = useSnapshot(tree, 1000);
  const shared = useShared();
  const counts = useCounts(tree);
  const { groups, all, by } = useMemo(() => {
    const found = begun(snapshot);
    return { all: found, groups: grouped(found), by: dependents(snapshot) };
  }, [snapshot]);
  const first = all[0];
  return (
    <div className="scroll" tabIndex={0} role="group" aria-label="What went wrong">
      <div className="page failures">
        <h2>What went wrong</h2>
        {first === undefined ? (
          <p className="muted">Nothing has failed.</p>
        ) : (
          <p>
            It began with <NodeLink one={first} snapshot={snapshot} onSelect={onSelect} />{" "}
            <When at={first.at} />.{" "}
            <span className="muted">
              {many(all.length, "failure")} in {many(groups.length, "group")}
              {counts.failed > all.length &&
                `, and ${many(counts.failed - all.length, "branch", "branches")} above`}
              .
            </span>
          </p>
        )}
        {!past && !shared && all.length > 0 && (
          <RetryAll projectId={projectId} ids={all.map((one) => one.id)} />
        )}
        {groups.map((group) => (
          <GroupCard
            key={group.failed[0]?.id}
            projectId={projectId}
            group={group}
            snapshot={snapshot}
            by={by}
            onSelect={onSelect}
          />
        ))}
      </div>
    </div>
  );
}

function many(amount: number, one: string, several = `${one}s`): string {
  return `${count(amount)} ${amount === 1 ? one : several}`;
}

function When({ at }: { at: number }): ReactNode {
  if (!Number.isFinite(at)) return <span className="muted">at a time that nothing tells</span>;
  return (
    <span className="nowrap">
      at {clock(at)},{" "}
      <span className="muted">
        <Ago time={at} />
      </span>
    </span>
  );
}

interface PartProps {
  readonly snapshot: TreeSnapshot;
  readonly onSelect: (id: string) => void;
}

/** A node by its title, below the titles of those above it. */
function NodeLink({ one: { id }, snapshot, onSelect }: PartProps & { one: Failed }): ReactNode {
  const { nodes, shape } = snapshot;
  const above = shape.path(id).slice(0, -1);
  return (
    <button type="button" className="failures-node" data-listed="" onClick={() => onSelect(id)}>
      <Mark status="failed" />
      <span>
        {above.length > 0 && (
          <bdi className="muted">{above.map((one) => title(one, nodes.get(one))).join(" / ")} / </bdi>
        )}
        <bdi>{title(id, nodes.get(id))}</bdi>
      </span>
    </button>
  );
}

const WORDS = 8;

/** A search of all events and logs for the first words of a message; numbers and ids differ from one to the next. */
function searchAddress(projectId: string, message: string): string {
  const words = message.match(/[\p{L}]{3,}/gu)?.slice(0, WORDS) ?? [message.slice(0, 80)];
  return `${projectAddress(projectId, "events")}?q=${encodeURIComponent(words.join(" "))}`;
}

const SHOWN = 5;
const HELD_UP = 8;

interface GroupProps extends PartProps {
  readonly projectId: string;
  readonly group: Group;
  readonly by: Dependents;
}

function GroupCard({ projectId, group: { message, failed }, snapshot, by, onSelect }: GroupProps): ReactNode {
  const [all, setAll] = useState(false);
  const shown = all ? failed : failed.slice(0, SHOWN);
  const effects = useMemo(
    () =>
      heldUp(
        snapshot,
        by,
        failed.map((one) => one.id),
      ),
    [snapshot, by, failed],
  );
  return (
    <section className="card stack" aria-label={message.slice(0, 80) || "without a message"}>
      <div className="row">
        <span className="badge c-failed">{count(failed.length)}</span>
        <bdi className="failures-message mono grow">
          {message === "" ? "They say nothing of why." : message.slice(0, 600)}
        </bdi>
        {message !== "" && (
          <Link className="button" href={searchAddress(projectId, message)}>
            Where else?
          </Link>
        )}
      </div>
      <ul className="failures-list">
        {shown.map((one) => (
          <li key={one.id}>
            <NodeLink one={one} snapshot={snapshot} onSelect={onSelect} />
            <time className="muted nowrap">{Number.isFinite(one.at) ? clock(one.at) : ""}</time>
          </li>
        ))}
      </ul>
      {failed.length > SHOWN && (
        <div>
          <button type="button" className="button" aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? `The first ${SHOWN}` : `All ${count(failed.length)}`}
          </button>
        </div>
      )}
      {effects.length > 0 && <Effects ids={effects} snapshot={snapshot} onSelect={onSelect} />}
    </section>
  );
}

function Effects({ ids, snapshot, onSelect }: PartProps & { ids: readonly string[] }): ReactNode {
  return (
    <div className="stack failures-effects">
      <h3>{many(ids.length, "node")} depended on it</h3>
      <ul className="failures-list">
        {ids.slice(0, HELD_UP).map((id) => {
          const fields = snapshot.nodes.get(id);
          return (
            <li key={id}>
              <button type="button" className="failures-node" data-listed="" onClick={() => onSelect(id)}>
                <Mark status={fields?.status} />
                <bdi>{title(id, fields)}</bdi>
              </button>
              <span className="muted">
                {heldUpHow(fields)}
                {text(fields, "status") !== undefined && ` (${text(fields, "status")?.replaceAll("_", " ")})`}
              </span>
            </li>
          );
        })}
      </ul>
      {ids.length > HELD_UP && <p className="muted">and {count(ids.length - HELD_UP)} more</p>}
    </div>
  );
}
