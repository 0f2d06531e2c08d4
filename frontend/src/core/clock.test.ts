import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { HubClock } from "./clock.ts";

const NOW = 1_800_000_000_000;
let clock: HubClock;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  clock = new HubClock();
});

afterEach(() => vi.useRealTimers());

/** The hub's time was heard, `ahead` of this machine's, within a round trip of so many milliseconds. */
function hear(ahead: number, trip = 40, step = 0): void {
  const now = Date.now();
  const hub = Math.floor((now + ahead) / (step || 1)) * (step || 1);
  clock.hear({ sent: now - trip / 2, received: now + trip / 2, hub, step });
}

it("a clock that may be right is taken as right", () => {
  for (const ahead of [0, 15, -15]) hear(ahead);
  expect(clock.get()).toBe(0);
  expect(clock.now()).toBe(NOW);
});

it("a clock that is an hour off is put right, to half the round trip", () => {
  for (const hour of [3_600_000, -3_600_000]) {
    clock = new HubClock();
    hear(hour);
    expect(Math.abs(clock.get() - hour)).toBeLessThanOrEqual(20);
  }
});

it("whole seconds bound it too, and a narrower bound counts until a newer one contradicts", () => {
  const told: number[] = [];
  clock.subscribe(() => told.push(clock.get()));
  hear(90_000, 40, 1000);
  expect(Math.abs(clock.get() - 90_000)).toBeLessThanOrEqual(520);
  hear(90_000, 40);
  expect(clock.get()).toBe(90_000);
  hear(90_000, 4_000);
  hear(90_000, 40, 1000);
  expect(clock.get()).toBe(90_000);
  vi.advanceTimersByTime(10);
  hear(0, 40, 1000);
  expect(clock.get()).toBe(0);
  expect(told.at(-1)).toBe(0);
});

it("what was heard long ago does not outdo what was heard since", () => {
  vi.advanceTimersByTime(60_000);
  hear(0);
  clock.hear({ sent: NOW, received: NOW + 10, hub: NOW + 7_200_000, step: 0 });
  expect(clock.get()).toBe(0);
});

it("a clock that is set while the page is open is noticed, and what is heard then counts", () => {
  hear(-3_600_000);
  vi.setSystemTime(NOW - 3_600_000);
  expect(clock.jumped()).toBe(true);
  hear(0, 40, 1000);
  expect(clock.get()).toBe(0);
  expect(clock.jumped()).toBe(false);
});

it("nonsense is not heard", () => {
  for (const hub of [Number.NaN, Number.POSITIVE_INFINITY])
    clock.hear({ sent: 0, received: 1, hub, step: 0 });
  clock.hear({ sent: 10, received: 5, hub: 0, step: 0 });
  expect(clock.get()).toBe(0);
});
