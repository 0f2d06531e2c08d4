import { expect, it } from "vitest";
import { tree } from "../../../test/trees.ts";
import type { ProjectRow } from "../../core/index.ts";
import { find, MOST, type Sources } from "./find.ts";

const row = (project_id: string, title: string): ProjectRow => ({
  project_id,
  title,
  epoch: "e",
  seq: 1,
  state: "running",
  nodes: 1,
  updated_at: null,
});
const SOURCES: Sources = {
  projects: [row("shop", "Shop: release 4.2"), row("nightly", "Nightly build")],
  projectId: "shop",
  snapshot: tree({
    build: { title: "Build" },
    "build/wheel": { title: "Build the wheel", parent_id: "build" },
    rebuild: { title: "Rebuild" },
  }),
};
const names = (text: string) => find(text, SOURCES).map((one) => `${one.kind} ${one.name}`);

it("what is called so comes before what begins so, what has such a word, and what only contains it", () => {
  expect(names("build")).toEqual([
    "node Build",
    "node Build the wheel",
    "project Nightly build",
    "node Rebuild",
  ]);
});

it("finds pages, views of this project, and by id; all words count", () => {
  expect(names("inbox")[0]).toBe("page Inbox");
  expect(names("time")).toContain("view Timeline");
  expect(names("nightly")[0]).toBe("project Nightly build");
  expect(names("wheel build")).toEqual(["node Build the wheel"]);
  expect(names("wheel nightly")).toEqual([]);
});

it("a node's address keeps what the address says otherwise", () => {
  window.history.replaceState(null, "", "/p/shop/board?q=x&line=3");
  expect(find("rebuild", SOURCES)[0]?.address).toBe("/p/shop/board?q=x&node=rebuild");
});

it("of 20,000 nodes it gives as many as can be read, the best among them", () => {
  const many = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, n) => [`n${n}`, { title: `leaf ${n}` }]),
  );
  const found = find("leaf", { ...SOURCES, snapshot: tree({ ...many, z: { title: "leaf" } }) });
  expect(found).toHaveLength(MOST);
  expect(found[0]?.name).toBe("leaf");
});
