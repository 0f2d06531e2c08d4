import fc from "fast-check";
import { expect, it } from "vitest";
import { HubError } from "./errors.ts";
import type { Http } from "./http.ts";
import { seqAt } from "./when.ts";

/** A log whose events happened at these times; the first `gone` of them were deleted. It counts the requests. */
function log(times: readonly number[], gone = 0) {
  const asked = { count: 0 };
  const events = async (_: string, { before = "" }: { before?: string }) => {
    asked.count += 1;
    const seq = Number(before.split(":")[1]);
    if (seq <= gone) throw new HubError("gone", "the log no longer reaches back there");
    return { events: [{ timestamp: new Date(times[seq - 1] ?? 0).toISOString() }], next: null };
  };
  return { asked, http: { events } as unknown as Http };
}

it("is the last event at the time or before it, in as many requests as halving takes", async () => {
  const some = fc.array(fc.nat(1_000), { maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(some, fc.nat(1_000), async (all, time) => {
      const times = all.sort((one, other) => one - other);
      const { http, asked } = log(times);
      const found = await seqAt(http, "p", { epoch: "e", seq: times.length }, time);
      expect(found).toBe(times.filter((one) => one <= time).length);
      expect(asked.count).toBeLessThanOrEqual(Math.ceil(Math.log2(times.length + 1)));
    }),
  );
});

it("what the log no longer reaches happened before", async () => {
  const times = Array.from({ length: 100 }, (_, n) => n);
  expect(await seqAt(log(times, 40).http, "p", { epoch: "e", seq: 100 }, 60)).toBe(61);
  expect(await seqAt(log(times, 40).http, "p", { epoch: "e", seq: 100 }, 10)).toBe(40);
});
