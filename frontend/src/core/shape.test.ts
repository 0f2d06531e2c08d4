import fc from "fast-check";
import { expect, it } from "vitest";
import type { Fields } from "./json.ts";
import { Shape } from "./shape.ts";
import { CLASSES, classOf } from "./statuses.ts";
import { spent, TOKENS } from "./usage.ts";

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

const counts = fc.oneof(fc.integer({ min: -2, max: 50 }), fc.constantFrom(0.5, "5", null, 10 ** 10));
const spending = fc.record(
  {
    usage: fc.oneof(
      fc.dictionary(fc.constantFrom(...TOKENS, "other"), counts, { noNullPrototype: true }),
      fc.constantFrom("much", null, 5),
    ),
    cost_usd: fc.oneof(fc.constantFrom(0.1, 0.25, 3, 0.000001, -1, "1"), fc.nat(5)),
    ended_usage: fc.record({ input_tokens: fc.nat(9), total_tokens: fc.nat(9), cost_usd: fc.nat(2) }),
    status: fc.constantFrom("running", "failed"),
  },
  { requiredKeys: [] },
);

it("tokens and cost sum up to what adding everything up gives, also after changes", () => {
  fc.assert(
    fc.property(trees, fc.array(fc.tuple(ids, spending)), (tree, changes) => {
      const nodes = nodesOf(tree);
      const shape = new Shape(nodes);
      for (const [id, fields] of changes) {
        const before = nodes.get(id);
        if (before === undefined) continue;
        const { usage: _, cost_usd: __, ended_usage: ___, ...rest } = before;
        nodes.set(id, { ...rest, ...fields });
        shape.change(id, { ...rest, ...fields });
      }
      const added = (all: Iterable<string>) => {
        const sums = [0, 0, 0, 0, 0, 0, 0];
        for (const id of all)
          for (const [at, count] of (spent(nodes.get(id)) ?? []).entries()) sums[at]! += count;
        return sums.some((one) => one > 0) ? sums : null;
      };
      expect(shape.spent).toEqual(added(nodes.keys()));
      for (const id of nodes.keys()) {
        const below = descendants(shape, id);
        expect(shape.rollup(id)?.spent ?? null).toEqual(added(below));
        expect(shape.spentIn(id)).toEqual(added([id, ...below]));
      }
      const anew = new Shape(nodes);
      for (const id of nodes.keys()) expect(anew.spentIn(id)).toEqual(shape.spentIn(id));
    }),
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
