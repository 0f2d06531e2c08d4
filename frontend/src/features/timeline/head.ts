/** What stands above the rows: the whole run at a glance, and the axis. */
import { clock } from "../../ui/time.ts";
import type { Ink, Pen } from "./ink.ts";
import type { Range } from "./lens.ts";
import { type Columns, type Scale, ticks, x } from "./summary.ts";

/** Pixels. */
export const MINIMAP = 34;
export const AXIS = 24;

/** All of the run, how much ran when, what failed below, and the stretch that is looked at. */
export function paintMinimap(
  pen: Pen,
  ink: Ink,
  columns: Columns,
  whole: Scale,
  height: number,
  range: Range,
): void {
  const failed = ink.tones.length - 1;
  const strip = 6;
  const room = height - strip - 2;
  const total = new Int32Array(whole.width);
  let most = 1;
  for (let at = 0; at < whole.width; at += 1) {
    for (let rank = 0; rank <= failed; rank += 1) total[at]! += columns.at(rank, at);
    most = Math.max(most, total[at]!);
  }
  pen.fillStyle = ink.strong;
  for (let at = 0; at < whole.width; at += 1) {
    if (total[at] === 0) continue;
    const high = Math.max(2, (total[at]! / most) * room);
    pen.fillRect(at, 1 + room - high, 1, high);
  }
  pen.fillStyle = ink.failed;
  for (const { left, right } of columns.stretches(failed))
    pen.fillRect(left, height - strip, right - left, strip);
  paintRange(pen, ink, whole, height, range);
}

function paintRange(pen: Pen, ink: Ink, whole: Scale, height: number, range: Range): void {
  const left = Math.max(0, x(whole, range.from));
  const right = Math.min(whole.width, x(whole, range.to));
  pen.globalAlpha = 0.6;
  pen.fillStyle = ink.sunken;
  pen.fillRect(0, 0, left, height);
  pen.fillRect(right, 0, whole.width - right, height);
  pen.globalAlpha = 1;
  pen.strokeStyle = ink.accent;
  pen.lineWidth = 1.5;
  pen.strokeRect(left + 0.75, 0.75, Math.max(3, right - left - 1.5), height - 1.5);
}

export function paintAxis(pen: Pen, ink: Ink, scale: Scale, height: number): void {
  pen.font = ink.font;
  pen.textBaseline = "middle";
  const narrow = scale.to - scale.from < 10_000;
  for (const at of ticks(scale.from, scale.to, scale.width / 110)) {
    const left = Math.round(x(scale, at));
    pen.fillStyle = ink.line;
    pen.fillRect(left, 4, 1, height - 4);
    pen.fillStyle = ink.muted;
    const more = narrow && at % 1000 !== 0 ? ` +${Math.round(at % 1000)}` : "";
    pen.fillText(clock(at) + more, left + 5, height / 2 + 2);
  }
}
