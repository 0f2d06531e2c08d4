import fc from "fast-check";
import { expect, it } from "vitest";
import { differences } from "./differences.ts";
import { gridOf, inOrder, lastGood, median, news, type Run, type RunNode, took, usual } from "./runs.ts";

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();

function one(node_id: string, more: Partial<RunNode> = {}): RunNode {
  return { node_id, title: null, status: null, started_at: null, ended_at: null, message: null, ...more };
}

function run(
  id: string,
  state: string,
  minutes: [number, number | null],
  more: Partial<Run["overview"]> = {},
): Run {
  const [begun, ended] = minutes;
  return {
    project_id: id,
    epoch: "e",
    seq: 1,
    state,
    nodes: 1,
    updated_at: at(ended ?? begun),
    overview: {
      started_at: at(begun),
      ended_at: ended === null ? null : at(ended),
      top: [],
      top_more: 0,
      failed: [],
      failed_more: 0,
      ...more,
    },
  };
}

it("runs stand in the order in which they began, whatever came last", () => {
  const runs = [
    run("c", "completed", [20, 30]),
    run("a", "completed", [0, 99]),
    run("b", "failed", [10, 12]),
  ];
  expect(inOrder(runs).map((each) => each.project_id)).toEqual(["a", "b", "c"]);
});

it("the usual time is the middle one of the runs that ended well", () => {
  const runs = [
    run("a", "completed", [0, 1]),
    run("b", "completed", [0, 3]),
    run("c", "completed", [0, 50]),
    run("d", "failed", [0, 500]),
    run("e", "running", [0, null]),
  ];
  expect(usual(runs)).toBe(3 * 60_000);
  expect(median([])).toBeUndefined();
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(took({ started_at: at(5), ended_at: at(2) })).toBeUndefined();
});

it("the grid has each node once, in the order of the newest run that has it", () => {
  const first = run("a", "completed", [0, 1], { top: [one("build"), one("old"), one("test")] });
  const second = run("b", "completed", [2, 3], {
    top: [one("build", { title: "Build" }), one("lint"), one("test")],
  });
  const rows = gridOf([first, second]);
  expect(rows.map((row) => row.title)).toEqual(["Build", "old", "lint", "test"]);
  expect(rows[1]?.cells.map((cell) => cell?.node_id ?? null)).toEqual(["old", null]);
});

it("of a failure that which was never so in the runs before comes first", () => {
  const failed = (...nodes: RunNode[]) => ({ failed: nodes });
  const known = one("flaky", { status: "failed", message: "timeout after 30 s" });
  const runs = [
    run("a", "failed", [0, 1], failed(known)),
    run("b", "completed", [2, 3]),
    run(
      "c",
      "failed",
      [4, 5],
      failed(
        { ...known, message: "timeout after 31 s" },
        one("new", { status: "failed", message: "no module named x" }),
        one("other", { status: "failed", message: "no module named x" }),
      ),
    ),
  ];
  const found = news(runs, runs[2] as Run);
  expect(
    found.map(({ message, messageIn, nodesIn, before, nodes }) => [
      message,
      messageIn,
      nodesIn,
      before,
      nodes.length,
    ]),
  ).toEqual([
    ["no module named x", 0, 0, 2, 2],
    ["timeout after 31 s", 1, 1, 2, 1],
  ]);
  expect(lastGood(runs, runs[2] as Run)?.project_id).toBe("b");
  expect(news(runs, runs[0] as Run)[0]).toMatchObject({ before: 0, messageIn: 0 });
});

const fields = fc.record(
  {
    status: fc.constantFrom("running", "failed", "completed"),
    message: fc.constantFrom("a", "b 1", "b 2"),
    started_at: fc.constantFrom(at(0), at(1)),
    ended_at: fc.constantFrom(at(2), at(9)),
    model: fc.constantFrom("m", "n"),
  },
  { requiredKeys: [] },
);
const trees = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fields, { noNullPrototype: true });

it("a run does not differ from itself, and two differ alike from either side", () => {
  fc.assert(
    fc.property(trees, trees, (one, other) => {
      const [first, second] = [new Map(Object.entries(one)), new Map(Object.entries(other))];
      expect(differences(first, first)).toEqual([]);
      const there = differences(first, second);
      const back = differences(second, first);
      expect(there.map(({ id }) => id).sort()).toEqual(back.map(({ id }) => id).sort());
      const swapped = { new: "gone", gone: "new", changed: "changed" } as const;
      for (const found of there) {
        const opposite = back.find(({ id }) => id === found.id);
        expect(opposite?.kind).toBe(swapped[found.kind]);
        expect([...(opposite?.status ?? [])].reverse()).toEqual(found.status);
      }
    }),
  );
});

it("what got another status comes first, failures before all; numbers in messages are no difference", () => {
  const before = new Map(
    Object.entries({
      same: { status: "completed", message: "took 3 s" },
      said: { status: "completed", message: "fine" },
      broke: { status: "completed" },
      slow: { status: "completed", started_at: at(0), ended_at: at(1) },
      gone: { status: "completed" },
    }),
  );
  const after = new Map(
    Object.entries({
      same: { status: "completed", message: "took 4 s" },
      said: { status: "completed", message: "not fine" },
      broke: { status: "failed", message: "boom" },
      slow: { status: "completed", started_at: at(0), ended_at: at(9), model: "m" },
      added: { status: "running" },
    }),
  );
  const found = differences(before, after);
  expect(found.map(({ id, kind }) => `${id} ${kind}`)).toEqual([
    "broke changed",
    "added new",
    "gone gone",
    "said changed",
    "slow changed",
  ]);
  expect(found.at(-1)).toMatchObject({ duration: [60_000, 540_000], fields: ["model"] });
});
