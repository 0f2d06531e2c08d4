import type { ReactNode } from "react";
import { cost, type Spent, tokensOf, totalTokens } from "../core/index.ts";
import "./usage.css";

const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** A number of tokens in few characters: `12.3K`. */
export function shortCount(count: number): string {
  return SHORT.format(count);
}

/** US dollars: cents as they are, less than that with two digits that matter. */
export function dollars(amount: number): string {
  if (amount === 0) return "$0";
  if (amount >= 0.1)
    return `$${amount.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  return `$${amount.toLocaleString("en", { maximumSignificantDigits: 2, maximumFractionDigits: 9 })}`;
}

const NAMES: Readonly<Record<string, string>> = {
  input_tokens: "input",
  output_tokens: "output",
  cache_read_input_tokens: "of it from a cache",
  cache_creation_input_tokens: "of it written to a cache",
  reasoning_output_tokens: "of it reasoning",
  total_tokens: "tokens in all",
};
const ORDER = [
  "input_tokens",
  "cache_read_input_tokens",
  "cache_creation_input_tokens",
  "output_tokens",
  "reasoning_output_tokens",
  "total_tokens",
];

/** In words: each kind of token, and the cost. */
export function spentWords(found: Spent): string {
  const tokens = tokensOf(found);
  const said = ORDER.filter((name) => tokens[name] !== undefined).map(
    (name) => `${(tokens[name] ?? 0).toLocaleString("en")} ${NAMES[name]}`,
  );
  if (cost(found) > 0) said.push(dollars(cost(found)));
  return said.join(", ");
}

/** Tokens and cost in a few characters; the rest in words for who points at it or listens. */
export function Spending({ spent, className = "" }: { spent: Spent; className?: string }): ReactNode {
  const tokens = totalTokens(spent);
  const price = cost(spent);
  const words = spentWords(spent);
  return (
    <span className={`spending ${className}`} title={words}>
      {tokens > 0 && <span aria-hidden="true">{shortCount(tokens)} tok</span>}
      {price > 0 && <span aria-hidden="true">{dollars(price)}</span>}
      <span className="hidden-text">{words}</span>
    </span>
  );
}

/** Each kind of token with its number, and the cost. */
export function SpendingTable({ spent }: { spent: Spent }): ReactNode {
  const tokens = tokensOf(spent);
  return (
    <dl className="fields spending-table">
      {ORDER.filter((name) => tokens[name] !== undefined).map((name) => (
        <Line key={name} name={NAMES[name] ?? name} value={(tokens[name] ?? 0).toLocaleString("en")} />
      ))}
      {cost(spent) > 0 && <Line name="cost" value={dollars(cost(spent))} />}
    </dl>
  );
}

function Line({ name, value }: { name: string; value: string }): ReactNode {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}
