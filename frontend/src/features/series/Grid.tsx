import { type KeyboardEvent, memo, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { classOf } from "../../core/index.ts";
import { go, projectAddress } from "../../ui/location.ts";
import { Mark } from "../../ui/parts.tsx";
import { runName, stateOf } from "../../ui/projects.ts";
import { duration, full, useNow } from "../../ui/time.ts";
import { gridOf, type Run, type RunNode, time, took } from "./runs.ts";

/** So many nodes are shown before a person asks for more. */
const ROWS = 30;

interface Props {
  readonly runs: readonly Run[];
  readonly chosen: Run | undefined;
  readonly usual: number | undefined;
  readonly onChoose: (run: Run) => void;
}

/** Runs from left to right, the newest last; nodes at the top from above. The arrow keys go from cell to cell. */
export function Grid({ runs, chosen, usual, onChoose }: Props): ReactNode {
  const rows = useMemo(() => gridOf(runs), [runs]);
  const [all, setAll] = useState(false);
  const [at, setAt] = useState({
    row: 0,
    column: Math.max(0, chosen === undefined ? 0 : runs.indexOf(chosen)),
  });
  const table = useRef<HTMLTableElement>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Where not all of them find room, the newest are in view.
    if (box.current !== null) box.current.scrollLeft = box.current.scrollWidth;
  }, []);
  const shown = all ? rows : rows.slice(0, ROWS);
  const move = (event: KeyboardEvent) => {
    const to = moved(event.key, at, shown.length, runs.length - 1);
    if (to === null) return;
    event.preventDefault();
    setAt(to);
    table.current?.querySelector<HTMLElement>(`[data-cell="${to.row},${to.column}"]`)?.focus();
  };
  const stop = (row: number, column: number) => (at.row === row && at.column === column ? 0 : -1);
  return (
    <div className="series-scroll" ref={box} role="group" aria-label="Runs" onKeyDown={move}>
      <table className="series-grid" aria-label="Runs and their nodes" ref={table}>
        <tbody>
          <tr className="series-runs">
            <th scope="row">run</th>
            {runs.map((run, column) => (
              <td
                key={run.project_id}
                className={`c-${classOf(stateOf(run))}${run === chosen ? " chosen" : ""}`}
              >
                <RunCell
                  run={run}
                  usual={usual}
                  pressed={run === chosen}
                  tabIndex={stop(0, column)}
                  cell={`0,${column}`}
                  onPick={() => {
                    setAt({ row: 0, column });
                    onChoose(run);
                  }}
                />
              </td>
            ))}
          </tr>
          {shown.map(({ nodeId, title, cells }, row) => (
            <tr key={nodeId}>
              <th scope="row" title={nodeId}>
                <bdi>{title}</bdi>
              </th>
              {cells.map((node, column) => (
                <td key={runs[column]?.project_id} className={runs[column] === chosen ? "chosen" : ""}>
                  <NodeCell
                    node={node}
                    title={title}
                    run={runs[column] as Run}
                    tabIndex={stop(row + 1, column)}
                    cell={`${row + 1},${column}`}
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown.length && (
        <button type="button" className="button" onClick={() => setAll(true)}>
          {rows.length - shown.length} more nodes
        </button>
      )}
    </div>
  );
}

function moved(key: string, at: { row: number; column: number }, rows: number, columns: number) {
  const { row, column } = at;
  switch (key) {
    case "ArrowLeft":
      return { row, column: Math.max(0, column - 1) };
    case "ArrowRight":
      return { row, column: Math.min(columns, column + 1) };
    case "ArrowUp":
      return { row: Math.max(0, row - 1), column };
    case "ArrowDown":
      return { row: Math.min(rows, row + 1), column };
    case "Home":
      return { row, column: 0 };
    case "End":
      return { row, column: columns };
    default:
      return null;
  }
}

/** A bar as high as the run took long, with a line at the usual time. */
function RunCell({
  run,
  usual,
  pressed,
  tabIndex,
  cell,
  onPick,
}: {
  run: Run;
  usual: number | undefined;
  pressed: boolean;
  tabIndex: number;
  cell: string;
  onPick: () => void;
}): ReactNode {
  const now = useNow();
  const ms = took(run.overview, now);
  const most = (usual ?? ms ?? 0) * 2;
  const height = ms === undefined || most === 0 ? 0 : Math.min(1, ms / most);
  const began = time(run.overview?.started_at);
  const words = [
    runName(run),
    stateOf(run) ?? "no status",
    ...(ms === undefined ? [] : [duration(ms)]),
    ...(began === undefined ? [] : [full(began)]),
  ].join(", ");
  return (
    <button
      type="button"
      className="series-run"
      aria-pressed={pressed}
      title={words}
      tabIndex={tabIndex}
      data-cell={cell}
      onClick={onPick}
    >
      <span className="hidden-text">{words}</span>
      <svg viewBox="0 0 10 40" preserveAspectRatio="none" aria-hidden="true" className="series-bar">
        <rect x="1" y={40 - height * 40} width="8" height={Math.max(height * 40, 1)} fill="var(--tone)" />
        {usual !== undefined && (
          <rect x="0" y="19.5" width="10" height="1" fill="var(--text)" opacity="0.45" />
        )}
      </svg>
      <Mark status={stateOf(run)} />
    </button>
  );
}

const NodeCell = memo(function NodeCell({
  node,
  title,
  run,
  tabIndex,
  cell,
}: {
  node: RunNode | null;
  title: string;
  run: Run;
  tabIndex: number;
  cell: string;
}): ReactNode {
  if (node === null)
    return (
      <span className="series-none" tabIndex={tabIndex} data-cell={cell}>
        <span className="hidden-text">
          {title} is not in {runName(run)}
        </span>
      </span>
    );
  const ms = took(node);
  const words = [
    title,
    runName(run),
    node.status ?? "no status",
    ...(ms === undefined ? [] : [duration(ms)]),
    ...(node.message === null ? [] : [node.message]),
  ].join(", ");
  const address = projectAddress(run.project_id, "tree", node.node_id);
  return (
    <a
      href={address}
      className={`series-node c-${classOf(node.status)}`}
      title={words}
      tabIndex={tabIndex}
      data-cell={cell}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return;
        event.preventDefault();
        go(address);
      }}
    >
      <Mark status={node.status} />
      <span className="hidden-text">{words}</span>
    </a>
  );
});
