import { expect, it } from "vitest";
import type { Fields } from "../../core/index.ts";
import { differences } from "./differences.ts";

const nodes = (all: Record<string, Fields>) => new Map(Object.entries(all));

it("tells what turned, the most urgent first, what came, what went, and which fields are others", () => {
  const before = nodes({
    a: { status: "running" },
    b: { status: "running", progress: 1 },
    c: { status: "running", labels: ["x"] },
    d: { status: "completed", message: "well" },
    e: { title: "gone" },
  });
  const now = nodes({
    a: { status: "completed" },
    b: { status: "failed", progress: 2 },
    c: { status: "running", labels: ["x"] },
    d: { status: "completed", message: "better", progress: 100 },
    f: { status: "draft" },
  });
  expect(differences(before, now)).toEqual({
    turned: [
      { id: "b", from: "running", to: "failed" },
      { id: "a", from: "running", to: "completed" },
    ],
    came: ["f"],
    went: [["e", { title: "gone" }]],
    other: [{ id: "d", names: ["message", "progress"] }],
  });
});

it("between two states alike there is nothing", () => {
  const same = { a: { status: "running", big: 2n ** 70n } };
  expect(differences(nodes(same), nodes({ a: { ...same.a } }))).toEqual({
    turned: [],
    came: [],
    went: [],
    other: [],
  });
});
