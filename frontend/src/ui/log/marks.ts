/** Text of a line with what was searched for marked in it, over the borders of its colours. */
import type { LogLine } from "../../core/index.ts";
import { type Piece, pieces } from "./ansi.ts";
import type { TextItem } from "./groups.ts";

export interface MarkedPiece extends Piece {
  readonly marked: boolean;
}

const drawn = new WeakMap<LogLine, readonly Piece[]>();

function piecesOf(line: LogLine): readonly Piece[] {
  let found = drawn.get(line);
  if (found === undefined) {
    found = pieces(line.message);
    drawn.set(line, found);
  }
  return found;
}

/** What is shown of an item. `words`: mark these, large or small; empty: nothing. */
export function markedPieces({ line, rows }: TextItem, words: string): MarkedPiece[] {
  const all = rows === null ? piecesOf(line) : ofRows(piecesOf(line), rows);
  const text = all.map((one) => one.text).join("");
  const places =
    words === ""
      ? []
      : [...text.matchAll(pattern(words))].map((one) => [one.index, one.index + one[0].length]);
  const found: MarkedPiece[] = [];
  let at = 0;
  let next = 0;
  for (const { text: part, classes } of all) {
    const end = at + part.length;
    let from = at;
    while (from < end) {
      while (next < places.length && places[next]![1]! <= from) next += 1;
      const [first = end, last = end] = places[next] ?? [];
      const marked = first <= from;
      const to = Math.min(end, marked ? last : first);
      found.push({ text: text.slice(from, to), classes, marked });
      from = to;
    }
    at = end;
  }
  return found;
}

function pattern(words: string): RegExp {
  return new RegExp(words.replaceAll(/[.*+?^${}()|[\]\\/-]/g, "\\$&"), "gi");
}

function ofRows(all: readonly Piece[], [from, to]: readonly [number, number]): Piece[] {
  const rows: Piece[][] = [[]];
  for (const piece of all) {
    if (piece.text === "\n" && piece.classes === "") rows.push([]);
    else rows.at(-1)?.push(piece);
  }
  return rows.slice(from, to).flatMap((row, n) => (n === 0 ? row : [{ text: "\n", classes: "" }, ...row]));
}
