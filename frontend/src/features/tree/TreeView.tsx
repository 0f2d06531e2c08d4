import { type ReactNode, useEffect, useMemo, useState } from "react";
import { FilterFields } from "../../ui/FilterFields.tsx";
import { FoldButtons, SortField, useLook } from "../../ui/look.tsx";
import { useShape, useSnapshot } from "../../ui/looking.ts";
import { title } from "../../ui/nodes.ts";
import { CopyButton } from "../../ui/parts.tsx";
import { looksAtFields, newestRunning, rows } from "../../ui/rows.ts";
import { TreeLines, type TreeLinesProps } from "../../ui/TreeLines.tsx";
import { useMoment } from "../../ui/time.ts";
import type { ViewProps } from "../../ui/view.ts";

export default function TreeView({ projectId, tree, selected, onSelect }: ViewProps): ReactNode {
  const { look, keep } = useLook(projectId);
  const [follow, setFollow] = useFollow();
  const Lines = looksAtFields(look) ? LookingLines : PlainLines;
  const path = selected === null ? [] : tree.get().shape.path(selected);
  return (
    <>
      <div className="toolbar" role="toolbar" aria-label="Tree">
        <FilterFields tree={tree}>
          <SortField />
          <FoldButtons tree={tree} keep={keep} />
          {path.length > 0 && (
            <CopyButton label="Copy path" text={path.map((id) => title(id, tree.node(id))).join(" / ")} />
          )}
        </FilterFields>
        <button
          type="button"
          className="button tree-follow"
          aria-pressed={follow}
          onClick={() => setFollow(!follow)}
        >
          Follow <span className="tree-followed">what runs</span>
        </button>
      </div>
      {follow && <Follower tree={tree} onSelect={onSelect} />}
      <Lines tree={tree} look={look} selected={selected} onSelect={onSelect} keep={keep} />
    </>
  );
}

const DONE_BY_HAND = ["wheel", "touchmove", "pointerdown", "keydown"] as const;

/** Whether what runs is followed: only until the person does anything, or it would jump while one reads. */
function useFollow(): [boolean, (follow: boolean) => void] {
  const [follow, setFollow] = useState(false);
  useEffect(() => {
    if (!follow) return;
    const end = (event: Event) => {
      // The button turns it off by itself.
      const pressed = !(event instanceof KeyboardEvent) || event.key === "Enter" || event.key === " ";
      const on = event.target instanceof Element && event.target.closest(".tree-follow") !== null;
      if (!(pressed && on)) setFollow(false);
    };
    for (const one of DONE_BY_HAND) window.addEventListener(one, end, { passive: true });
    return () => {
      for (const one of DONE_BY_HAND) window.removeEventListener(one, end);
    };
  }, [follow]);
  return [follow, setFollow];
}

/** Selects whatever runs, as it begins. */
function Follower({ tree, onSelect }: Pick<ViewProps, "tree" | "onSelect">): ReactNode {
  const snapshot = useSnapshot(tree, 400);
  const id = newestRunning(snapshot);
  useEffect(() => {
    if (id !== null) onSelect(id, true);
  }, [id, onSelect]);
  return null;
}

/** Who is shown where is all that counts: not drawn again when fields change. */
function PlainLines(props: Omit<TreeLinesProps, "all">): ReactNode {
  const shape = useShape(props.tree);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape is what changes
  const all = useMemo(() => rows(props.tree.get(), props.look), [props.tree, props.look, shape]);
  return <TreeLines {...props} all={all} />;
}

/** A filter or a sort looks at the fields of all nodes. */
function LookingLines(props: Omit<TreeLinesProps, "all">): ReactNode {
  const snapshot = useSnapshot(props.tree);
  const now = useMoment();
  const all = useMemo(() => rows(snapshot, props.look, now()), [snapshot, props.look, now]);
  return <TreeLines {...props} all={all} />;
}
