import { type ReactNode, useCallback, useMemo, useState } from "react";
import { type Attempt, attempts, type TreeStore } from "../../core/index.ts";
import { useTreeNode } from "../../react/hooks.ts";
import { Link } from "../../ui/link.tsx";
import { go, usePlace, withQuery } from "../../ui/location.ts";
import { type Between, LogPane } from "../../ui/log/LogPane.tsx";
import { within } from "../../ui/log/within.ts";
import { title } from "../../ui/nodes.ts";
import type { ViewProps } from "../../ui/view.ts";

type NodeLogProps = Pick<ViewProps, "project" | "tree" | "onSelect"> & {
  readonly nodeId: string;
  /** The seq of a line that the address names. */
  readonly wanted: number | null;
};

/** The attempt that the address names, and when it was; null: it names none that is known. */
function useAttempt(tree: TreeStore, nodeId: string): { attempt: Attempt; between: Between } | null {
  const named = Number(usePlace().query.get("attempt") ?? Number.NaN);
  const fields = useTreeNode(tree, nodeId)?.fields;
  return useMemo(() => {
    const all = fields === undefined ? [] : attempts(fields);
    const n = all.findIndex((one) => one.number === named && one.started !== undefined);
    const attempt = all[n];
    if (attempt?.started === undefined) return null;
    // Lines between two attempts belong to the one before.
    const to = all[n + 1]?.started ?? Number.POSITIVE_INFINITY;
    return { attempt, between: { from: n === 0 ? Number.NEGATIVE_INFINITY : attempt.started, to } };
  }, [fields, named]);
}

/** A node's output; of a branch that of everything below too, in order. */
export function NodeLog({ project, tree, nodeId, wanted, onSelect }: NodeLogProps): ReactNode {
  const branch = (useTreeNode(tree, nodeId)?.rollup ?? null) !== null;
  const [alone, setAlone] = useState(false);
  const below = useCallback((id: string | null) => within(tree, nodeId, id), [tree, nodeId]);
  const nameOf = useCallback((id: string) => title(id, tree.node(id)), [tree]);
  const all = branch && !alone;
  const chosen = useAttempt(tree, nodeId);
  return (
    <LogPane
      key={all ? "branch" : "node"}
      project={project}
      scope={all ? below : nodeId}
      name={nodeId}
      wanted={wanted}
      nameOf={all ? nameOf : null}
      onName={(seq) => go(withQuery({ tab: "log", line: String(seq) }), true)}
      onNode={onSelect}
      between={chosen?.between ?? null}
      notice={chosen !== null && <Only attempt={chosen.attempt} />}
    >
      {branch && (
        <button type="button" className="button" aria-pressed={alone} onClick={() => setAlone(!alone)}>
          Only its own
        </button>
      )}
    </LogPane>
  );
}

function Only({ attempt }: { attempt: Attempt }): ReactNode {
  return (
    <p>
      <Link href={withQuery({ attempt: null })}>Attempt {attempt.number} only: show all</Link>
    </p>
  );
}
