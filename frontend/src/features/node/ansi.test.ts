import { expect, it } from "vitest";
import { pieces, plain } from "./ansi.ts";

const E = "\u001b";

it("colours become classes, until they are taken back", () => {
  expect(pieces(`a ${E}[1;31mb${E}[0m c`)).toEqual([
    { text: "a ", classes: "" },
    { text: "b", classes: "ansi-bold ansi-red" },
    { text: " c", classes: "" },
  ]);
});

it("one of 256 colours, or of all, is the nearest that can be told apart on either background", () => {
  expect(pieces(`${E}[38;5;196mx`)).toEqual([{ text: "x", classes: "ansi-red" }]);
  expect(pieces(`${E}[38;2;0;200;0;4mx`)).toEqual([{ text: "x", classes: "ansi-underline ansi-green" }]);
});

it("titles, cursor moves and control characters are nothing to look at", () => {
  expect(plain(`${E}]0;title\u0007${E}[2K${E}[1Ga\u0000b\u0008`)).toBe("ab");
});

it("a carriage return draws the line anew", () => {
  expect(plain("10 %\r50 %\r100 %\r")).toBe("100 %");
});

it("what looks like markup is text", () => {
  expect(pieces("<b>x</b>")).toEqual([{ text: "<b>x</b>", classes: "" }]);
});
