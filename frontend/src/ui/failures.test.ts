import fc from "fast-check";
import { expect, it } from "vitest";
import { tree } from "../../test/trees.ts";
import type { Fields } from "../core/index.ts";
import { begun, begunBelow, dependents, grouped, heldUp } from "./failures.ts";

const at = (second: number) => ({ status: "failed", ended_at: new Date(second * 1000).toISOString() });
const ids = (all: readonly { id: string }[]) => all.map((one) => one.id);

it("failures begin where nothing below failed, and the first in time comes first", () => {
  const snapshot = tree({
    top: at(9),
    mid: { parent_id: "top", status: "running" },
    late: { parent_id: "mid", ...at(7) },
    early: { parent_id: "top", ...at(3) },
    never: { status: "failed" },
    well: { status: "completed" },
  });
  expect(ids(begun(snapshot))).toEqual(["early", "late", "never"]);
  expect(ids(begunBelow(snapshot, "top"))).toEqual(["early", "late"]);
  expect(ids(begunBelow(snapshot, "mid"))).toEqual(["late"]);
  expect(begunBelow(snapshot, "late")).toEqual([]);
});

it("messages that differ in numbers and ids alone are one group", () => {
  const snapshot = tree({
    a: { ...at(2), message: "timed out after 10 s: job 7f3a9c21bb" },
    b: { ...at(1), message: "timed out after 12.5 s: job 00aa11bb22" },
    c: { ...at(3), message: "disk full" },
    d: at(4),
  });
  const groups = grouped(begun(snapshot)).map((one) => [one.message, ids(one.failed)]);
  expect(groups).toEqual([
    ["timed out after 12.5 s: job 00aa11bb22", ["b", "a"]],
    ["disk full", ["c"]],
    ["", ["d"]],
  ]);
});

const NODES: Record<string, Fields> = {
  fetch: { status: "failed" },
  "fetch/1": { parent_id: "fetch", ...at(1) },
  write: { status: "pending", depends_on: ["fetch"] },
  "write/1": { parent_id: "write", depends_on: ["fetch/1"], status: "cancelled" },
  publish: { status: "pending", depends_on: ["write"] },
  archive: { status: "completed", depends_on: ["fetch"] },
  after: { status: "pending", depends_on: ["archive"] },
};

it("holds up what depends on it, on the branch that failed with it, and on those in turn", () => {
  const snapshot = tree(NODES);
  expect(heldUp(snapshot, dependents(snapshot), ["fetch/1"])).toEqual(["write/1", "write", "publish"]);
});

it("what holds itself up in a circle ends, and a cause is no effect", () => {
  const snapshot = tree({
    a: { ...at(1), depends_on: ["c"] },
    b: { status: "pending", depends_on: ["a"] },
    c: { status: "pending", depends_on: ["b"] },
  });
  expect(heldUp(snapshot, dependents(snapshot), ["a"])).toEqual(["b", "c"]);
});

it("each node is named once, and none that ended well", () => {
  const names = ["a", "b", "c", "d", "e"];
  const some = fc.record({
    status: fc.constantFrom("failed", "completed", "pending"),
    depends_on: fc.subarray(names),
    parent_id: fc.option(fc.constantFrom(...names), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.tuple(some, some, some, some, some), (all) => {
      const snapshot = tree(Object.fromEntries(names.map((name, n) => [name, all[n] as Fields])));
      const found = heldUp(snapshot, dependents(snapshot), ids(begun(snapshot)));
      expect(new Set(found).size).toBe(found.length);
      for (const id of found) expect(snapshot.nodes.get(id)?.status).not.toBe("completed");
    }),
  );
});
