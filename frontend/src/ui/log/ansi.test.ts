import { expect, it } from "vitest";
import { pieces, printed } from "./ansi.ts";

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
  expect(pieces(`${E}[48;5;196;9;94mx`)).toEqual([{ text: "x", classes: "ansi-strike ansi-blue" }]);
});

it("lines stay lines, and what is overwritten is gone", () => {
  expect(pieces("one\r\ntwo 10%\rtwo 99%\r\n").map((one) => one.text)).toEqual(["one", "\n", "two 99%"]);
});

it("what looks like markup is text", () => {
  expect(pieces("<b>x</b>")).toEqual([{ text: "<b>x</b>", classes: "" }]);
});

it("a saved line is as the command line prints it", () => {
  expect(printed("T", "info", "a\r\nb 1%\rb 2%")).toBe("T info    a\n    b 2%");
  expect(printed("T", `war${E}[1mning`, "x")).toBe("T warning x");
});
