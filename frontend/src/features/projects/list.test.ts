import { describe, expect, it } from "vitest";
import { classOf, type ShownRow } from "../../core/index.ts";
import { stateOf } from "../../ui/projects.ts";
import { chosen } from "./list.ts";

const row = (fields: Partial<ShownRow>): ShownRow => ({
  project_id: "p",
  epoch: "e",
  seq: 1,
  state: null,
  nodes: 1,
  updated_at: null,
  rates: [],
  ...fields,
});

describe("stateOf", () => {
  it("says that a project is damaged, whatever it was at", () => {
    expect(stateOf(row({ state: "completed", damaged: true }))).toBe("damaged");
    expect(stateOf(row({ state: "completed" }))).toBe("completed");
  });

  it("counts a damaged project among the failed ones", () => {
    const rows = [row({ project_id: "a", state: "running" }), row({ project_id: "b", damaged: true })];
    const choice = { search: "", state: "failed", group: "", sort: "title" } as const;
    expect(classOf("damaged")).toBe("failed");
    expect(chosen(rows, choice).map((one) => one.project_id)).toEqual(["b"]);
  });
});
