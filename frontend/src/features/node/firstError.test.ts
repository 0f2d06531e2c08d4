import { expect, it } from "vitest";
import type { LogLine } from "../../core/index.ts";
import { excerpt } from "./firstError.ts";

const lines = (...levels: string[]): LogLine[] =>
  levels.map((level, n) => ({
    seq: n + 1,
    epoch: "e",
    nodeId: "n",
    timestamp: new Date(n * 10_000).toISOString(),
    level,
    message: `line ${n + 1}`,
  }));
const seqs = (found: ReturnType<typeof excerpt>) => found?.lines.map((one) => one.seq);

it("shows the first fault with what stands around it", () => {
  const found = excerpt(lines("info", "info", "info", "info", "error", "info", "info", "error"), undefined);
  expect(found?.fault).toBe(5);
  expect(seqs(found)).toEqual([2, 3, 4, 5, 6, 7]);
});

it("of several attempts the last one's fault counts, if it has one", () => {
  const all = lines("error", "info", "info", "CRITICAL", "info");
  expect(excerpt(all, 20_000)?.fault).toBe(4);
  expect(excerpt(all, 90_000)?.fault).toBe(1);
});

it("without a fault it shows the last lines, and of no log nothing", () => {
  const found = excerpt(lines(...Array.from({ length: 9 }, () => "info")), undefined);
  expect(found?.fault).toBeNull();
  expect(seqs(found)).toEqual([5, 6, 7, 8, 9]);
  expect(excerpt([], undefined)).toBeNull();
});
