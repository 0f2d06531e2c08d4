import { describe, expect, it } from "vitest";
import cases from "../../../tasktree_rt/web/static/reducer.json";
import { codes, Nodes, reduce } from "./reducer.ts";

describe("the reducer, by the cases shared with the hub", () => {
  for (const one of cases) {
    it(one.name, () => {
      const nodes = new Nodes();
      for (const event of one.events) {
        nodes.apply(reduce(nodes, { project_id: one.project_id, ...event } as never));
      }
      const { read: _, ...top } = nodes.top;
      expect({ ...top, nodes: plain(nodes.byId) }).toEqual({
        ...one.expect,
        nodes: plain(Object.entries(one.expect.nodes)),
      });
    });
  }
});

it("text is ordered by code points, not by code units", () => {
  const all = ["\u{1f600}", "\uffee", "a", "", "ab", "\u{10000}"];
  expect([...all].sort(codes)).toEqual(["", "a", "ab", "\uffee", "\u{10000}", "\u{1f600}"]);
});

function plain(nodes: Iterable<[string, unknown]>): [string, unknown][] {
  return [...nodes].sort(([one], [other]) => codes(one, other));
}
