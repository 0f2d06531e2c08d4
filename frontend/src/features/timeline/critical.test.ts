import fc from "fast-check";
import { expect, it } from "vitest";
import { at } from "../../../test/runs.ts";
import { tree } from "../../../test/trees.ts";
import type { Fields } from "../../core/index.ts";
import { criticalPath } from "./critical.ts";
import { Survey } from "./survey.ts";

const path = (nodes: Record<string, Fields>) => criticalPath(new Survey(tree(nodes)));

it("is the chain of dependencies that ended last, and does not run in circles", () => {
  const nodes = {
    a: at(0, 2),
    b: at(0, 5),
    c: at(5, 7, { depends_on: ["a", "b"] }),
    d: at(7, 9, { depends_on: ["c", "d"] }),
  };
  expect(path(nodes)).toEqual(["b", "c", "d"]);
  expect(path({ ...nodes, b: at(0, 5, { depends_on: ["d"] }) })).toEqual(["b", "c", "d"]);
  expect(path({ ...nodes, alone: at(0, 99) })).toEqual(["alone"]);
  expect(path({ a: at(0, 1), b: at(1, 2) })).toEqual([]);
});

it("goes through stages: what a stage waits for, each of its steps waits for", () => {
  const nodes = {
    build: at(0, 5),
    compile: at(0, 3, { parent_id: "build" }),
    link: at(3, 5, { parent_id: "build", depends_on: ["compile"] }),
    test: at(5, 9, { depends_on: ["build"] }),
    unit: at(5, 6, { parent_id: "test" }),
    whole: at(5, 9, { parent_id: "test" }),
  };
  expect(path(nodes)).toEqual(["compile", "link", "whole"]);
});

it("a step that says no times shares those of its stage", () => {
  const nodes = {
    stage: at(0, 4),
    step: { parent_id: "stage", status: "completed" },
    next: at(4, 6, { depends_on: ["step"] }),
  };
  expect(path(nodes)).toEqual(["stage", "next"]);
});

interface Made {
  readonly parent: number | null;
  readonly ran: readonly [number, number] | null;
  readonly waits: readonly number[];
}

const made: fc.Arbitrary<Made> = fc.record({
  parent: fc.option(fc.nat(6)),
  ran: fc.option(fc.tuple(fc.nat(4), fc.nat(4)), { freq: 3 }),
  waits: fc.array(fc.nat(6), { maxLength: 3 }),
});

function grown(all: readonly Made[]): Record<string, Fields> {
  return Object.fromEntries(
    all.map(({ parent, ran, waits }, n) => {
      const place = {
        ...(parent === null ? {} : { parent_id: `n${parent}` }),
        depends_on: waits.map((one) => `n${one}`),
      };
      return [`n${n}`, ran === null ? place : at(ran[0], ran[0] + ran[1], place)];
    }),
  );
}

/** The same by the words of the rule alone: all pairs, all chains, the one whose ends are the latest, from the last on. */
function brute(nodes: Record<string, Fields>): string[] {
  const snapshot = tree(nodes);
  const ids = Object.keys(nodes);
  const { shape } = snapshot;
  const order = new Map(new Survey(snapshot).ids.map((id, place) => [id, place]));
  const within = (above: string, id: string) => shape.path(id).includes(above);
  const timed = (id: string) => nodes[id]?.started_at !== undefined;
  const units = ids.filter(
    (id) => timed(id) && !ids.some((one) => one !== id && timed(one) && within(id, one)),
  );
  const waits = (id: string) => (nodes[id]?.depends_on ?? []) as string[];
  if (ids.every((id) => waits(id).length === 0)) return [];
  const standsFor = (id: string): string[] => {
    const below = units.filter((one) => within(id, one));
    if (below.length > 0) return below;
    const above = shape.path(id).slice(0, -1).filter(timed).at(-1);
    return above !== undefined && units.includes(above) ? [above] : [];
  };
  const before = (unit: string): string[] =>
    shape.path(unit).flatMap((above) =>
      waits(above)
        .filter((one) => one in nodes && !within(one, unit) && !within(above, one))
        .flatMap(standsFor)
        .filter((one) => one !== unit),
    );
  const rank = (one: string, other: string) =>
    Date.parse(String(nodes[other]?.ended_at)) - Date.parse(String(nodes[one]?.ended_at)) ||
    Date.parse(String(nodes[one]?.started_at)) - Date.parse(String(nodes[other]?.started_at)) ||
    (order.get(one) ?? 0) - (order.get(other) ?? 0);
  const chains = (chain: readonly string[]): (readonly string[])[] => {
    const further = before(chain.at(-1) ?? "").filter((one) => !chain.includes(one));
    return further.length === 0 ? [chain] : further.flatMap((one) => chains([...chain, one]));
  };
  const compare = (one: readonly string[], other: readonly string[]): number => {
    for (let n = 0; n < Math.min(one.length, other.length); n += 1) {
      const by = rank(one[n] ?? "", other[n] ?? "");
      if (by !== 0) return by;
    }
    return other.length - one.length;
  };
  const all = units.flatMap((unit) => chains([unit])).sort(compare);
  return [...(all[0] ?? [])].reverse();
}

it("is what all chains of all pairs give, however branches and dependencies lie", () => {
  fc.assert(
    fc.property(fc.array(made, { minLength: 1, maxLength: 7 }), (all) => {
      const nodes = grown(all);
      expect(path(nodes)).toEqual(brute(nodes));
    }),
    { numRuns: 500 },
  );
});

it("twenty thousand steps in a row, each waiting for the one before, are no trouble", () => {
  const chain = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, n) => [
      `n${n}`,
      at(n, n + 1, n === 0 ? {} : { depends_on: [`n${n - 1}`] }),
    ]),
  );
  expect(path(chain)).toHaveLength(20_000);
});
