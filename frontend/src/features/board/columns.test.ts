import { expect, it } from "vitest";
import { tree } from "../../../test/trees.ts";
import type { Fields } from "../../core/index.ts";
import { columns } from "./columns.ts";

const filled = (nodes: Record<string, Fields>, board: Parameters<typeof columns>[1] = "auto") =>
  Object.fromEntries(
    columns(tree(nodes), board)
      .filter((one) => one.ids.length > 0)
      .map((one) => [one.name, one.ids]),
  );

it("a run's leaves stand by what their status means", () => {
  expect(
    filled({ a: { status: "running" }, b: { parent_id: "a", status: "merged" }, c: { status: "whatever" } }),
  ).toEqual({ done: ["b"], waiting: ["c"] });
});

it("tasks stand in TaskTree's own columns", () => {
  const task = (status: string): Fields => ({ kind: "task", status });
  expect(
    filled({
      1: task("unclaimed"),
      2: task("in_progress"),
      3: task("queued_for_merge"),
      4: task("merged"),
      x: {},
    }),
  ).toEqual({
    unclaimed: ["1"],
    in_progress: ["2"],
    completed: ["3"],
    merged: ["4"],
  });
});

it("a status of no column has one of its own: nothing is left out", () => {
  expect(filled({ a: { kind: "task", status: "on_hold" } }, "tasks")).toEqual({ on_hold: ["a"] });
});
