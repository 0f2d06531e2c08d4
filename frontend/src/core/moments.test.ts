import { afterEach, expect, it } from "vitest";
import cases from "../../../tests/cases/ran.json";
import { moment, ran } from "./moments.ts";

const zone = process.env.TZ;

afterEach(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

const seconds = (ms: number | undefined) => (ms === undefined ? null : ms / 1000);

it.each(["UTC", "Asia/Kolkata", "America/New_York"])("in %s it ran when the shared cases say", (there) => {
  process.env.TZ = there;
  for (const { name, fields, started, ended } of cases) {
    const found = ran(fields);
    expect([name, seconds(found.started), seconds(found.ended)]).toEqual([name, started, ended]);
  }
});

it.each(["UTC", "Asia/Kolkata"])("in %s a time without an offset is UTC, whatever its form", (there) => {
  process.env.TZ = there;
  const whole = Date.UTC(2026, 0, 2, 3, 4, 5);
  for (const text of [
    "2026-01-02T03:04:05",
    "2026-01-02T03:04:05Z",
    "2026-01-02 03:04:05",
    "2026-01-02t03:04:05z",
    "2026-01-02T08:34:05+0530",
    "2026-01-02T03:04:05.000000999",
  ])
    expect(moment(text)).toBe(whole);
  expect(moment("2026-01-02T03:04:05.123456")).toBe(whole + 123);
  expect(moment("2026-01-02")).toBe(Date.UTC(2026, 0, 2));
  expect(moment("2016-12-31T23:59:60Z")).toBe(Date.UTC(2017, 0, 1) - 1);
});

it("what is no time is none", () => {
  for (const odd of ["", "soon", "2026-01-02T03:04", "Jan 2 2026", null, {}, Number.NaN, true])
    expect(moment(odd)).toBeUndefined();
});
