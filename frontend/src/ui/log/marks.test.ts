import fc from "fast-check";
import { expect, it } from "vitest";
import { markedPieces } from "./marks.ts";

const E = "\u001b";
const line = (message: string) => ({
  seq: 1,
  epoch: "e",
  nodeId: null,
  timestamp: "2026-01-01T00:00:00Z",
  level: "info",
  message,
});
const marks = (message: string, words: string, rows: readonly [number, number] | null = null) =>
  markedPieces({ kind: "text", line: line(message), rows }, words);

it("marks every match, large or small, over the borders of colours", () => {
  expect(marks(`no ${E}[31mFOO${E}[0mbar foobar`, "foobar").map((one) => [one.text, one.marked])).toEqual([
    ["no ", false],
    ["FOO", true],
    ["bar", true],
    [" ", false],
    ["foobar", true],
  ]);
});

it("takes what is searched for as text", () => {
  expect(marks("a.c abc (x)", "a.c").filter((one) => one.marked)).toHaveLength(1);
  expect(marks("a.c abc (x)", "(x)").filter((one) => one.marked)).toHaveLength(1);
});

it("shows only the rows that an item has", () => {
  expect(marks(`a\n${E}[31mb${E}[0m\nc`, "b", [1, 3]).map((one) => one.text)).toEqual(["b", "\n", "c"]);
});

it("the text stays what it was, whatever is searched for", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (message, words) => {
      const text = (all: ReturnType<typeof marks>) => all.map((one) => one.text).join("");
      expect(text(marks(message, words))).toBe(text(marks(message, "")));
    }),
  );
});
