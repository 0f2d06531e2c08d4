import type { ReactNode } from "react";
import { cost, totalTokens } from "../core/index.ts";
import type { ModelSpent } from "./models.ts";
import { count } from "./time.ts";
import { dollars, spentWords } from "./usage.tsx";

/** A line for each model: on how many nodes it was called, tokens and cost. */
export function ModelsTable({ models }: { models: readonly ModelSpent[] }): ReactNode {
  return (
    <table className="plain models">
      <thead>
        <tr>
          <th>Model</th>
          <th className="num">Nodes</th>
          <th className="num">Tokens</th>
          <th className="num">Cost</th>
        </tr>
      </thead>
      <tbody>
        {models.map(({ model, nodes, spent }) => (
          <tr key={model ?? ""} title={spentWords(spent)}>
            <td>{model === null ? <span className="muted">no model named</span> : <bdi>{model}</bdi>}</td>
            <td className="num">{count(nodes)}</td>
            <td className="num">{count(totalTokens(spent))}</td>
            <td className="num">{dollars(cost(spent))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
