import fc from "fast-check";
import { expect, it } from "vitest";
import { at } from "../../../test/runs.ts";
import { tree } from "../../../test/trees.ts";
import { earlierOf, mostAtOnce, RANKS, Survey, spanOf } from "./survey.ts";

it("what runs goes on; what never began has no time; a branch reaches from its first beginning to its last end", () => {
  const survey = new Survey(
    tree({
      all: {},
      a: at(1, 3, { parent_id: "all" }),
      b: at(2, null, { parent_id: "all" }),
      c: { status: "draft", parent_id: "all" },
    }),
  );
  const of = (id: string) => survey.place(id);
  expect(survey.ids).toEqual(["all", "a", "b", "c"]);
  expect([survey.from[of("a")], survey.to[of("a")]]).toEqual([1000, 3000]);
  expect([survey.from[of("b")], survey.to[of("b")]]).toEqual([2000, Number.POSITIVE_INFINITY]);
  expect(survey.from[of("c")]).toBeNaN();
  expect([survey.hullFrom[of("all")], survey.hullTo[of("all")]]).toEqual([1000, Number.POSITIVE_INFINITY]);
  expect([...survey.unit]).toEqual([0, 1, 1, 0]);
  expect([survey.first, survey.last]).toEqual([1000, 3000]);
});

it("a node that runs again, with the end of an earlier attempt, runs", () => {
  const survey = new Survey(tree({ again: { ...at(2, 1), status: "running" } }));
  expect([survey.from[0], survey.to[0]]).toEqual([2000, Number.POSITIVE_INFINITY]);
});

it("a node that ran and has one below that ran is no piece of work, one with others below is", () => {
  const survey = new Survey(
    tree({ a: at(0, 9), a1: at(1, 2, { parent_id: "a" }), b: at(0, 9), b1: { parent_id: "b" } }),
  );
  expect(survey.ids.filter((_, place) => survey.unit[place] === 1)).toEqual(["a1", "b"]);
});

it("the usual times are those of finished nodes of the same kind, once there are five", () => {
  const took = (seconds: number, more = {}) => at(0, seconds, { kind: "test", status: "completed", ...more });
  const some = { a: took(1), b: took(2), c: took(3), d: took(4), no: took(99, { status: "failed" }) };
  const survey = new Survey(tree({ ...some, plain: at(0, 1, { status: "completed" }) }));
  expect(survey.usual(survey.place("a"))).toBeNull();
  const more = new Survey(tree({ ...some, e: took(20), plain: at(0, 1, { status: "completed" }) }));
  expect(more.usual(more.place("a"))).toEqual({ p50: 3000, p95: 20_000 });
  expect(more.usual(more.place("no"))).toEqual({ p50: 3000, p95: 20_000 });
  expect(more.usual(more.place("plain"))).toBeNull();
});

it("a chain as deep as there are nodes is no trouble", () => {
  const chain = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, n) => [
      `n${n}`,
      at(n, n + 1, n === 0 ? {} : { parent_id: `n${n - 1}` }),
    ]),
  );
  const survey = new Survey(tree(chain));
  expect(survey.ids).toHaveLength(20_000);
  expect([...survey.unit].filter((one) => one === 1)).toHaveLength(1);
});

it("what failed is drawn last, on top", () => {
  expect(RANKS.at(-1)).toBe("failed");
});

it("counts how many pieces of work ran at once at most", () => {
  const some = fc.array(fc.tuple(fc.nat(50), fc.integer({ min: 1, max: 20 })), { maxLength: 40 });
  fc.assert(
    fc.property(some, (all) => {
      const survey = new Survey(
        tree(Object.fromEntries(all.map(([from, long], n) => [`n${n}`, at(from, from + long)]))),
      );
      const running = ([moment]: readonly [number, number]) =>
        all.filter(([from, long]) => from <= moment && from + long > moment).length;
      expect(mostAtOnce(survey)).toBe(Math.max(0, ...all.map(running)));
    }),
  );
});

it("attempts that ended are stretches of their own; a beginning that is theirs is not the present one's", () => {
  const failed = { status: "failed", ...at(1, 3) };
  const again = { ...at(5, null), ended_attempts: [failed] };
  const told = ({ from, to, rank }: ReturnType<typeof earlierOf>[number]) => [from, to, RANKS[rank]];
  expect(earlierOf(again).map(told)).toEqual([[1000, 3000, "failed"]]);
  expect(spanOf(again)).toEqual({ from: 5000, to: Number.POSITIVE_INFINITY });
  expect(spanOf({ ...at(1, 3), status: "ready", ended_attempts: [failed] })).toBeNull();
  const survey = new Survey(tree({ again, other: at(6, 7) }));
  expect([survey.first, survey.hullFrom[0], survey.from[0]]).toEqual([1000, 1000, 5000]);
});
