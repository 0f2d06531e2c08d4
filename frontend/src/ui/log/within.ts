import { type TreeStore, text } from "../../core/index.ts";

/** Whether a node is another, or below it, as the tree is now: a line may come in the same moment as its node. */
export function within(tree: TreeStore, above: string, nodeId: string | null): boolean {
  const seen = new Set<string>();
  for (
    let at = nodeId ?? undefined;
    at !== undefined && !seen.has(at);
    at = text(tree.node(at), "parent_id")
  ) {
    if (at === above) return true;
    seen.add(at);
  }
  return false;
}
