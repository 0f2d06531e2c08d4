/**
 * What a terminal shows of a `log` message: the rule of docs/protocol.md, "Log text". `tasktree_rt/core/terminal.py` is the
 * same rule for the command line; both pass `tests/cases/log_text.json`. The cost is linear in the message's length.
 */
import { changed, PLAIN } from "./pen.ts";

/** Text written with one pen: the parameters of an SGR sequence, as in `pen.ts`. */
export interface Run {
  readonly text: string;
  readonly pen: string;
}

const TAB = 8;
/** A move to the right of all text of its line ends here. */
const WIDEST = 160;
/** Marks that one character carries; further ones have columns of their own. */
const MOST_MARKS = 16;
const FURTHEST = 9_999;
/** What fills the columns of a tab after its first. */
const ABSORBED = "";

const SURROGATES = /\p{Surrogate}/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const SPECIAL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]|\p{Surrogate}/u;
const MARK = /[\p{M}\u200d]/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: all but these is plain
const ASCII = /^[\u0000-\u007f]*$/;
/** Text; CSI; a title, a link or a picture to the end that it has (without one it is no sequence); short ones; controls. */
const TOKEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: sequences begin with one
  /([^\u0000-\u001f\u007f-\u009f\u2028\u2029]+)|(?:\u001b\[|\u009b)([0-?]*)([ -/]*)([@-~])|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0000-\u001f\u0080-\u009f]*(?:\u0007|\u001b\\|\u009c)|\u001b(?:[ -/]+[0-~]|[0-OQ-WYZ\\`-~])|([\u0000-\u001f\u007f-\u009f\u2028\u2029])/g;
const ENDS = "\n\v\f\u0085\u2028\u2029";

/** The lines that a terminal shows, without empty ones at the end; at least one. */
export function shownLines(message: string): Run[][] {
  const lines = SPECIAL.test(message) ? screened(message) : split(message);
  while (lines.length > 1 && lines.at(-1)?.length === 0) lines.pop();
  return lines;
}

/** The same without colours, as one text. */
export function shownText(message: string): string {
  if (!SPECIAL.test(message)) return message.replace(/\n+$/, "");
  return shownLines(message)
    .map((line) => line.map((run) => run.text).join(""))
    .join("\n");
}

function split(message: string): Run[][] {
  return message.split("\n").map((text) => (text === "" ? [] : [{ text, pen: PLAIN }]));
}

function screened(message: string): Run[][] {
  const screen = new Screen();
  for (const token of message.replace(SURROGATES, "\ufffd").matchAll(TOKEN)) screen.take(token);
  return screen.lines();
}

/** One line of the screen. */
class Row {
  /** Columns that hold text; the lists below may be longer. */
  length = 0;
  /** A character for each column, with the marks that it carries. */
  readonly cells: string[] = [];
  readonly pens: string[] = [];
  /** When each was written. */
  readonly times: number[] = [];
  /** Columns up to which all older text was erased, and when; each nearer and later than the last. */
  readonly #erased: [column: number, when: number][] = [];
  /** When the cursor last came to this line or wrote in it. */
  touched = 0;

  put(column: number, cell: string, pen: string, now: number): void {
    this.cells[column] = cell;
    this.pens[column] = pen;
    this.times[column] = now;
    if (column >= this.length) this.length = column + 1;
  }

  fill(column: number, cell: string, pen: string, now: number): void {
    while (this.length < column) this.put(this.length, cell, pen, now);
  }

  /** Blanks up to a column, as far as a line is wide; returns the column that is reached. */
  pad(column: number, now: number): number {
    const reached = Math.min(column, Math.max(this.length, WIDEST));
    this.fill(reached, " ", PLAIN, now);
    return reached;
  }

  /** Erase from a column to the end. */
  cut(column: number): void {
    this.length = Math.min(this.length, column);
  }

  /** Erase from the beginning to a column, that column included. */
  eraseTo(column: number, now: number): void {
    while ((this.#erased.at(-1)?.[0] ?? Number.POSITIVE_INFINITY) <= column) this.#erased.pop();
    this.#erased.push([column, now]);
  }

  /** Give the character before a column a mark; returns whether it takes it. */
  mark(column: number, char: string): boolean {
    const before = column > this.length ? undefined : this.cells[column - 1];
    if (before === undefined || before === ABSORBED || [...before].length > MOST_MARKS) return false;
    this.cells[column - 1] = before + char;
    return true;
  }

  /** What is to be seen of it: text written at `since` or later, and not erased. */
  runs(since: number): Run[] {
    const cells = this.cells.slice(0, this.length);
    const seen = this.#erase(cells, since);
    spreadTabs(cells);
    return joined(cells.slice(0, seen), this.pens);
  }

  /** Blank what was erased; returns up to which column there is text. */
  #erase(cells: string[], since: number): number {
    let cutoff = since;
    let seen = 0;
    let next = 0;
    for (let at = cells.length - 1; at >= 0; at -= 1) {
      for (; (this.#erased[next]?.[0] ?? -1) >= at; next += 1)
        cutoff = Math.max(cutoff, this.#erased[next]?.[1] ?? 0);
      if ((this.times[at] ?? 0) < cutoff) cells[at] = " ";
      else if (seen === 0) seen = at + 1;
    }
    return seen;
  }
}

/** Lines in both directions from where the message begins, and a cursor. */
class Screen {
  readonly #rows = new Map<number, Row>([[0, new Row()]]);
  #row = 0;
  #column = 0;
  #bottom = 0;
  #now = 0;
  #pen = PLAIN;
  /** Lines below which everything older was erased, and when; each lower and later than the last. */
  readonly #below: [row: number, when: number][] = [];

  take([, text, params = "", between = "", final, control]: RegExpExecArray): void {
    this.#now += 1;
    if (text !== undefined) this.#write(text);
    else if (control !== undefined) this.#control(control);
    else if (final !== undefined && between === "" && !/^[<=>?]/.test(params)) this.#sequence(final, params);
  }

  lines(): Run[][] {
    const found: Run[][] = [];
    let next = 0;
    let cutoff = 0;
    for (const [at, row] of [...this.#rows].sort(([one], [other]) => one - other)) {
      for (; (this.#below[next]?.[0] ?? Number.POSITIVE_INFINITY) < at; next += 1)
        cutoff = this.#below[next]?.[1] ?? 0;
      if (row.touched >= cutoff) found.push(row.runs(cutoff));
    }
    return found.length > 0 ? found : [[]];
  }

  #here(): Row {
    let row = this.#rows.get(this.#row);
    if (row === undefined) {
      row = new Row();
      this.#rows.set(this.#row, row);
    }
    row.touched = this.#now;
    this.#bottom = Math.max(this.#bottom, this.#row);
    return row;
  }

  #write(text: string): void {
    const row = this.#here();
    this.#column = row.pad(this.#column, this.#now);
    const plain = ASCII.test(text);
    for (const char of text) {
      if (!plain && MARK.test(char) && row.mark(this.#column, char)) continue;
      row.put(this.#column, char, this.#pen, this.#now);
      this.#column += 1;
    }
  }

  #control(char: string): void {
    if (ENDS.includes(char)) {
      this.#row += 1;
      this.#column = 0;
      this.#here();
    } else if (char === "\r") this.#column = 0;
    else if (char === "\b") this.#column = Math.max(0, this.#column - 1);
    else if (char === "\t") this.#tab();
  }

  #tab(): void {
    const row = this.#here();
    const from = row.pad(this.#column, this.#now);
    this.#column = (Math.floor(from / TAB) + 1) * TAB;
    if (from === row.length) {
      row.put(from, "\t", this.#pen, this.#now);
      row.fill(this.#column, ABSORBED, this.#pen, this.#now);
    } else row.fill(this.#column, " ", PLAIN, this.#now);
  }

  #sequence(final: string, params: string): void {
    if (final === "m") this.#pen = changed(this.#pen, params);
    else if (final === "K" || final === "J") this.#erase(final, count(params, 0));
    else if (final === "H" || final === "f") this.#elsewhere();
    else this.#move(final, Math.max(1, count(params, 1)));
  }

  #move(final: string, by: number): void {
    if ("EF".includes(final)) this.#column = 0;
    if ("BE".includes(final)) this.#row += by;
    else if ("AF".includes(final)) this.#row -= by;
    else if ("Ca".includes(final)) this.#column += by;
    else if (final === "D") this.#column = Math.max(0, this.#column - by);
    else if ("G`".includes(final)) this.#column = by - 1;
  }

  /** A place on a screen that a log does not have: a line of its own. */
  #elsewhere(): void {
    this.#row = this.#bottom + ((this.#rows.get(this.#bottom)?.length ?? 0) > 0 ? 1 : 0);
    this.#column = 0;
  }

  #erase(final: "K" | "J", kind: number): void {
    const row = this.#rows.get(this.#row);
    if (kind === 0) row?.cut(this.#column);
    else if (final === "K" && kind === 2) row?.cut(0);
    else if (final === "K" && kind === 1) row?.eraseTo(this.#column, this.#now);
    if (final === "K" || kind !== 0) return;
    while ((this.#below.at(-1)?.[0] ?? Number.NEGATIVE_INFINITY) >= this.#row) this.#below.pop();
    this.#below.push([this.#row, this.#now]);
    this.#bottom = this.#row;
  }
}

function count(params: string, otherwise: number): number {
  const digits = params.split(";", 1)[0] ?? "";
  if (!/^[0-9]+$/.test(digits)) return otherwise;
  return digits.length > 4 ? FURTHEST : Number(digits);
}

/** Make blanks of each tab of which a part was overwritten. */
function spreadTabs(cells: string[]): void {
  for (let at = 0; at < cells.length; at += 1) {
    if (cells[at] !== "\t" && cells[at] !== ABSORBED) continue;
    const stop = at + TAB - (at % TAB);
    let whole = cells[at] === "\t" && stop <= cells.length;
    for (let next = at + 1; whole && next < stop; next += 1) whole = cells[next] === ABSORBED;
    if (whole) at = stop - 1;
    else cells[at] = " ";
  }
}

/** Neighbours of one pen as one run. */
function joined(cells: readonly string[], pens: readonly string[]): Run[] {
  const found: Run[] = [];
  let from = 0;
  for (let at = 1; at <= cells.length; at += 1) {
    if (at < cells.length && pens[at] === pens[from]) continue;
    const text = cells.slice(from, at).join("");
    if (text !== "") found.push({ text, pen: pens[from] ?? PLAIN });
    from = at;
  }
  return found;
}
