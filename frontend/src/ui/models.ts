/** Tokens and cost by the model that took them. */
import { cost, type Spent, spentOf, sumSpent, type TreeSnapshot, text, totalTokens } from "../core/index.ts";

export interface ModelSpent {
  /** Null: of nodes that name none. */
  readonly model: string | null;
  readonly nodes: number;
  readonly spent: Spent;
}

/** What the nodes of a branch used, or all nodes, the dearest model first. A node's attempts count for its present model. */
export function byModel({ nodes, shape }: TreeSnapshot, root: string | null): ModelSpent[] {
  const found = new Map<string | null, ModelSpent>();
  const down = root === null ? [...nodes.keys()] : [root];
  for (const id of down) {
    if (root !== null) down.push(...shape.children(id));
    const fields = nodes.get(id);
    const used = spentOf(fields);
    if (used === null) continue;
    const model = text(fields, "model") ?? null;
    const before = found.get(model);
    const spent = sumSpent(before?.spent ?? null, used) ?? used;
    found.set(model, { model, nodes: (before?.nodes ?? 0) + 1, spent });
  }
  return [...found.values()].sort(
    (one, other) => cost(other.spent) - cost(one.spent) || totalTokens(other.spent) - totalTokens(one.spent),
  );
}
