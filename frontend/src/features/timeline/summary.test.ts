import fc from "fast-check";
import { expect, it } from "vitest";
import { at } from "../../../test/runs.ts";
import { tree } from "../../../test/trees.ts";
import { Columns, ticks, unitAt } from "./summary.ts";
import { RANKS, Survey } from "./survey.ts";

const FAILED = RANKS.indexOf("failed");
const DONE = RANKS.indexOf("done");
const scale = { from: 0, to: 100_000, width: 100 };

it("a branch comes to the columns in which anything of each class ran", () => {
  const survey = new Survey(
    tree({
      all: at(0, 99),
      a: at(10, 20, { parent_id: "all", status: "completed" }),
      b: at(15, 30, { parent_id: "all", status: "completed" }),
      c: at(50, null, { parent_id: "all" }),
      bad: at(60, 60, { parent_id: "all", status: "failed" }),
    }),
  );
  const columns = new Columns();
  columns.count(survey, 0, scale, 80_000);
  expect(columns.stretches(DONE)).toEqual([{ left: 10, right: 30 }]);
  expect(columns.stretches(RANKS.indexOf("running"))).toEqual([{ left: 50, right: 80 }]);
  expect(columns.stretches(FAILED)).toEqual([{ left: 60, right: 63 }]);
  columns.count(survey, 0, { from: 22_000, to: 42_000, width: 100 }, 80_000);
  expect(columns.stretches(DONE)).toEqual([{ left: 0, right: 40 }]);
  expect(columns.stretches(FAILED)).toEqual([]);
});

it("one failed among any number of others is at least three columns wide, wherever it is", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1_000), { maxLength: 50 }), fc.nat(990), (others, from) => {
      const nodes = Object.fromEntries(
        others.map((one, n) => [`n${n}`, at(one, one + 5, { status: "completed" })]),
      );
      const survey = new Survey(tree({ ...nodes, bad: at(from, from, { status: "failed" }) }));
      const columns = new Columns();
      columns.count(survey, -1, { from: 0, to: 1_000_000, width: 300 }, 0);
      const [{ left, right } = { left: 0, right: 0 }] = columns.stretches(FAILED);
      expect(right - left).toBeGreaterThanOrEqual(3);
    }),
  );
});

it("of several at one place the one that failed is found", () => {
  const survey = new Survey(
    tree({
      all: {},
      a: at(0, 50, { parent_id: "all", status: "completed" }),
      bad: at(20, 30, { parent_id: "all", status: "failed" }),
    }),
  );
  const found = (time: number) => survey.ids[unitAt(survey, 0, time, 1000, 0)];
  expect([found(25_000), found(31_000), found(40_000), found(60_000)]).toEqual([
    "bad",
    "bad",
    "a",
    undefined,
  ]);
});

it("an axis has round moments, about as many as asked for", () => {
  expect(ticks(0, 10_000, 5)).toEqual([0, 2000, 4000, 6000, 8000, 10_000]);
  expect(ticks(0, 400 * 86_400_000, 4).length).toBeLessThanOrEqual(6);
});
