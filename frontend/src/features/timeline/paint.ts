/** The bars of the rows that are in view, on a canvas beside them. */
import { progress } from "../../ui/nodes.ts";
import type { Row } from "../../ui/rows.ts";
import { duration } from "../../ui/time.ts";
import type { Ink, Pen } from "./ink.ts";
import { type Columns, type Scale, ticks, until, x } from "./summary.ts";
import { earlierOf, type Survey } from "./survey.ts";

/** The critical path by places in the survey; empty: it is not shown. */
export class Path {
  /** The first first. */
  readonly places: Int32Array;
  /** The row of each; -1: it has none. */
  readonly rows: Int32Array;
  readonly #sorted: Int32Array;

  constructor(survey: Survey, ids: readonly string[], rows: readonly Row[]) {
    this.places = Int32Array.from(ids, (id) => survey.place(id));
    this.#sorted = this.places.slice().sort();
    const at = new Map(ids.map((id) => [id, -1]));
    if (ids.length > 0) for (const [row, { id }] of rows.entries()) if (at.has(id)) at.set(id, row);
    this.rows = Int32Array.from(ids, (id) => at.get(id) ?? -1);
  }

  has(place: number): boolean {
    return this.#sorted[this.#from(place)] === place;
  }

  /** What of it is from one place to before another. */
  between(from: number, to: number): Int32Array {
    return this.#sorted.subarray(this.#from(from), this.#from(to));
  }

  /** Where the first place is that is not before this one. */
  #from(place: number): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What there is to draw. */
export interface Scene {
  readonly survey: Survey;
  readonly rows: readonly Row[];
  readonly now: number;
  readonly path: Path;
  /** Whether the usual times of the same kind are shown. */
  readonly usual: boolean;
}

/** Where on the canvas. */
export interface Place {
  readonly scale: Scale;
  /** Pixels from the top of the first row to the top of the canvas. */
  readonly top: number;
  readonly height: number;
  /** Pixels a row. */
  readonly row: number;
  /** The row under the pointer; -1: none. */
  readonly hovered: number;
  /** Where a stretch is being chosen; null: nowhere. */
  readonly chosen: readonly [left: number, right: number] | null;
}

const NO_FIELDS = {};
/** A bar is at least so wide. */
const LEAST = 3;
/** Beyond the edges of the canvas nothing need be exact, but numbers must not grow without bound. */
const FAR = 50;

export class Painter {
  readonly #pen: Pen;
  readonly #ink: Ink;
  readonly #scene: Scene;
  readonly #place: Place;
  readonly #columns: Columns;

  constructor(pen: Pen, ink: Ink, scene: Scene, place: Place, columns: Columns) {
    this.#pen = pen;
    this.#ink = ink;
    this.#scene = scene;
    this.#place = place;
    this.#columns = columns;
    pen.font = ink.font;
    pen.textBaseline = "middle";
  }

  paint(): void {
    const { row, top, height, hovered } = this.#place;
    const { rows } = this.#scene;
    this.#grid();
    const first = Math.max(0, Math.floor(top / row));
    const last = Math.min(rows.length - 1, Math.ceil((top + height) / row));
    for (let at = first; at <= last; at += 1) {
      if (at === hovered) this.#fill(this.#ink.sunken, 0, at * row - top, this.#place.scale.width, row);
      this.#row(rows[at]!, at * row - top);
    }
    this.#links(first, last);
    this.#now();
    this.#chosen();
  }

  #x(time: number): number {
    const { scale } = this.#place;
    return Math.max(-FAR, Math.min(scale.width + FAR, x(scale, time)));
  }

  #y(pixels: number): number {
    return Math.max(-FAR, Math.min(this.#place.height + FAR, pixels));
  }

  #fill(colour: string, left: number, top: number, width: number, height: number): void {
    this.#pen.fillStyle = colour;
    this.#pen.fillRect(left, top, width, height);
  }

  #grid(): void {
    const { scale, height } = this.#place;
    for (const at of ticks(scale.from, scale.to, scale.width / 110))
      this.#fill(this.#ink.line, Math.round(this.#x(at)), 0, 1, height);
  }

  #row(row: Row, top: number): void {
    const { survey } = this.#scene;
    const place = survey.place(row.id);
    if (place < 0) return;
    if (!row.expandable || survey.unit[place] === 1) this.#bar(place, top);
    else if (row.expanded) this.#bracket(place, top);
    else this.#summary(place, top);
  }

  /** A node by itself: what it ran, what is usual, how far it is. */
  #bar(place: number, top: number): void {
    const { survey, now, path, usual } = this.#scene;
    this.#earlier(place, top);
    const from = survey.from[place]!;
    if (Number.isNaN(from)) return;
    const rank = survey.rank[place]!;
    const to = until(from, survey.to[place]!, now);
    const height = Math.round(this.#place.row * 0.56);
    const y = top + Math.round((this.#place.row - height) / 2);
    const left = this.#x(from);
    const width = Math.max(LEAST, this.#x(to) - left);
    if (usual) this.#usual(place, left, y + height);
    this.#box(rank, left, y, width, height);
    this.#progress(place, to, left, y, height);
    if (path.has(place)) this.#frame(left, y, width, height);
    this.#label(place, to - from, left + width, top);
  }

  /** Attempts before the present one, lower than it. */
  #earlier(place: number, top: number): void {
    const height = Math.round(this.#place.row * 0.38);
    const y = top + Math.round((this.#place.row - height) / 2);
    for (const { from, to, rank } of earlierOf(this.#scene.survey.fields(place) ?? NO_FIELDS)) {
      const left = this.#x(from);
      this.#box(rank, left, y, Math.max(LEAST, this.#x(to) - left), height);
    }
  }

  #box(rank: number, left: number, y: number, width: number, height: number): void {
    const { tones, softs } = this.#ink;
    const tone = tones[rank]!;
    if (width < 6 || rank === tones.length - 1) {
      this.#fill(tone, left, y, width, height);
      return;
    }
    this.#fill(softs[rank]!, left, y, width, height);
    this.#pen.strokeStyle = tone;
    this.#pen.lineWidth = 1;
    this.#pen.strokeRect(left + 0.5, y + 0.5, width - 1, height - 1);
  }

  /** How far what runs is, as a part of its bar. */
  #progress(place: number, to: number, left: number, y: number, height: number): void {
    const { survey } = this.#scene;
    const share = progress(survey.fields(place));
    if (share === undefined || survey.to[place] !== Number.POSITIVE_INFINITY) return;
    const from = survey.from[place]!;
    const reached = this.#x(from + ((to - from) * Math.min(100, Math.max(0, share))) / 100);
    this.#pen.globalAlpha = 0.35;
    this.#fill(this.#ink.tones[survey.rank[place]!]!, left, y, reached - left, height);
    this.#pen.globalAlpha = 1;
  }

  #frame(left: number, y: number, width: number, height: number): void {
    this.#pen.strokeStyle = this.#ink.accent;
    this.#pen.lineWidth = 2;
    this.#pen.strokeRect(left - 1, y - 1, width + 2, height + 2);
  }

  /** Half of its kind ended before the first mark, nineteen of twenty before the second. */
  #usual(place: number, left: number, y: number): void {
    const { survey } = this.#scene;
    const usual = survey.usual(place);
    if (usual === null) return;
    const from = survey.from[place]!;
    const [half, most] = [this.#x(from + usual.p50), this.#x(from + usual.p95)];
    if (most - left < 2) return;
    this.#fill(this.#ink.strong, left, y + 2, most - left, 1);
    this.#fill(this.#ink.strong, half - 1, y, 2, 4);
    this.#fill(this.#ink.strong, most - 1, y, 2, 4);
  }

  #label(place: number, took: number, right: number, top: number): void {
    const { survey, usual } = this.#scene;
    if (right < 0 || right > this.#place.scale.width - 30) return;
    const known = usual ? survey.usual(place) : null;
    const slow = known !== null && took > known.p95;
    this.#pen.fillStyle = slow ? this.#ink.review : this.#ink.muted;
    const words = slow ? `${duration(took)}, usually ${duration(known.p50)}` : duration(took);
    this.#pen.fillText(words, right + 6, top + this.#place.row / 2);
  }

  /** An open branch: from its first beginning to its last end. */
  #bracket(place: number, top: number): void {
    const { survey, now } = this.#scene;
    this.#earlier(place, top);
    const from = survey.hullFrom[place]!;
    if (from === Number.POSITIVE_INFINITY) return;
    const own = !Number.isNaN(survey.from[place]!);
    const left = this.#x(from);
    const width = Math.max(LEAST, this.#x(until(from, survey.hullTo[place]!, now)) - left);
    const y = top + Math.round(this.#place.row / 2) - 3;
    const colour = own ? this.#ink.tones[survey.rank[place]!]! : this.#ink.strong;
    this.#fill(colour, left, y, width, 4);
    this.#fill(colour, left, y, 2, 9);
    this.#fill(colour, left + width - 2, y, 2, 9);
  }

  /** A collapsed branch: its units by class, what failed on top and higher than the rest. */
  #summary(place: number, top: number): void {
    const { survey, now } = this.#scene;
    const from = survey.hullFrom[place]!;
    if (from === Number.POSITIVE_INFINITY) return;
    const height = Math.round(this.#place.row * 0.56);
    const y = top + Math.round((this.#place.row - height) / 2);
    const left = this.#x(from);
    const right = this.#x(until(from, survey.hullTo[place]!, now));
    this.#fill(this.#ink.line, left, y + height / 2 - 1, Math.max(LEAST, right - left), 2);
    this.#columns.count(survey, place, this.#place.scale, now);
    const failed = this.#ink.tones.length - 1;
    for (let rank = 0; rank <= failed; rank += 1) {
      const inset = rank === failed ? -2 : 3;
      for (const one of this.#columns.stretches(rank))
        this.#fill(this.#ink.tones[rank]!, one.left, y + inset, one.right - one.left, height - 2 * inset);
    }
    this.#pathWithin(place, y + height + 1);
  }

  /** Below a summary, what of the branch is on the critical path. */
  #pathWithin(branch: number, y: number): void {
    const { survey, now, path } = this.#scene;
    for (const place of path.between(branch, survey.end[branch]!)) {
      const left = this.#x(survey.from[place]!);
      const right = this.#x(until(survey.from[place]!, survey.to[place]!, now));
      this.#fill(this.#ink.accent, left, y, Math.max(LEAST, right - left), 2);
    }
  }

  /** From each step of the critical path to the next, where either can be seen. */
  #links(first: number, last: number): void {
    const { survey, path, now } = this.#scene;
    const { row, top } = this.#place;
    const { places, rows } = path;
    this.#pen.strokeStyle = this.#ink.accent;
    this.#pen.lineWidth = 1;
    this.#pen.beginPath();
    for (let n = 1; n < places.length; n += 1) {
      const [one, next] = [rows[n - 1]!, rows[n]!];
      if (Math.min(one, next) < 0 || Math.max(one, next) < first || Math.min(one, next) > last) continue;
      const before = places[n - 1]!;
      const end = this.#x(until(survey.from[before]!, survey.to[before]!, now));
      const begin = this.#x(survey.from[places[n]!]!);
      const [above, below] = [one, next].map((at) => this.#y((at + 0.5) * row - top)) as [number, number];
      // Down first: behind a bar its duration is written.
      const down = Math.round(Math.min(end, begin)) + 0.5;
      this.#pen.moveTo(down, above);
      this.#pen.lineTo(down, below);
      this.#pen.lineTo(begin, below);
    }
    this.#pen.stroke();
  }

  #now(): void {
    const { scale, height } = this.#place;
    const at = x(scale, this.#scene.now);
    if (at >= 0 && at <= scale.width) this.#fill(this.#ink.failed, at - 1, 0, 2, height);
  }

  #chosen(): void {
    const { chosen, height } = this.#place;
    if (chosen === null) return;
    const [left, right] = chosen;
    this.#pen.globalAlpha = 0.18;
    this.#fill(this.#ink.accent, left, 0, right - left, height);
    this.#pen.globalAlpha = 1;
    for (const edge of chosen) this.#fill(this.#ink.accent, edge - 0.5, 0, 1, height);
  }
}
