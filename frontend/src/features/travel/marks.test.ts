import { expect, it } from "vitest";
import type { StoredEvent } from "../../core/index.ts";
import { markOf, placed } from "./marks.ts";

const event = (type: string, data: Record<string, unknown>): StoredEvent => ({
  type,
  data,
  project_id: "p",
  timestamp: "2026-01-01T00:00:00Z",
  seq: 7,
  epoch: "e",
});

it.each([
  ["node_update", { node_id: "a", changes: { status: "failed" } }, "failed"],
  ["state_transition", { to: "error" }, "failed"],
  ["task_status_changed", { task_id: "a", status: "timeout" }, "failed"],
  ["orchestrator_error", { error: "gone" }, "failed"],
  ["prompt", { prompt_id: "a" }, "review"],
  ["node_update", { node_id: "a", changes: { status: "running" } }, undefined],
  ["node_update", { node_id: "a", changes: "failed" }, undefined],
  ["log", { level: "error", status: "failed" }, undefined],
])("%s with %j marks %s", (type, data, kind) => {
  expect(markOf(event(type, data))?.kind).toBe(kind);
});

it("of marks at one place a failure is shown", () => {
  const marks = [
    { seq: 1, kind: "review" },
    { seq: 2, kind: "failed" },
    { seq: 900, kind: "review" },
  ] as const;
  expect(placed(marks, 0, 1_000)).toEqual([
    { seq: 2, kind: "failed", at: 0 },
    { seq: 900, kind: "review", at: 90 },
  ]);
});
