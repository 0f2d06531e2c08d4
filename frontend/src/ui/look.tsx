/** How the views that show rows of the tree look at it: filter and order of the address, and what is collapsed. */
import { type ReactNode, useCallback, useMemo, useState } from "react";
import type { TreeStore } from "../core/index.ts";
import { useFilter } from "./filter.ts";
import { type Look, SORTS, type Sort } from "./rows.ts";
import { useWord } from "./words.ts";

/** What is collapsed in which project, for as long as the page is open. */
const collapsedIn = new Map<string, ReadonlySet<string>>();
const NO_NODES: ReadonlySet<string> = new Set();

function useSort(): [Sort, (sort: Sort) => void] {
  const [by, setBy] = useWord("sort");
  const sort = SORTS.find((one) => one === by) ?? "order";
  return [sort, (next) => setBy(next === "order" ? "" : next)];
}

/** The look of a project's tree; the same in each of its views. */
export function useLook(projectId: string): {
  readonly look: Look;
  readonly keep: (collapsed: ReadonlySet<string>) => void;
} {
  const [collapsed, setCollapsed] = useState(() => collapsedIn.get(projectId) ?? NO_NODES);
  const filter = useFilter();
  const [sort] = useSort();
  const look = useMemo(() => ({ collapsed, filter, sort }), [collapsed, filter, sort]);
  const keep = useCallback(
    (next: ReadonlySet<string>) => {
      collapsedIn.set(projectId, next);
      setCollapsed(next);
    },
    [projectId],
  );
  return { look, keep };
}

export function SortField(): ReactNode {
  const [sort, setSort] = useSort();
  return (
    <select
      className="input"
      aria-label="Sort by"
      value={sort}
      onChange={({ target }) => setSort(target.value as Sort)}
    >
      {SORTS.map((one) => (
        <option key={one} value={one}>
          {one === "order" ? "in order" : `by ${one}`}
        </option>
      ))}
    </select>
  );
}

interface FoldButtonsProps {
  readonly tree: TreeStore;
  readonly keep: (collapsed: ReadonlySet<string>) => void;
}

export function FoldButtons({ tree, keep }: FoldButtonsProps): ReactNode {
  return (
    <>
      <button type="button" className="button" onClick={() => keep(branches(tree))}>
        Collapse all
      </button>
      <button type="button" className="button" onClick={() => keep(NO_NODES)}>
        Expand all
      </button>
    </>
  );
}

function branches(tree: TreeStore): ReadonlySet<string> {
  const { nodes, shape } = tree.get();
  const found = new Set<string>();
  for (const id of nodes.keys()) if (shape.children(id).length > 0) found.add(id);
  return found;
}
