/**
 * The colours and styles that text of a `log` message is written in; the same as the CLI's (`tasktree_rt/core/text_style.py`).
 *
 * A pen is the parameters of one SGR sequence that makes a plain terminal write so, in a fixed order: `""`, `"1;31"`,
 * `"4;38;5;200"`. Blinking and concealed text is written plainly: output is there to be read.
 */
export const PLAIN = "";

const ORDER = ["bold", "dim", "italic", "underline", "inverse", "strike", "front", "back"] as const;
type Name = (typeof ORDER)[number];
type Style = Partial<Record<Name, string>>;

const ON: Readonly<Record<number, Name>> = {
  1: "bold",
  2: "dim",
  3: "italic",
  4: "underline",
  7: "inverse",
  9: "strike",
  21: "underline",
};
const CODES: Style = { bold: "1", dim: "2", italic: "3", underline: "4", inverse: "7", strike: "9" };
const OFF: Readonly<Record<number, readonly Name[]>> = {
  0: ORDER,
  22: ["bold", "dim"],
  23: ["italic"],
  24: ["underline"],
  27: ["inverse"],
  29: ["strike"],
  39: ["front"],
  49: ["back"],
};

/** The pen after an SGR sequence with these parameters. */
export function changed(pen: string, params: string): string {
  const style: Style = {};
  for (const given of [pen, params]) {
    if (given === "" && given === pen) continue;
    const parts = given.split(";");
    for (let at = 0; at < parts.length; ) at += take(style, parts, at);
  }
  return ORDER.map((name) => style[name])
    .filter((one) => one !== undefined)
    .join(";");
}

/** Apply the parameter at `at`; returns how many parameters belong to it. */
function take(style: Style, parts: readonly string[], at: number): number {
  const [head = "", ...sub] = (parts[at] ?? "").split(":");
  const code = number(head);
  if (code === 38 || code === 48) {
    const [colour, used] = wide(code, sub.length > 0 ? sub : parts.slice(at + 1, at + 5), sub.length > 0);
    if (colour !== null) style[code === 38 ? "front" : "back"] = colour;
    return sub.length > 0 ? 1 : 1 + used;
  }
  const on = ON[code];
  if (OFF[code] !== undefined) for (const name of OFF[code]) delete style[name];
  else if (code === 4 && sub.length > 0 && number(sub[0] ?? "") === 0) delete style.underline;
  else if (on !== undefined) style[on] = CODES[on] ?? "";
  else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) style.front = String(code);
  else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) style.back = String(code);
  return 1;
}

/** One of 256 colours, or of all: the colour, and how many parameters say it. */
function wide(code: number, given: readonly string[], colons: boolean): [string | null, number] {
  const kind = given[0] === undefined ? -1 : number(given[0]);
  const byte = (text: string | undefined) => Math.min(255, number(text ?? ""));
  if (kind === 5 && given.length > 1) return [`${code};5;${byte(given[1])}`, 2];
  // With colons a colour space, mostly empty, may stand before the three.
  const rest = colons && given.length > 4 ? given.slice(2) : given.slice(1);
  if (kind === 2 && rest.length > 2)
    return [`${code};2;${byte(rest[0])};${byte(rest[1])};${byte(rest[2])}`, 4];
  return [null, given.length > 0 ? 1 : 0];
}

/** A parameter; empty is 0, and what is no number is none that means anything. */
function number(text: string): number {
  return /^[0-9]{0,5}$/.test(text) ? Number(text) : 99_999;
}
