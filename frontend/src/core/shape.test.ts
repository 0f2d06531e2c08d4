import fc from "fast-check";
import { expect, it } from "vitest";
import type { Fields } from "./json.ts";
import { Shape } from "./shape.ts";
import { CLASSES, classOf } from "./statuses.ts";

const ids = fc.constantFrom("a", "b", "c", "d", "e", "f");
const fields = fc.record(
  {
    parent_id: fc.oneof(ids, fc.constant("nobody"), fc.constant(7)),
    order: fc.integer({ min: 0, max: 3 }),
    status: fc.constantFrom("running", "completed", "failed", "draft"),
    progress: fc.integer({ min: -5, max: 120 }),
  },
  { requiredKeys: [] },
);
const trees = fc.dictionary(ids, fields, { noNullPrototype: true });
const nodesOf = (tree: Record<string, Fields>) => new Map(Object.entries(tree));

function descendants(shape: Shape, id: string): string[] {
  return shape.children(id).flatMap((child) => [child, ...descendants(shape, child)]);
}

it("every node is shown exactly once, whatever the parents say", () => {
  fc.assert(
    fc.property(trees, (tree) => {
      const shape = new Shape(nodesOf(tree));
      const met = shape.roots.flatMap((root) => [root, ...descendants(shape, root)]);
      expect([...met].sort()).toEqual(Object.keys(tree).sort());
    }),
  );
});

it("a roll-up counts everything below, also after changes", () => {
  fc.assert(
    fc.property(
      trees,
      fc.array(fc.tuple(ids, fc.constantFrom("running", "completed", "failed"))),
      (tree, changes) => {
        const nodes = nodesOf(tree);
        const shape = new Shape(nodes);
        for (const [id, status] of changes) {
          const before = nodes.get(id);
          if (before === undefined) continue;
          nodes.set(id, { ...before, status });
          shape.change(id, { ...before, status });
        }
        for (const id of nodes.keys()) {
          const below = descendants(shape, id);
          const expected = Object.fromEntries(CLASSES.map((one) => [one, 0]));
          for (const one of below) expected[classOf(nodes.get(one)?.status)]! += 1;
          expect(shape.rollup(id)?.counts ?? null).toEqual(below.length === 0 ? null : expected);
        }
        const all = Object.fromEntries(CLASSES.map((one) => [one, 0]));
        for (const { status } of nodes.values()) all[classOf(status)]! += 1;
        expect(shape.counts).toEqual(all);
      },
    ),
  );
});

it("a branch is done when all its leaves have ended", () => {
  const nodes = new Map<string, Fields>([
    ["top", {}],
    ["x", { parent_id: "top", status: "failed" }],
    ["y", { parent_id: "top", status: "running", progress: 50 }],
  ]);
  const shape = new Shape(nodes);
  expect(shape.rollup("top")?.progress).toBe(75);
  shape.change("y", { parent_id: "top", status: "completed" });
  expect(shape.rollup("top")?.progress).toBe(100);
});

it("siblings stand by order, then by id", () => {
  const nodes = new Map<string, Fields>([
    ["b", {}],
    ["a", {}],
    ["z", { order: 1 }],
    ["y", { order: 2 }],
  ]);
  expect(new Shape(nodes).roots).toEqual(["z", "y", "a", "b"]);
});
