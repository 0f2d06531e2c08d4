import { type Fields, type TreeSnapshot, TreeStore } from "../src/core/index.ts";

/** A tree of these nodes, as the views are given it. */
export function tree(nodes: Record<string, Fields>): TreeSnapshot {
  const store = new TreeStore("p", (run) => run());
  const { top } = store.get();
  const position = { epoch: "e", seq: 1 };
  store.take({ kind: "state", topic: "p", position, reason: "initial", top, nodes: Object.entries(nodes) });
  return store.get();
}
