/**
 * JSON with integers as they are: those that a `number` would round (beyond 2^53) become `bigint`, and are written as they
 * came. Text without a run of 16 digits, which is nearly all, costs one look more than `JSON.parse`.
 */
const LONG = 16;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const INTEGER = /^-?\d+$/;
/** Stands before the digits in a string that takes an integer's place; no document can contain it. */
const MARK = `int:${Math.random()}${Math.random()}:`;
const WRITTEN = new RegExp(`"${MARK.replaceAll(".", "\\.")}(-?\\d+)"`, "g");

/** Reads JSON. */
export type Parse = (text: string) => unknown;

/** As `JSON.parse`, with unsafe integers as `bigint`. */
export function parseExact(text: string): unknown {
  if (!hasLongRun(text)) return JSON.parse(text);
  const marked = markedIn(text);
  if (marked === text) return JSON.parse(text);
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  );
}

/** As `JSON.stringify`, also of what has a `bigint` in it, which is written as the integer that it is. */
export function writeExact(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, null, indent);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  const marked = JSON.stringify(
    value,
    (_, one: unknown) => (typeof one === "bigint" ? `${MARK}${one}` : one),
    indent,
  );
  return marked.replaceAll(WRITTEN, "$1");
}

/** Whether 16 digits stand in a row. A run of so many has one at a place that 16 divides: only those are looked at. */
function hasLongRun(text: string): boolean {
  for (let at = LONG - 1; at < text.length; at += LONG) {
    if (!isDigit(text, at)) continue;
    let from = at;
    while (isDigit(text, from - 1)) from -= 1;
    let to = at + 1;
    while (to - from < LONG && isDigit(text, to)) to += 1;
    if (to - from >= LONG) return true;
  }
  return false;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
}

/** The text with each unsafe integer outside of strings as a marked string. */
function markedIn(text: string): string {
  const found: string[] = [];
  let at = 0;
  while (at < text.length) {
    const quote = text.indexOf('"', at);
    const open = quote < 0 ? text.length : quote;
    found.push(markedNumbers(text.slice(at, open)));
    at = quote < 0 ? open : endOfString(text, open);
    found.push(text.slice(open, at));
  }
  return found.join("");
}

function markedNumbers(between: string): string {
  if (!hasLongRun(between)) return between;
  return between.replaceAll(NUMBER, (one) =>
    INTEGER.test(one) && !Number.isSafeInteger(Number(one)) ? `"${MARK}${one}"` : one,
  );
}

/** Behind the quote that ends the string which begins at `open`. */
function endOfString(text: string, open: number): number {
  for (let at = open + 1; ; at += 1) {
    at = text.indexOf('"', at);
    if (at < 0) return text.length;
    let before = at - 1;
    while (text[before] === "\\") before -= 1;
    if ((at - before) % 2 === 1) return at + 1;
  }
}
