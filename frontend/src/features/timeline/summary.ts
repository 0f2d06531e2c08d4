/** Many stretches of time as few rectangles: what a collapsed branch and the whole run come to at a given width. */
import { RANKS, type Survey } from "./survey.ts";

/** Columns of pixels from `left` to before `right` in which something of one class ran. */
export interface Stretch {
  readonly left: number;
  readonly right: number;
}

/** Where time is on the screen. */
export interface Scale {
  readonly from: number;
  readonly to: number;
  /** Pixels. */
  readonly width: number;
}

export function x({ from, to, width }: Scale, time: number): number {
  return ((time - from) / (to - from)) * width;
}

export function timeAt({ from, to, width }: Scale, pixels: number): number {
  return from + (pixels / width) * (to - from);
}

/** Up to when something is drawn: what goes on, until now. */
export function until(from: number, to: number, now: number): number {
  return to === Number.POSITIVE_INFINITY ? Math.max(from, now) : to;
}

/** A failed one among thousands is to be seen. */
const LEAST = 3;

/** How many units of each class run in each column of pixels; kept between calls, so that a frame makes no garbage. */
export class Columns {
  #width = 0;
  #counts: Int32Array[] = [];

  /** Count the units of a branch, the branch itself left out, or of the whole survey (-1). */
  count(survey: Survey, branch: number, scale: Scale, now: number): void {
    this.#reset(scale.width);
    const last = branch < 0 ? survey.ids.length : survey.end[branch]!;
    const { from, to, unit, rank } = survey;
    const perMs = scale.width / (scale.to - scale.from);
    for (let place = branch + 1; place < last; place += 1) {
      if (unit[place] === 0) continue;
      const begins = (from[place]! - scale.from) * perMs;
      const ends = (until(from[place]!, to[place]!, now) - scale.from) * perMs;
      if (ends < 0 || begins >= scale.width) continue;
      const left = Math.max(0, Math.floor(begins));
      const right = Math.min(scale.width, Math.max(Math.ceil(ends), left + LEAST));
      const counts = this.#counts[rank[place]!]!;
      counts[left]! += 1;
      counts[right]! -= 1;
    }
    for (const counts of this.#counts)
      for (let at = 1; at < scale.width; at += 1) counts[at]! += counts[at - 1]!;
  }

  /** How many of a class run in a column. */
  at(rank: number, column: number): number {
    return this.#counts[rank]![column]!;
  }

  /** Where anything of a class runs, from left to right. */
  stretches(rank: number): Stretch[] {
    const counts = this.#counts[rank]!;
    const found: Stretch[] = [];
    let left = -1;
    for (let at = 0; at <= this.#width; at += 1) {
      const any = at < this.#width && counts[at]! > 0;
      if (any && left < 0) left = at;
      if (any || left < 0) continue;
      found.push({ left, right: at });
      left = -1;
    }
    return found;
  }

  #reset(width: number): void {
    if (width !== this.#width) {
      this.#width = width;
      this.#counts = RANKS.map(() => new Int32Array(width + 1));
    }
    for (const counts of this.#counts) counts.fill(0);
  }
}

/** The unit of a branch that is at a time, give or take `slack` ms: of several the one that matters most; -1: none. */
export function unitAt(survey: Survey, branch: number, time: number, slack: number, now: number): number {
  let found = -1;
  for (let place = branch + 1; place < survey.end[branch]!; place += 1) {
    if (survey.unit[place] === 0) continue;
    const to = until(survey.from[place]!, survey.to[place]!, now);
    if (time < survey.from[place]! - slack || time > to + slack) continue;
    if (found < 0 || survey.rank[place]! > survey.rank[found]!) found = place;
  }
  return found;
}

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
  600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000, 86_400_000,
];

/** Round moments for an axis, about `most` of them. */
export function ticks(from: number, to: number, most: number): number[] {
  const least = (to - from) / Math.max(1, most);
  const step = STEPS.find((one) => one >= least) ?? Math.ceil(least / 86_400_000) * 86_400_000;
  const found: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return found;
}
