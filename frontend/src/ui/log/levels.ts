/** How much the level of a line matters. */
const RANKS: Readonly<Record<string, number>> = {
  trace: 0,
  debug: 0,
  info: 1,
  notice: 1,
  warn: 2,
  warning: 2,
  error: 3,
  critical: 3,
  fatal: 3,
};

/** What a filter of levels may be: these and worse. */
export const LEVELS = ["all", "info", "warning", "error"] as const;
export type Level = (typeof LEVELS)[number];

/** An unknown level is `info`. */
function rank(level: string): number {
  return RANKS[level.toLowerCase()] ?? 1;
}

export function atLeast(level: string, least: Level): boolean {
  return least === "all" || rank(level) >= (RANKS[least] ?? 0);
}

export function isError(level: string): boolean {
  return rank(level) === 3;
}
