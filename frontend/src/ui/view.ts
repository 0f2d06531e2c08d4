import type { Project, TreeStore } from "../core/index.ts";

/** What every view of a project is given. */
export interface ViewProps {
  readonly projectId: string;
  /** The tree to show: as it is now, or as it was. */
  readonly tree: TreeStore;
  readonly project: Project;
  readonly selected: string | null;
  /** Choose a node, or none. `replace`: Back does not return to the one that was chosen before. */
  readonly onSelect: (nodeId: string | null, replace?: boolean) => void;
  /** Whether the tree is of the past. */
  readonly past: boolean;
}
