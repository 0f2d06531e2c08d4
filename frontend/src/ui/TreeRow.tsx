import { memo, type ReactNode, useRef } from "react";
import {
  attemptCount,
  type Fields,
  isEnded,
  type Rollup,
  spentOf,
  sumSpent,
  type TreeStore,
  text,
} from "../core/index.ts";
import { useTreeNode } from "../react/hooks.ts";
import { useFlash } from "./flash.ts";
import { KindIcon } from "./kinds.tsx";
import { message, progress, spent, title } from "./nodes.ts";
import { CountsBar, Mark, Progress, UrgentCounts } from "./parts.tsx";
import type { Row } from "./rows.ts";
import { duration, useNow } from "./time.ts";
import { Spending } from "./usage.tsx";

export interface TreeRowProps {
  readonly tree: TreeStore;
  readonly row: Row;
  readonly top: number;
  readonly active: boolean;
  readonly selected: boolean;
  /** What a view knows of it beside what it shows: for people who cannot see the view. */
  readonly note?: string | undefined;
  /** What its mark means; undefined: it has none. */
  readonly mark?: string | undefined;
  readonly onPick: (id: string) => void;
  readonly onTwist: (id: string) => void;
}

/** For tests that count how often rows are drawn. */
export const drawn = { rows: 0 };

/** One line of the tree: drawn again only when its own node is another. */
export const TreeRow = memo(function TreeRow({
  tree,
  row,
  top,
  active,
  selected,
  note,
  mark,
  onPick,
  onTwist,
}: TreeRowProps) {
  const node = useTreeNode(tree, row.id);
  drawn.rows += 1;
  const fields = node?.fields;
  const rollup = node?.rollup ?? null;
  // Only known by its children so far: its own events have not come.
  const expected = fields?.provisional === true;
  const line = useRef<HTMLDivElement>(null);
  useFlash(line, tree, fields);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the tree's, which has the focus
    // biome-ignore lint/a11y/useFocusableInteractive: the tree tells which row is active by aria-activedescendant
    <div
      ref={line}
      role="treeitem"
      id={rowId(row.id)}
      className={`tree-row${active ? " active" : ""}${expected ? " expected" : ""}`}
      style={{ transform: `translateY(${top}px)` }}
      aria-level={row.depth}
      aria-posinset={row.place}
      aria-setsize={row.siblings}
      aria-selected={selected}
      {...(row.expandable ? { "aria-expanded": row.expanded } : {})}
      onClick={() => onPick(row.id)}
    >
      <span className="tree-indent" style={{ width: Math.min(12, row.depth - 1) * 18 }} />
      <span
        className="tree-twist"
        aria-hidden="true"
        onClick={(event) => {
          event.stopPropagation();
          if (row.expandable) onTwist(row.id);
        }}
      >
        {row.expandable && (
          <svg viewBox="0 0 10 10" aria-hidden="true">
            <path d="M3 1l4 4-4 4" fill="none" stroke="currentColor" strokeWidth="1.6" />
          </svg>
        )}
      </span>
      <Mark status={fields?.status} />
      <KindIcon kind={text(fields, "kind")} />
      <bdi className="tree-title ellipsis" title={row.id}>
        {title(row.id, fields)}
      </bdi>
      <span className="hidden-text">{text(fields, "status") ?? "no status"}</span>
      {expected && <span className="hidden-text">not reported itself yet</span>}
      {note !== undefined && <span className="hidden-text">{note}</span>}
      {mark !== undefined && (
        <span className="tree-mark" title={mark}>
          <span className="hidden-text">{mark}</span>
        </span>
      )}
      <Tries fields={fields} />
      <bdi className="tree-model mono ellipsis">{text(fields, "model")}</bdi>
      <bdi className="tree-message ellipsis">{message(fields)}</bdi>
      {row.expandable && rollup !== null && <Sums rollup={rollup} all={!row.expanded} />}
      <Share fields={fields} rollup={rollup} />
      <Used fields={fields} rollup={rollup} />
      <Spent fields={fields} />
    </div>
  );
});

/** How often it was tried, of one that was tried again. */
function Tries({ fields }: { fields: Fields | undefined }): ReactNode {
  const tries = attemptCount(fields);
  if (tries < 2) return null;
  return (
    <span className="chip tree-tries" title={`${tries} attempts`}>
      <span aria-hidden="true">×{tries}</span>
      <span className="hidden-text">{tries} attempts</span>
    </span>
  );
}

export function rowId(id: string): string {
  return `node-${encodeURIComponent(id)}`;
}

function Share({ fields, rollup }: { fields: Fields | undefined; rollup: Rollup | null }): ReactNode {
  const own = progress(fields);
  if (rollup !== null && own === undefined) return <CountsBar counts={rollup.counts} />;
  if (own === undefined) return null;
  return <Progress value={own} status={fields?.status} />;
}

/** What is below: of a branch that is open only what a person looks for. */
function Sums({ rollup: { counts, progress: share }, all }: { rollup: Rollup; all: boolean }): ReactNode {
  return (
    <span className="tree-roll">
      <UrgentCounts counts={counts} />
      {all && counts.done > 0 && (
        <span className="count c-done">
          <Mark status="done" />
          {counts.done.toLocaleString()}
          <span className="hidden-text"> done</span>
        </span>
      )}
      {all && <span>{Math.round(share)} %</span>}
    </span>
  );
}

/** Tokens and cost of the node and everything below it. */
function Used({ fields, rollup }: { fields: Fields | undefined; rollup: Rollup | null }): ReactNode {
  const used = sumSpent(spentOf(fields), rollup?.spent ?? null);
  return used === null ? null : <Spending spent={used} />;
}

function Spent({ fields }: { fields: Fields | undefined }): ReactNode {
  const started = text(fields, "started_at");
  if (started === undefined) return <span className="tree-time" />;
  return (
    <span className="tree-time">
      {isEnded(fields?.status) ? <Took fields={fields} /> : <Going fields={fields} />}
    </span>
  );
}

function Took({ fields }: { fields: Fields | undefined }): ReactNode {
  const ms = spent(fields, 0);
  return ms === undefined ? null : duration(ms);
}

function Going({ fields }: { fields: Fields | undefined }): ReactNode {
  const ms = spent(fields, useNow());
  return ms === undefined ? null : duration(ms);
}
