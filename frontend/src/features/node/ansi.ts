/** Lines with ANSI colours, as pieces with a class each. What is no colour (cursor moves, titles) is left out. */

export interface Piece {
  readonly text: string;
  readonly classes: string;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const SEQUENCE = /\u001b(?:\[([0-9;:]*)([A-Za-z])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[()][A-Z0-9]|[=>])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the ones that are nothing to look at
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g;
const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

interface Pen {
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  front: string | null;
}

const PLAIN: Pen = { bold: false, dim: false, italic: false, underline: false, front: null };

export function pieces(line: string): Piece[] {
  if (!line.includes("\u001b")) return [{ text: clean(line), classes: "" }];
  const found: Piece[] = [];
  let pen = PLAIN;
  let from = 0;
  const add = (text: string) => {
    if (text !== "") found.push({ text: clean(text), classes: classes(pen) });
  };
  for (const match of line.matchAll(SEQUENCE)) {
    add(line.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === "m") pen = drawn(pen, match[1] ?? "");
  }
  add(line.slice(from));
  return found;
}

/** A line as plain text, for search and download. */
export function plain(line: string): string {
  return clean(line.replaceAll(SEQUENCE, ""));
}

function clean(text: string): string {
  // A carriage return draws the line anew: what stands after the last one is what a terminal would show.
  const last = text.replace(/\r+$/, "").split("\r").at(-1) ?? "";
  return last.replaceAll(CONTROL, "");
}

function drawn(pen: Pen, codes: string): Pen {
  const numbers = codes.split(/[;:]/).map((one) => Number(one || 0));
  let next = { ...pen };
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at] ?? 0;
    if (code === 0) next = { ...PLAIN };
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 22) next = { ...next, bold: false, dim: false };
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code >= 30 && code <= 37) next.front = NAMES[code - 30] ?? null;
    else if (code >= 90 && code <= 97) next.front = NAMES[code - 90] ?? null;
    else if (code === 39) next.front = null;
    else if (code === 38 || code === 48) {
      const [front, used] = extended(numbers, at);
      if (code === 38) next.front = front;
      at += used;
    }
  }
  return next;
}

/** One of 256 colours, or of all: the nearest of the eight, which are told apart on either background. */
function extended(numbers: readonly number[], at: number): [string | null, number] {
  if (numbers[at + 1] === 5) {
    const index = numbers[at + 2] ?? 0;
    if (index < 16) return [NAMES[index % 8] ?? null, 2];
    if (index >= 232) return [index > 243 ? "white" : "black", 2];
    const cube = index - 16;
    return [nearest((Math.floor(cube / 36) % 6) * 51, (Math.floor(cube / 6) % 6) * 51, (cube % 6) * 51), 2];
  }
  if (numbers[at + 1] === 2)
    return [nearest(numbers[at + 2] ?? 0, numbers[at + 3] ?? 0, numbers[at + 4] ?? 0), 4];
  return [null, 0];
}

function nearest(red: number, green: number, blue: number): string | null {
  const most = Math.max(red, green, blue) / 2;
  if (most < 30) return "black";
  return NAMES[(red > most ? 1 : 0) + (green > most ? 2 : 0) + (blue > most ? 4 : 0)] ?? null;
}

function classes(pen: Pen): string {
  const found: string[] = [];
  if (pen.bold) found.push("ansi-bold");
  if (pen.dim) found.push("ansi-dim");
  if (pen.italic) found.push("ansi-italic");
  if (pen.underline) found.push("ansi-underline");
  if (pen.front !== null) found.push(`ansi-${pen.front}`);
  return found.join(" ");
}
