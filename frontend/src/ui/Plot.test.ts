import { expect, it } from "vitest";
import { data } from "./Plot.tsx";

const line = (values: (number | null)[]) => ({ label: "a", colour: "--accent", values });

it("a chart of one moment begins a minute before it, not an axis of years", () => {
  expect(data([1_800_000_000], [line([3])], false)).toEqual([
    [1_799_999_940, 1_800_000_000],
    [null, 3],
  ]);
  expect(data([1_800_000_000, 1_800_000_002], [line([3, 4])], false)).toEqual([
    [1_800_000_000, 1_800_000_002],
    [3, 4],
  ]);
  expect(data([], [line([])], false)).toEqual([[], []]);
});
