import fc from "fast-check";
import { expect, it } from "vitest";
import { tree } from "../../../test/trees.ts";
import { AMOUNTS, cut, picked } from "./picked.ts";

const wide = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, n) => [
      `n${n}`,
      n === 0 ? {} : { parent_id: `n${Math.floor((n - 1) / 30)}`, status: n === 20 ? "failed" : "completed" },
    ]),
  );

it("never draws more than a few hundred, whatever is focused", () => {
  const snapshot = tree(wide(5000));
  fc.assert(
    fc.property(fc.nat(4999), fc.constantFrom(...AMOUNTS), (n, most) => {
      expect(picked(snapshot, `n${n}`, most).spots.length).toBeLessThanOrEqual(most + 110);
    }),
    { numRuns: 40 },
  );
});

it("what is not drawn of siblings is counted in a cluster, and failures are drawn first", () => {
  const { spots } = picked(tree(wide(31)), null);
  expect(spots.some((one) => one.id === "n20")).toBe(true);
  const cluster = spots.find((one) => one.kind === "cluster");
  expect(cluster).toMatchObject({ parent: "n0", hidden: 22, counts: { done: 22, failed: 0 } });
});

it("around a node stand its ancestors, what it needs and what needs it", () => {
  const nodes = {
    top: {},
    x: { parent_id: "top", depends_on: ["y"] },
    y: {},
    z: { depends_on: ["x"] },
    far: {},
  };
  const { spots, depends } = picked(tree(nodes), "x");
  expect(spots.map((one) => one.id).sort()).toEqual(["top", "x", "y", "z"]);
  expect([...depends].sort()).toEqual([
    ["x", "z"],
    ["y", "x"],
  ]);
});

it("a cluster that is opened shows more of its nodes each time, until none is left", () => {
  const snapshot = tree(wide(31));
  const drawn = (times: number) =>
    picked(snapshot, null, AMOUNTS[0], new Map([["cluster of n0", times]])).spots;
  const nodes = (times: number) => drawn(times).filter((one) => one.kind === "node").length;
  expect([nodes(0), nodes(1), nodes(2)]).toEqual([9, 25, 31]);
  expect(drawn(1).find((one) => one.kind === "cluster")).toMatchObject({ hidden: 6 });
  expect(drawn(2).some((one) => one.kind === "cluster")).toBe(false);
});

it("names that begin alike are told apart by their ends", () => {
  expect(cut("short")).toBe("short");
  expect(cut("tests/integration/test_users.py::test_login")).toBe("tests/in…est_login");
  expect(cut("tests/integration/test_users.py::test_logout")).toBe("tests/in…st_logout");
});
