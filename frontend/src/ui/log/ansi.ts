/** Lines of output, as pieces with a class each: what a terminal shows of a message, in the colours of the page. */
import { shownLines, shownText } from "../../core/terminal.ts";

export interface Piece {
  readonly text: string;
  readonly classes: string;
}

const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const STYLES: Readonly<Record<string, string>> = {
  "1": "ansi-bold",
  "2": "ansi-dim",
  "3": "ansi-italic",
  "4": "ansi-underline",
  "9": "ansi-strike",
};

export function pieces(message: string): Piece[] {
  const found: Piece[] = [];
  shownLines(message).forEach((line, at) => {
    if (at > 0) found.push({ text: "\n", classes: "" });
    for (const { text, pen } of line) found.push({ text, classes: classes(pen) });
  });
  return found;
}

/** A line of output as text, as the command line prints it, with the node where one is given; what goes on is indented. */
export function printed(
  timestamp: string,
  level: string,
  message: string,
  nodeId: string | null = null,
): string {
  const said = nodeId === null ? "" : ` ${word(nodeId)}:`;
  return `${timestamp} ${word(level).padEnd(7)}${said} ${shownText(message).replaceAll("\n", "\n    ")}`;
}

function word(text: string): string {
  return shownText(text).replaceAll("\n", " ").slice(0, 200);
}

/** The class of a pen's styles and of its colour; backgrounds are the page's own. */
function classes(pen: string): string {
  if (pen === "") return "";
  const parts = pen.split(";").map(Number);
  const found: string[] = [];
  for (let at = 0; at < parts.length; at += 1) {
    const code = parts[at] ?? 0;
    if (code === 38 || code === 48) {
      const colour = extended(parts, at);
      if (code === 38 && colour !== null) found.push(`ansi-${colour}`);
      at += parts[at + 1] === 5 ? 2 : 4;
    } else {
      const style = STYLES[code] ?? coloured(code);
      if (style !== null) found.push(style);
    }
  }
  return found.join(" ");
}

function coloured(code: number): string | null {
  if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) return `ansi-${NAMES[code % 10]}`;
  return null;
}

/** One of 256 colours, or of all: the nearest of the eight, which differ on either background. */
function extended(parts: readonly number[], at: number): string | null {
  if (parts[at + 1] !== 5) return nearest(parts[at + 2] ?? 0, parts[at + 3] ?? 0, parts[at + 4] ?? 0);
  const index = parts[at + 2] ?? 0;
  if (index < 16) return NAMES[index % 8] ?? null;
  if (index >= 232) return index > 243 ? "white" : "black";
  const cube = index - 16;
  return nearest((Math.floor(cube / 36) % 6) * 51, (Math.floor(cube / 6) % 6) * 51, (cube % 6) * 51);
}

function nearest(red: number, green: number, blue: number): string | null {
  const most = Math.max(red, green, blue) / 2;
  if (most < 30) return "black";
  return NAMES[(red > most ? 1 : 0) + (green > most ? 2 : 0) + (blue > most ? 4 : 0)] ?? null;
}
