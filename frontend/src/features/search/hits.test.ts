import { expect, it } from "vitest";
import type { SearchHit } from "../../core/index.ts";
import { byProject, momentOf } from "./hits.ts";

const hit = (changes: Partial<SearchHit>): SearchHit => ({
  project_id: "p/1",
  epoch: "e",
  seq: 7,
  type: "log",
  kind: "log",
  node_id: "a b",
  level: null,
  received: "",
  excerpt: [],
  ...changes,
});

it.each([
  [{}, "/p/p%2F1/tree?node=a+b&line=7&tab=log&at=7"],
  [{ node_id: null }, "/p/p%2F1/log?line=7&at=7"],
  [{ kind: "node" }, "/p/p%2F1/tree?node=a+b&at=7"],
  [{ kind: "event", node_id: null }, "/p/p%2F1/events?at=7"],
] as const)("a hit %j leads to its moment", (changes, address) => {
  expect(momentOf(hit(changes))).toBe(address);
});

it("the hits of a project stand together, over pages too", () => {
  const hits = ["q", "p", "q"].map((project_id, seq) => hit({ project_id, seq }));
  expect([...byProject(hits)].map(([id, own]) => [id, own.map((one) => one.seq)])).toEqual([
    ["q", [0, 2]],
    ["p", [1]],
  ]);
});
