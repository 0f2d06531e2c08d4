import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { CLASSES, type Shape, type StatusClass, type TreeSnapshot, type TreeStore } from "../core/index.ts";

/** Who is shown where; another object only when that is another. */
export function useShape(tree: TreeStore): Shape {
  return useSyncExternalStore(
    tree.subscribe,
    () => tree.get().shape,
    () => tree.get().shape,
  );
}

export type Counts = Readonly<Record<StatusClass, number>>;

/** How many nodes there are of each class; another object only when a number is another. */
export function useCounts(tree: TreeStore): Counts {
  const last = useRef<Counts | null>(null);
  const get = useCallback(() => {
    const { counts } = tree.get().shape;
    const before = last.current;
    if (before === null || CLASSES.some((one) => counts[one] !== before[one])) last.current = { ...counts };
    return last.current as Counts;
  }, [tree]);
  return useSyncExternalStore(tree.subscribe, get, get);
}

const REST = 8;

/**
 * The tree for what looks at all of it: another one at most every `least` ms, and no oftener than leaves seven eighths of
 * the time to everything else.
 */
export function useSnapshot(tree: TreeStore, least = 250): TreeSnapshot {
  const [snapshot, setSnapshot] = useState(() => tree.get());
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = 0;
    let cost = 0;
    const look = () => {
      timer = undefined;
      last = performance.now();
      setSnapshot(tree.get());
      // What it takes to draw shows in how late the next task comes.
      setTimeout(() => {
        cost = performance.now() - last;
      });
    };
    const told = () => {
      if (timer !== undefined) return;
      const wait = Math.max(0, last + Math.max(least, cost * REST) - performance.now());
      timer = setTimeout(look, wait);
    };
    look();
    const end = tree.subscribe(told);
    return () => {
      end();
      clearTimeout(timer);
    };
  }, [tree, least]);
  return snapshot;
}
