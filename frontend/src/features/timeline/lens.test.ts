import fc from "fast-check";
import { expect, it } from "vitest";
import { Lens, readRange, written } from "./lens.ts";

function lens(): Lens {
  const made = new Lens();
  made.reach(1000, 2000);
  return made;
}

it("shows all of it, also as it grows, until a stretch is chosen", () => {
  const made = lens();
  expect(made.range).toEqual({ from: 1000, to: 2030 });
  made.reach(1000, 3000);
  expect(made.range.to).toBe(3060);
  made.look({ from: 1200, to: 1300 });
  made.reach(1000, 9000);
  expect(made.range).toEqual({ from: 1200, to: 1300 });
  made.look(null);
  expect(made.range.from).toBe(1000);
});

it("zooming keeps its moment in place; zoomed out again it shows all", () => {
  const made = lens();
  made.zoom(0.5, 1500);
  const { from, to } = made.range;
  expect((1500 - from) / (to - from)).toBeCloseTo(500 / 1030);
  made.zoom(100);
  expect(made.get()).toBeNull();
});

it("whatever is done, what is shown is a stretch of at least a millisecond near the run", () => {
  const act = fc.oneof(
    fc.tuple(fc.constant("zoom"), fc.double({ min: 1e-6, max: 1e6, noNaN: true })),
    fc.tuple(fc.constant("shift"), fc.double({ min: -100, max: 100, noNaN: true })),
  );
  fc.assert(
    fc.property(fc.array(act), (acts) => {
      const made = lens();
      for (const [name, by] of acts) name === "zoom" ? made.zoom(by) : made.shift(by);
      const { from, to } = made.range;
      expect(to - from).toBeGreaterThan(0.99);
      expect(from).toBeGreaterThanOrEqual(1000 - 1031);
      expect(from).toBeLessThan(2030 + 1031);
    }),
  );
});

it("a range is written into the address and read again; what is none is null", () => {
  expect(readRange(written({ from: 1200.4, to: 1300.2 }))).toEqual({ from: 1200, to: 1301 });
  expect(written(null)).toBe("");
  for (const one of ["", "abc", "5-5", "9-1", "1-2-3", "-1-5"]) expect(readRange(one)).toBeNull();
});
