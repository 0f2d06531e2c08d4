import fc from "fast-check";
import { expect, it } from "vitest";
import { tree } from "../../../test/trees.ts";
import type { Fields } from "../../core/index.ts";
import { criticalPath, packed, type Span, spans, ticks } from "./spans.ts";

const at = (from: number, to: number | null, more: Fields = {}): Fields => ({
  started_at: new Date(from * 1000).toISOString(),
  ...(to === null ? { status: "running" } : { ended_at: new Date(to * 1000).toISOString() }),
  ...more,
});

it("what runs goes on until now; what never began does not stand there", () => {
  const all = spans(tree({ a: at(1, 3), b: at(2, null), c: { status: "draft" } }), 9_000, true);
  expect(all).toEqual([
    { id: "a", from: 1000, to: 3000, going: false },
    { id: "b", from: 2000, to: 9000, going: true },
  ]);
});

it("a node that runs again, with the end of an earlier attempt, runs", () => {
  const again = { ...at(2, 1), status: "running" };
  expect(spans(tree({ again }), 9_000, true)).toEqual([{ id: "again", from: 2000, to: 9000, going: true }]);
});

it("in a lane nothing overlaps, and there are no more lanes than ever run at once", () => {
  const some = fc.array(fc.tuple(fc.nat(50), fc.integer({ min: 1, max: 20 })), { maxLength: 40 });
  fc.assert(
    fc.property(some, (all) => {
      const sorted: Span[] = all
        .map(([from, length], n) => ({ id: String(n), from, to: from + length, going: false }))
        .sort((one, other) => one.from - other.from);
      const lanes = packed(sorted);
      for (const lane of lanes) {
        for (const [n, one] of lane.entries()) expect(one.from).toBeGreaterThanOrEqual(lane[n - 1]?.to ?? 0);
      }
      const most = Math.max(
        0,
        ...sorted.map(({ from }) => sorted.filter((one) => one.from <= from && one.to > from).length),
      );
      expect(lanes.length).toBe(most);
    }),
  );
});

it("the critical path is the chain of dependencies that ended last, and does not run in circles", () => {
  const nodes = {
    a: at(0, 2),
    b: at(0, 5),
    c: at(5, 7, { depends_on: ["a", "b"] }),
    d: at(7, 9, { depends_on: ["c", "d"] }),
    alone: at(0, 99),
  };
  const snapshot = tree(nodes);
  expect([...criticalPath(snapshot, spans(snapshot, 0, true))].sort()).toEqual(["b", "c", "d"]);
});

it("an axis has round moments, about as many as asked for", () => {
  expect(ticks(0, 10_000, 5)).toEqual([0, 2000, 4000, 6000, 8000, 10_000]);
  expect(ticks(0, 400 * 86_400_000, 4).length).toBeLessThanOrEqual(6);
});
