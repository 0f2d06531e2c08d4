import { expect, it } from "vitest";
import { type Fields, TreeStore } from "../../core/index.ts";
import { within } from "./within.ts";

function store(nodes: Record<string, Fields>): TreeStore {
  const made = new TreeStore("p", (run) => run());
  const { top } = made.get();
  const position = { epoch: "e", seq: 1 };
  made.take({ kind: "state", topic: "p", position, reason: "initial", top, nodes: Object.entries(nodes) });
  return made;
}

it("a node is in its own branch and in those of all above it, and circles end", () => {
  const tree = store({
    a: {},
    b: { parent_id: "a" },
    c: { parent_id: "b" },
    x: { parent_id: "y" },
    y: { parent_id: "x" },
  });
  expect([within(tree, "a", "a"), within(tree, "a", "c"), within(tree, "b", "c")]).toEqual([
    true,
    true,
    true,
  ]);
  expect([within(tree, "c", "a"), within(tree, "a", "x"), within(tree, "y", "x")]).toEqual([
    false,
    false,
    true,
  ]);
  expect([within(tree, "a", null), within(tree, "a", "nobody")]).toEqual([false, false]);
});
