import fc from "fast-check";
import { expect, it } from "vitest";
import cases from "../../../tests/cases/log_text.json";
import { changed } from "./pen.ts";
import { shownLines, shownText } from "./terminal.ts";

interface Case {
  readonly name: string;
  readonly message: string;
  readonly lines: string[];
  readonly runs?: [string, string][][];
  readonly trailing_blanks?: boolean;
}

it.each(cases as unknown as Case[])("$name", ({ message, lines, runs, trailing_blanks }) => {
  const found = shownLines(message);
  const texts = found.map((line) => line.map((run) => run.text).join(""));
  expect(trailing_blanks ? texts.map((text) => text.replace(/ +$/, "")) : texts).toEqual(lines);
  expect(shownText(message)).toBe(texts.join("\n"));
  if (runs !== undefined) expect(found.map((line) => line.map((run) => [run.text, run.pen]))).toEqual(runs);
});

const E = "\u001b";
const letters = fc.string({ unit: fc.constantFrom(..."abc é✓語"), minLength: 1, maxLength: 6 });
/** What takes nothing away and moves nowhere else. */
const harmless = fc.constantFrom(
  ...[
    "[31m",
    "[0m",
    "[1;38;5;9m",
    "]0;title\u0007",
    `]8;;http://x${E}\\`,
    "[?25l",
    "(B",
    "[2J",
    "[6n",
    "7",
  ].map((one) => E + one),
  ...["\u0000", "\u0007", "\u007f", "\u0085", "\r\n", "\n"],
);

it("no text is lost where nothing goes back", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(letters, harmless)), (parts) => {
      const said = parts.filter((part) => /^[abc é✓語]/.test(part)).join("");
      expect(shownText(parts.join("")).replaceAll("\n", "")).toBe(said);
    }),
  );
});

it("what was written last is shown, wherever the cursor was", () => {
  const moves = fc.constantFrom("\r", "\b", "\t", "\n", `${E}[A`, `${E}[3C`, `${E}[2D`, `${E}[31m`);
  fc.assert(
    fc.property(fc.array(fc.oneof(letters, moves), { maxLength: 40 }), (parts) => {
      const shown = shownText(parts.join(""));
      const last = parts.findLast((part) => /^[abc é✓語]/.test(part));
      if (last !== undefined) expect(shown).toContain(last);
    }),
  );
});

it("nothing but text, line ends and tabs is shown, in pens that mean themselves", () => {
  const unit = fc.constantFrom(
    ..."\u001b[]PX^_0;1m?\u0007\\ aHJK\r\t\b\u009b\u009d\u009c\n\u0000é",
    "\ud800",
  );
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 60 }), (message) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these may be there, and no others
      expect(shownText(message)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\p{Surrogate}/u);
      for (const { pen } of shownLines(message).flat()) expect(changed("", pen)).toBe(pen);
    }),
  );
});

it.each([
  "x",
  "ab\r",
  `x\r${E}[1K`,
  `${E}[2Kx`,
  `x${E}[J`,
  `${E}]`,
  "\u009d",
  `${E}[`,
  `${E}[9999Bx${E}[9999A${E}[J`,
  "e\u0301\u0301",
  "38;",
  `${E}[38;5;1m`,
  "\ta\b\b",
])("half a megabyte of %j is shown", { timeout: 60_000 }, (one) => {
  // With a cost that is not linear this takes minutes.
  for (const before of ["", `${E}[`, "y".repeat(300_000)]) {
    expect(shownLines(before + one.repeat(500_000 / one.length)).length).toBeGreaterThan(0);
  }
});
