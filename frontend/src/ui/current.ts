/** The project that the page shows, for what stands outside of it. */
import { useEffect } from "react";
import { Cell, type TreeStore } from "../core/index.ts";

export interface Current {
  readonly projectId: string;
  /** What is shown of it: its tree now, or as it was. */
  readonly tree: TreeStore;
}

export const CURRENT = new Cell<Current | null>(null);

/** This project is what the page shows, for as long as the component is there. */
export function useAsCurrent(projectId: string, tree: TreeStore): void {
  useEffect(() => {
    const mine = { projectId, tree };
    CURRENT.set(mine);
    return () => {
      if (CURRENT.get() === mine) CURRENT.set(null);
    };
  }, [projectId, tree]);
}
