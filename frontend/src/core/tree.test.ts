import fc from "fast-check";
import { expect, it } from "vitest";
import type { Fields } from "./json.ts";
import type { Told } from "./told.ts";
import { TreeStore } from "./tree.ts";

function held(): { tree: TreeStore; frame: () => void } {
  const due: (() => void)[] = [];
  const tree = new TreeStore("p", (run) => void due.push(run));
  return { tree, frame: () => due.splice(0).forEach((run) => void run()) };
}

let seq = 0;
function update(id: string, changes: Fields): Told {
  seq += 1;
  const data = { node_id: id, changes };
  const event = { type: "node_update", project_id: "p", data, timestamp: "", seq, epoch: "e" };
  return { kind: "event", topic: "p", event };
}

it("a hundred changes are told once, at the next frame, to those who watch what changed", () => {
  const { tree, frame } = held();
  for (let n = 0; n < 200; n += 1) tree.take(update(`n${n}`, { title: "t" }));
  frame();
  const told: string[] = [];
  for (let n = 0; n < 200; n += 1) tree.subscribeNode(`n${n}`, () => void told.push(`n${n}`));
  let whole = 0;
  tree.subscribe(() => {
    whole += 1;
  });
  for (let n = 0; n < 100; n += 1) tree.take(update(`n${n}`, { progress: n }));
  expect(told).toEqual([]);
  frame();
  expect(whole).toBe(1);
  expect(told).toHaveLength(100);
});

it("nodes that did not change keep their objects, and the shape its own", () => {
  const { tree, frame } = held();
  tree.take(update("a", { title: "A" }));
  tree.take(update("b", { title: "B" }));
  frame();
  const before = { a: tree.node("a"), b: tree.node("b"), shape: tree.get().shape };
  tree.take(update("a", { progress: 3 }));
  frame();
  expect(tree.node("b")).toBe(before.b);
  expect(tree.node("a")).not.toBe(before.a);
  expect(tree.get().shape).toBe(before.shape);
  tree.take(update("b", { parent_id: "a" }));
  frame();
  expect(tree.get().shape).not.toBe(before.shape);
});

it("who watches a branch is told when something below it changes", () => {
  const { tree, frame } = held();
  tree.take(update("a", {}));
  tree.take(update("b", { parent_id: "a" }));
  frame();
  let told = 0;
  tree.subscribeNode("a", () => {
    told += 1;
  });
  tree.take(update("b", { status: "completed" }));
  frame();
  expect(told).toBe(1);
  expect(tree.rollup("a")?.counts.done).toBe(1);
});

it("a summary ends where the events that it stands for would", () => {
  const changes = fc.record(
    { title: fc.string(), parent_id: fc.constantFrom("a", "b", "c"), deleted: fc.constant(true) },
    { requiredKeys: [] },
  );
  const steps = fc.array(fc.tuple(fc.constantFrom("a", "b", "c", "d"), changes));
  fc.assert(
    fc.property(steps, fc.nat(), (all, cut) => {
      const one = held().tree;
      const other = held().tree;
      const events = all.map(([id, change]) => update(id, change));
      const from = events.length === 0 ? 0 : cut % events.length;
      for (const told of events) one.take(told);
      for (const told of events.slice(0, from)) other.take(told);
      const nodes = [...one.get().nodes];
      const removed = [...other.get().nodes.keys()].filter((id) => one.node(id) === undefined);
      const position = { epoch: "e", seq };
      other.take({
        kind: "conflated",
        topic: "p",
        position,
        removed,
        nodes,
        top: {},
        events: [],
        logsSkipped: {},
      });
      expect(new Map(other.get().nodes)).toEqual(new Map(one.get().nodes));
    }),
  );
});
