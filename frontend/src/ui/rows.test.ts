import { expect, it } from "vitest";
import { tree } from "../../test/trees.ts";
import type { Fields, StatusClass } from "../core/index.ts";
import { NO_FILTER } from "./filter.ts";
import { type Look, newestRunning, rows } from "./rows.ts";

const plain: Look = { collapsed: new Set(), filter: NO_FILTER, sort: "order" };
const NODES = {
  a: { title: "Alpha" },
  a1: { parent_id: "a", title: "One", status: "failed", message: "no such file" },
  a2: { parent_id: "a", title: "Two", status: "completed" },
  b: { title: "Beta", status: "running" },
};
const ids = (nodes: Record<string, Fields>, look: Partial<Look>) =>
  rows(tree(nodes), { ...plain, ...look }).map((one) => one.id);

it("stands in order, children below their parent, with their place among siblings", () => {
  expect(rows(tree(NODES), plain)).toMatchObject([
    { id: "a", depth: 1, expandable: true, expanded: true, place: 1, siblings: 2 },
    { id: "a1", depth: 2, place: 1, siblings: 2 },
    { id: "a2", depth: 2, place: 2, siblings: 2 },
    { id: "b", depth: 1, expandable: false, place: 2, siblings: 2 },
  ]);
});

it("a collapsed branch hides what is below", () => {
  expect(ids(NODES, { collapsed: new Set(["a"]) })).toEqual(["a", "b"]);
});

it("a search keeps the ancestors of what it finds, and opens them", () => {
  expect(ids(NODES, { filter: { ...NO_FILTER, search: "such file" }, collapsed: new Set(["a"]) })).toEqual([
    "a",
    "a1",
  ]);
  expect(ids(NODES, { filter: { ...NO_FILTER, search: "BETA" } })).toEqual(["b"]);
});

it("a filter by what statuses mean keeps ancestors too", () => {
  const classes = new Set<StatusClass>(["failed", "running"]);
  expect(ids(NODES, { filter: { ...NO_FILTER, classes } })).toEqual(["a", "a1", "b"]);
});

it("sorts siblings, not the whole", () => {
  expect(ids(NODES, { sort: "status" })).toEqual(["b", "a", "a1", "a2"]);
  expect(ids({ ...NODES, a2: { ...NODES.a2, title: "Eins" } }, { sort: "title" })).toEqual([
    "a",
    "a2",
    "a1",
    "b",
  ]);
});

it("a chain as deep as there are nodes is no trouble", () => {
  const chain = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, n) => [`n${n}`, n === 0 ? {} : { parent_id: `n${n - 1}` }]),
  );
  expect(ids(chain, {})).toHaveLength(20_000);
});

it("follows the node that began last and has nobody running below", () => {
  const at = (second: number) => ({ status: "running", started_at: `2026-01-01T00:00:0${second}Z` });
  expect(newestRunning(tree({ a: at(5), a1: { parent_id: "a", ...at(1) }, b: at(3) }))).toBe("b");
  expect(newestRunning(tree({ a: { status: "completed" } }))).toBeNull();
});
