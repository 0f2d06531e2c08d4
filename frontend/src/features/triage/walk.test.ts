import { expect, it } from "vitest";
import { tree } from "../../../test/trees.ts";
import type { StatusClass } from "../../core/index.ts";
import { NO_FILTER } from "../../ui/filter.ts";
import { placeOf, step, walked } from "./walk.ts";

const SNAPSHOT = tree({
  a: { status: "running" },
  a1: { parent_id: "a", status: "failed" },
  a2: { parent_id: "a", status: "completed" },
  b: { status: "failed", title: "Beta" },
  c: { status: "completed" },
});
const FAILED = { search: "", classes: new Set<StatusClass>(["failed"]) };
const next = (from: string | null) => step(SNAPSHOT, FAILED, "order", from, 1);
const previous = (from: string | null) => step(SNAPSHOT, FAILED, "order", from, -1);

it("next is the first one below, in the order of the tree, and begins anew after the last", () => {
  expect(next(null)).toEqual({ id: "a1", place: 1, of: 2 });
  expect(next("a1")?.id).toBe("b");
  expect(next("a2")?.id).toBe("b");
  expect(next("b")?.id).toBe("a1");
  expect(next("c")?.id).toBe("a1");
});

it("previous is the first one above, and begins anew before the first", () => {
  expect(previous(null)).toEqual({ id: "b", place: 2, of: 2 });
  expect(previous("b")?.id).toBe("a1");
  expect(previous("c")?.id).toBe("b");
  expect(previous("a1")?.id).toBe("b");
  expect(previous("a")?.id).toBe("b");
});

it("a filter that finds nothing leads nowhere", () => {
  const none = { search: "no such", classes: new Set<StatusClass>() };
  expect(step(SNAPSHOT, none, "order", null, 1)).toBeNull();
});

it("tells where a node is among those that are gone through", () => {
  expect(placeOf(SNAPSHOT, FAILED, "order", "b")).toEqual({ id: "b", place: 2, of: 2 });
  expect(placeOf(SNAPSHOT, FAILED, "order", "c")).toBeNull();
});

it("goes through what is filtered, else through the most urgent that there is", () => {
  const counts = { running: 3, review: 0, failed: 0, waiting: 0, done: 0, cancelled: 0 };
  expect(walked(FAILED, counts)).toBe(FAILED);
  expect([...(walked(NO_FILTER, { ...counts, failed: 1 })?.classes ?? [])]).toEqual(["failed"]);
  expect([...(walked(NO_FILTER, counts)?.classes ?? [])]).toEqual(["running"]);
  expect(walked(NO_FILTER, { ...counts, running: 0 })).toBeNull();
});
