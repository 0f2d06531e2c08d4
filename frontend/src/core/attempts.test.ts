import { expect, it } from "vitest";
import { attemptCount, attempts } from "./attempts.ts";
import type { Fields } from "./json.ts";

const at = (second: number) => new Date(second * 1000).toISOString();
const first = { status: "failed", started_at: at(1), ended_at: at(3), message: "no route" };
const told = (fields: Fields) =>
  attempts(fields).map((one) => [one.number, one.started, one.ended, one.fields.status, one.present]);

it("the present attempt is the last one, the ended ones come before it", () => {
  const fields = { status: "running", attempt: 2, started_at: at(5), ended_attempts: [first] };
  expect(told(fields)).toEqual([
    [1, 1000, 3000, "failed", false],
    [2, 5000, undefined, "running", true],
  ]);
  expect(attemptCount(fields)).toBe(2);
  expect(told({ status: "completed", started_at: at(1), ended_at: at(2) })).toEqual([
    [1, 1000, 2000, "completed", true],
  ]);
});

it("a beginning that the last ended one has is not the present one's", () => {
  const waits = { ...first, status: "ready", ended_attempts: [first] };
  expect(told(waits).at(-1)).toEqual([2, undefined, undefined, "ready", true]);
  expect(told({ ...waits, status: "running" }).at(-1)).toEqual([2, 3000, undefined, "running", true]);
});

it("one that was broken off ended when the next one began", () => {
  const fields = {
    attempt: 2,
    started_at: at(9),
    ended_attempts: [{ status: "running", started_at: at(4) }],
  };
  expect(told(fields)[0]).toEqual([1, 4000, 9000, "running", false]);
});

it("counts from what the node says, where earlier ones are not kept", () => {
  const fields = { attempt: 12, ended_attempts: [first, { status: "failed" }] };
  expect(attempts(fields).map((one) => one.number)).toEqual([10, 11, 12]);
  expect(attemptCount(fields)).toBe(12);
  expect(attemptCount({ attempt: "three" })).toBe(1);
  expect(attemptCount({ ended_attempts: "odd" })).toBe(1);
});
