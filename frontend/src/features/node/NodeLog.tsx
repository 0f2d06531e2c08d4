import { type ReactNode, useCallback, useState } from "react";
import { useTreeNode } from "../../react/hooks.ts";
import { go, withQuery } from "../../ui/location.ts";
import { LogPane } from "../../ui/log/LogPane.tsx";
import { within } from "../../ui/log/within.ts";
import { title } from "../../ui/nodes.ts";
import type { ViewProps } from "../../ui/view.ts";

type NodeLogProps = Pick<ViewProps, "project" | "tree" | "onSelect"> & {
  readonly nodeId: string;
  /** The seq of a line that the address names. */
  readonly wanted: number | null;
};

/** A node's output; of a branch that of everything below too, in order. */
export function NodeLog({ project, tree, nodeId, wanted, onSelect }: NodeLogProps): ReactNode {
  const branch = (useTreeNode(tree, nodeId)?.rollup ?? null) !== null;
  const [alone, setAlone] = useState(false);
  const below = useCallback((id: string | null) => within(tree, nodeId, id), [tree, nodeId]);
  const nameOf = useCallback((id: string) => title(id, tree.node(id)), [tree]);
  const all = branch && !alone;
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
    >
      {branch && (
        <button type="button" className="button" aria-pressed={alone} onClick={() => setAlone(!alone)}>
          Only its own
        </button>
      )}
    </LogPane>
  );
}
