import { expect, it } from "vitest";
import { tree } from "../../test/trees.ts";
import { cost, totalTokens } from "../core/index.ts";
import { byModel } from "./models.ts";

const used = (total_tokens: number, cost_usd: number) => ({ usage: { total_tokens }, cost_usd });
const TREE = tree({
  agent: { kind: "agent" },
  plan: { parent_id: "agent", model: "large", ...used(10, 1) },
  again: {
    parent_id: "plan",
    model: "large",
    ...used(5, 0.5),
    ended_usage: { total_tokens: 1, cost_usd: 0.25 },
  },
  small: { parent_id: "agent", model: "small", ...used(1000, 0.125) },
  tool: { parent_id: "agent", ...used(0, 0.0625) },
  other: { model: "small", ...used(7, 4) },
});
const words = (root: string | null) =>
  byModel(TREE, root).map(({ model, nodes, spent }) => [model, nodes, totalTokens(spent), cost(spent)]);

it("sums what each model took, all attempts included, the dearest first", () => {
  expect(words(null)).toEqual([
    ["small", 2, 1007, 4.125],
    ["large", 2, 16, 1.75],
    [null, 1, 0, 0.0625],
  ]);
});

it("of a branch only what is in it", () => {
  expect(words("agent")).toEqual([
    ["large", 2, 16, 1.75],
    ["small", 1, 1000, 0.125],
    [null, 1, 0, 0.0625],
  ]);
  expect(words("other")).toEqual([["small", 1, 7, 4]]);
  expect(words("nothing")).toEqual([]);
});
