/**
 * Groups of lines that fold: GitHub's `::group::name` and `::endgroup::` (shown in its own logs as `##[group]name`), and
 * Buildkite's `--- name`, `+++ name`, `~~~ name` and `^^^ +++`. A group is of one node, and ends where the next one begins.
 */
import { type LogLine, shownText } from "../../core/index.ts";
import { isError } from "./levels.ts";

/** A line of the log as it is shown; `rows`: only these lines of its text, from one to before another. */
export interface TextItem {
  readonly kind: "text";
  readonly line: LogLine;
  readonly rows: readonly [number, number] | null;
}

export interface GroupItem {
  readonly kind: "group";
  readonly key: string;
  readonly line: LogLine;
  readonly name: string;
  readonly open: boolean;
  /** Lines in it, and those of them that tell of an error. */
  readonly size: number;
  readonly errors: number;
}

export type Item = TextItem | GroupItem;

type Mark = { readonly name: string; readonly open: boolean } | "end" | "open";

const QUICK =
  /::(?:end)?group::|##\[(?:end)?group\]|^(?:[^\w\s]*\[[\d;]*m)?(?:---|\+\+\+|~~~) \S|\^\^\^ \+\+\+/m;
const OPENS = /^(?:::group::|##\[group\])(.*)$/;
const ENDS = /^(?:::endgroup::|##\[endgroup\])/;
const HEADING = /^(---|\+\+\+|~~~) (\S.*)$/;
/** Of a diff, which has such lines too. */
const FILE = /^(?:[ab]\/|\/dev\/null)|\t/;

function markOf(text: string, after: string | undefined, before: string | undefined): Mark | null {
  const opened = OPENS.exec(text);
  if (opened !== null) return { name: opened[1]?.trim() || "group", open: false };
  if (ENDS.test(text)) return "end";
  if (text.startsWith("^^^ +++")) return "open";
  const [, sign = "", name = ""] = HEADING.exec(text) ?? [];
  if (sign === "" || FILE.test(name)) return null;
  const diff = sign === "---" ? after?.startsWith("+++ ") : sign === "+++" && before?.startsWith("--- ");
  return diff === true ? null : { name, open: sign === "+++" };
}

interface Part {
  readonly mark: Mark | null;
  readonly rows: readonly [number, number];
}

const WHOLE: readonly Part[] = [];
const known = new WeakMap<LogLine, readonly Part[]>();

/** What a message has of marks and of text between them; nothing: it is text as a whole. */
function parts(line: LogLine): readonly Part[] {
  const before = known.get(line);
  if (before !== undefined) return before;
  let found = WHOLE;
  if (QUICK.test(line.message)) found = divided(shownText(line.message).split("\n"));
  known.set(line, found);
  return found;
}

function divided(rows: readonly string[]): readonly Part[] {
  const found: Part[] = [];
  let from = 0;
  for (const [at, row] of rows.entries()) {
    const mark = markOf(row, rows[at + 1], rows[at - 1]);
    if (mark === null) continue;
    if (at > from) found.push({ mark: null, rows: [from, at] });
    found.push({ mark, rows: [at, at + 1] });
    from = at + 1;
  }
  if (found.length === 0) return WHOLE;
  if (from < rows.length) found.push({ mark: null, rows: [from, rows.length] });
  return found;
}

interface Group {
  readonly item: { -readonly [K in keyof GroupItem]: GroupItem[K] };
  unfolded: boolean;
  ended: boolean;
}

/** Puts lines into the groups of their nodes. */
class Grouping {
  readonly #all: { item: Item; group: Group | null }[] = [];
  readonly #groups: Group[] = [];
  readonly #current = new Map<string | null, Group>();
  readonly #wanted: number | null;

  constructor(wanted: number | null) {
    this.#wanted = wanted;
  }

  take(line: LogLine): void {
    const found = parts(line);
    if (found === WHOLE) this.#add(line, null);
    for (const { mark, rows } of found) {
      if (mark === null) this.#add(line, rows);
      else if (mark === "end") this.#end(line.nodeId);
      else if (mark === "open") this.#unfold(line.nodeId);
      else this.#begin(line, mark.name, mark.open, rows[0]);
    }
  }

  items(said: ReadonlyMap<string, boolean>): Item[] {
    for (const { item, unfolded, ended } of this.#groups)
      item.open = said.get(item.key) ?? (unfolded || !ended || item.errors > 0);
    return this.#all.filter(({ group }) => group === null || group.item.open).map(({ item }) => item);
  }

  #begin(line: LogLine, name: string, unfolded: boolean, row: number): void {
    this.#end(line.nodeId);
    const key = `${line.epoch}:${line.seq}:${row}`;
    const item: Group["item"] = { kind: "group", key, line, name, open: false, size: 0, errors: 0 };
    const group = { item, unfolded, ended: false };
    this.#groups.push(group);
    this.#current.set(line.nodeId, group);
    this.#all.push({ item, group: null });
  }

  #unfold(nodeId: string | null): void {
    const group = this.#current.get(nodeId);
    if (group !== undefined) group.unfolded = true;
  }

  #end(nodeId: string | null): void {
    const group = this.#current.get(nodeId);
    if (group !== undefined) group.ended = true;
    this.#current.delete(nodeId);
  }

  #add(line: LogLine, rows: TextItem["rows"]): void {
    const group = this.#current.get(line.nodeId) ?? null;
    this.#all.push({ item: { kind: "text", line, rows }, group });
    if (group === null) return;
    group.item.size += 1;
    if (isError(line.level)) group.item.errors += 1;
    if (line.seq === this.#wanted) group.unfolded = true;
  }
}

/**
 * The lines with their groups. A group is open if the person said so (`said`, by key); where the person said nothing, if it
 * says so itself, tells of an error, has the line that is wanted, or goes on.
 */
export function grouped(
  lines: readonly LogLine[],
  said: ReadonlyMap<string, boolean>,
  wanted: number | null,
): Item[] {
  const grouping = new Grouping(wanted);
  for (const line of lines) grouping.take(line);
  return grouping.items(said);
}
