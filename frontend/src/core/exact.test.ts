import fc from "fast-check";
import { expect, it } from "vitest";
import { parseExact, writeExact } from "./exact.ts";
import { number } from "./json.ts";

it("integers that a number would round are bigint, wherever they are; all else is as ever", () => {
  const text = `{"a":9007199254740993,"b":[-123456789012345678901234567890,{"c":18446744073709551615}],
    "safe":9007199254740991,"float":9007199254740993.0,"exp":1e300,"small":0.12345678901234567,"text":"9007199254740993",
    "quoted \\" 12345678901234567":"\\\\","d":"x\\\\\\"12345678901234567"}`;
  expect(parseExact(text)).toEqual({
    a: 9007199254740993n,
    b: [-123456789012345678901234567890n, { c: 18446744073709551615n }],
    safe: 9007199254740991,
    float: 9007199254740992,
    exp: 1e300,
    small: Number("0.12345678901234567"),
    text: "9007199254740993",
    'quoted " 12345678901234567': "\\",
    d: 'x\\"12345678901234567',
  });
  expect(parseExact("12345678901234567")).toBe(12345678901234567n);
});

it("wherever in the text it begins, and after however many other digits", () => {
  for (let before = 0; before < 40; before += 1) {
    const text = `["${"x".repeat(before)}",${"1,".repeat(before)}9007199254740993]`;
    expect((parseExact(text) as unknown[]).at(-1)).toBe(9007199254740993n);
    expect(parseExact(`${" ".repeat(before)}9007199254740993`)).toBe(9007199254740993n);
  }
});

it("what is no JSON is refused as ever", () => {
  for (const text of ["", "{", '{"a":12345678901234567', '"12345678901234567', "12345678901234567x"])
    expect(() => parseExact(text)).toThrow(SyntaxError);
});

const integers = fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n });
const json = fc.letrec((again) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: fc.constantFrom(...'\\"1234567890-e.: int') }),
    fc.string({ minLength: 16, unit: fc.constantFrom("1", "7") }),
    integers,
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => (Object.is(one, -0) ? 0 : one)),
    fc.constantFrom(true, false, null),
    fc.array(again("value")),
    fc.dictionary(fc.string({ unit: fc.constantFrom(...'"\\ab1') }), again("value")),
  ),
})).value;

/** A bigint that a number holds is read as a number. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}

it("what is written is read as the same, digit for digit", () => {
  fc.assert(
    fc.property(json, (value) => {
      const text = writeExact(value);
      const read = parseExact(text);
      // A double beyond 2^53 is written without a point, and read as the integer that it is.
      expect(writeExact(read)).toBe(text);
      expect(plain(read)).toEqual(parseExact(writeExact(plain(value))));
    }),
  );
});

it("with indents it is written as JSON.stringify does", () => {
  expect(writeExact({ a: [1n, 2] }, 2)).toBe('{\n  "a": [\n    1,\n    2\n  ]\n}');
  expect(() => {
    const circle: { again?: unknown } = {};
    circle.again = circle;
    writeExact(circle);
  }).toThrow(TypeError);
});

it("a field that is such an integer counts as a number, rounded", () => {
  expect(number({ order: 9007199254740993n }, "order")).toBe(9007199254740992);
});

it("half a megabyte of digits and quotes is read", { timeout: 60_000 }, () => {
  for (const one of ['"\\\\"', '"12345678901234567"', "12345678901234567", '"\\""']) {
    const many = Math.floor(500_000 / one.length);
    expect(parseExact(`[${Array(many).fill(one).join(",")}]`)).toHaveLength(many);
  }
  expect(parseExact(`[1234567890123456789,"${"\\\\".repeat(250_000)}"]`)).toHaveLength(2);
});
