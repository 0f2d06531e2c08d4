/** The frames of a traceback as Python, JavaScript and Java write them: whose code each is, and which can be folded. */

export interface Part {
  /** Text outside of frames; one's own frame; or frames of libraries, which stand together. */
  readonly kind: "text" | "own" | "foreign";
  readonly lines: readonly string[];
  /** How many frames. */
  readonly frames: number;
  /** The libraries of folded frames, each once. */
  readonly names: readonly string[];
}

const PYTHON = /^([\s|+-]*)File "([^"]+)", line \d+/;
const ARROW = /^(\s+)at (.*(?::\d+\)?|\((?:native code|Native Method|Unknown Source|<anonymous>)\)))$/;

/** Where code is that people debug last: installed packages, standard libraries, what a runtime makes up. */
const FOREIGN =
  /[\\/](?:site-packages|dist-packages|node_modules)[\\/]|[\\/]lib(?:64)?[\\/]python\d|^<(?!stdin>|string>)|node:|^(?:java|javax|jdk|sun|kotlin|scala)\./;

interface Frame {
  readonly indent: number;
  readonly place: string;
}

function frameOf(line: string): Frame | null {
  const python = PYTHON.exec(line);
  if (python !== null) return { indent: python[1]?.length ?? 0, place: python[2] ?? "" };
  const arrow = ARROW.exec(line);
  if (arrow === null) return null;
  const place = /\(([^)]+:\d+(?::\d+)?)\)$/.exec(arrow[2] ?? "")?.[1];
  const java = /^[\w$.<>]+\([\w$]+\.\w+:\d+\)$/.test(arrow[2] ?? "");
  return { indent: arrow[1]?.length ?? 0, place: java || place === undefined ? (arrow[2] ?? "") : place };
}

/** The package that a place is in. */
function nameOf(place: string): string {
  const installed = /[\\/](?:site-packages|dist-packages|node_modules)[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(
    place,
  );
  if (installed !== null) return (installed[1] ?? "").replace(/\.py$/, "");
  if (/node:/.test(place)) return "node";
  return /[\\/]lib(?:64)?[\\/]python\d|^</.test(place) ? "python" : (place.split(".")[0] ?? place);
}

const indentOf = (line: string) => /^[\s|+-]*/.exec(line)?.[0].length ?? 0;

interface Piece {
  readonly lines: string[];
  readonly place: string | null;
}

/** The text in pieces: a frame with the lines that belong to it, or one line outside of any. */
function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let open: { piece: Piece; indent: number } | null = null;
  for (const line of text.split("\n")) {
    const frame = frameOf(line);
    if (frame !== null) {
      const piece: Piece = { lines: [line], place: frame.place };
      found.push(piece);
      open = { piece, indent: frame.indent };
    } else if (open !== null && indentOf(line) > open.indent) open.piece.lines.push(line);
    else {
      open = null;
      found.push({ lines: [line], place: null });
    }
  }
  return found;
}

/** Whether a text has frames of a traceback. */
export function isTraceback(text: string): boolean {
  return text.split("\n").some((line) => frameOf(line) !== null);
}

/** A traceback in parts. If no frame is one's own, the one nearest to the fault counts as that. */
export function traceback(text: string): Part[] {
  const all = pieces(text);
  const frames = all.filter(({ place }) => place !== null);
  const nearest = /^\s+at /.test(frames[0]?.lines[0] ?? "") ? frames[0] : frames.at(-1);
  const owned = frames.some(({ place }) => !FOREIGN.test(place ?? ""));
  const kindOf = (piece: Piece): Part["kind"] => {
    if (piece.place === null) return "text";
    return !FOREIGN.test(piece.place) || (!owned && piece === nearest) ? "own" : "foreign";
  };
  const parts: { kind: Part["kind"]; lines: string[]; frames: number; names: string[] }[] = [];
  for (const piece of all) {
    const kind = kindOf(piece);
    let last = parts.at(-1);
    if (last === undefined || last.kind !== kind) {
      last = { kind, lines: [], frames: 0, names: [] };
      parts.push(last);
    }
    last.lines.push(...piece.lines);
    if (piece.place === null) continue;
    last.frames += 1;
    const name = nameOf(piece.place);
    if (kind === "foreign" && !last.names.includes(name)) last.names.push(name);
  }
  return parts;
}
