import fc from "fast-check";
import { expect, it } from "vitest";
import type { LogLine } from "../../core/index.ts";
import { grouped, type Item } from "./groups.ts";

let seq = 0;
function line(message: string, more: Partial<LogLine> = {}): LogLine {
  seq += 1;
  return { seq, epoch: "e", nodeId: "n", timestamp: "2026-01-01T00:00:00Z", level: "info", message, ...more };
}

const NOTHING = new Map<string, boolean>();
const told = (all: readonly Item[]) =>
  all.map((one) =>
    one.kind === "group" ? `[${one.open ? "v" : ">"} ${one.name}: ${one.size}]` : one.line.message,
  );
const shown = (lines: readonly LogLine[]) => told(grouped(lines, NOTHING, null));
const log = (...messages: string[]) => shown(messages.map((one) => line(one)));

it("GitHub's groups fold once they have ended", () => {
  expect(log("a", "::group::Install", "b", "c", "::endgroup::", "d")).toEqual(["a", "[> Install: 2]", "d"]);
  expect(log("##[group]Install", "b", "##[endgroup]", "d")).toEqual(["[> Install: 1]", "d"]);
  expect(log("::group::Install", "b")).toEqual(["[v Install: 1]", "b"]);
  expect(log("\u001b[32m::group::Install\u001b[0m", "b", "::endgroup::")).toEqual(["[> Install: 1]"]);
});

it("Buildkite's headings fold up to the next one; +++ and ^^^ +++ leave them open", () => {
  expect(log("--- one", "a", "+++ two", "b", "~~~ three", "c", "--- four")).toEqual([
    "[> one: 1]",
    "[v two: 1]",
    "b",
    "[> three: 1]",
    "[v four: 0]",
  ]);
  expect(log("--- one", "a", "^^^ +++", "b", "--- two")).toEqual(["[v one: 2]", "a", "b", "[v two: 0]"]);
});

it("a diff and a ruler are no headings", () => {
  const diff = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@";
  expect(log(diff, "--- old.txt\n+++ new.txt", "---", "-----")).toHaveLength(4);
});

it("a group that tells of an error is open, and so is the one with the wanted line, unless the person closed it", () => {
  const lines = ["::group::a", "1", "::endgroup::", "::group::b", "2", "::endgroup::"].map((one) =>
    line(one),
  );
  const failing = lines.map((one) => (one.message === "1" ? { ...one, level: "ERROR" } : one));
  expect(shown(failing)).toEqual(["[v a: 1]", "1", "[> b: 1]"]);
  const wanted = lines[4]?.seq ?? 0;
  expect(told(grouped(failing, NOTHING, wanted))).toEqual(["[v a: 1]", "1", "[v b: 1]", "2"]);
  const closed = new Map([[`e:${lines[0]?.seq}:0`, false]]);
  expect(told(grouped(failing, closed, null))).toEqual(["[> a: 1]", "[> b: 1]"]);
});

it("in lines of several nodes each has its own groups", () => {
  const of = (nodeId: string, message: string) => line(message, { nodeId });
  const lines = [
    of("a", "::group::A"),
    of("b", "b1"),
    of("a", "a1"),
    of("b", "::group::B"),
    of("a", "::endgroup::"),
  ];
  expect(shown([...lines, of("b", "b2"), of("b", "::endgroup::")])).toEqual(["[> A: 1]", "b1", "[> B: 1]"]);
});

it("one message of many lines is divided at its marks", () => {
  const all = grouped([line("x\ny\n::group::In\nz\n::endgroup::\nw")], NOTHING, null);
  expect(all.map((one) => (one.kind === "group" ? one.name : one.rows))).toEqual([[0, 2], "In", [5, 6]]);
});

it("nothing is lost: with all groups open there is every line that is no mark", () => {
  const one = fc.constantFrom("text", "::group::g", "::endgroup::", "--- h", "+++ i", "^^^ +++", "more text");
  fc.assert(
    fc.property(fc.array(fc.tuple(one, fc.constantFrom("a", "b"))), (all) => {
      const lines = all.map(([message, nodeId]) => line(message, { nodeId }));
      const keys = new Map(lines.map((each) => [`e:${each.seq}:0`, true]));
      const texts = grouped(lines, keys, null).filter((item) => item.kind === "text");
      expect(texts).toHaveLength(all.filter(([message]) => message.includes("text")).length);
    }),
  );
});
