/** When the nodes of a tree ran, in the order of the tree: what the timeline draws and reckons with. */
import {
  type Attempt,
  attempts,
  CLASSES,
  classOf,
  type Fields,
  isEnded,
  type Ran,
  ran,
  type TreeSnapshot,
  text,
  texts,
} from "../../core/index.ts";
import { URGENCY } from "../../ui/nodes.ts";

/** A stretch of time, in milliseconds since 1970. `to` is `Infinity` for what still goes on. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

const spans = new WeakMap<Fields, Span | null>();

function presentTimes(fields: Fields): Ran {
  return (fields.ended_attempts === undefined ? null : attempts(fields).at(-1)) ?? ran(fields);
}

/** When a node ran; null: it has not begun. One whose end has no time has no length. */
export function spanOf(fields: Fields): Span | null {
  const known = spans.get(fields);
  if (known !== undefined) return known;
  const { started: from, ended } = presentTimes(fields);
  let span: Span | null = null;
  if (from !== undefined) {
    const to = ended ?? (isEnded(fields.status) ? from : Number.POSITIVE_INFINITY);
    span = { from, to: Math.max(from, to) };
  }
  spans.set(fields, span);
  return span;
}

/** An attempt that ended before the present one. */
export interface Earlier extends Span {
  readonly attempt: Attempt;
  readonly rank: number;
}

const none: readonly Earlier[] = [];
const earlier = new WeakMap<Fields, readonly Earlier[]>();

/** The attempts of a node before the present one, of which is known when they began. */
export function earlierOf(fields: Fields): readonly Earlier[] {
  if (fields.ended_attempts === undefined) return none;
  let found = earlier.get(fields);
  if (found === undefined) {
    found = attempts(fields)
      .slice(0, -1)
      .flatMap((attempt) => {
        const { started: from, ended, fields: own } = attempt;
        if (from === undefined) return [];
        const rank = RANKS.indexOf(classOf(own.status));
        return [{ attempt, from, to: Math.max(from, ended ?? from), rank }];
      });
    earlier.set(fields, found);
  }
  return found;
}

/** The classes of a status by how much they matter, the least first: what is drawn last is on top. */
export const RANKS = [...CLASSES].sort((one, other) => URGENCY[other] - URGENCY[one]);

/**
 * The nodes in the order of the tree, each with its branch behind it, in columns by place. A *unit* is a node that ran and
 * has nothing below it that ran: a piece of work.
 */
export class Survey {
  readonly ids: string[] = [];
  /** The place of the node that this one is shown under; -1: it is at the top. */
  readonly parent: number[] = [];
  /** The place behind the last node of the branch. */
  readonly end: number[] = [];
  /** NaN: it has not begun. */
  readonly from: Float64Array;
  readonly to: Float64Array;
  /** From the first beginning to the last end in the branch, the node itself included. */
  readonly hullFrom: Float64Array;
  readonly hullTo: Float64Array;
  readonly unit: Uint8Array;
  /** Into `RANKS`. */
  readonly rank: Uint8Array;
  /** When the first began, and the last that ended did; NaN: nothing began. */
  readonly first: number;
  readonly last: number;
  /** Whether anything goes on. */
  readonly going: boolean;
  readonly #nodes: ReadonlyMap<string, Fields>;
  readonly #places = new Map<string, number>();
  #usual: ReadonlyMap<string, Usual> | null = null;

  constructor({ nodes, shape }: TreeSnapshot) {
    this.#nodes = nodes;
    this.#line(shape);
    const many = this.ids.length;
    this.from = new Float64Array(many).fill(Number.NaN);
    this.to = new Float64Array(many).fill(Number.NaN);
    this.hullFrom = new Float64Array(many).fill(Number.POSITIVE_INFINITY);
    this.hullTo = new Float64Array(many).fill(Number.NEGATIVE_INFINITY);
    this.unit = new Uint8Array(many);
    this.rank = new Uint8Array(many);
    [this.first, this.last] = this.#measure();
    this.going = this.to.includes(Number.POSITIVE_INFINITY);
  }

  /** The place of a node; -1: there is none of that id. */
  place(id: string): number {
    return this.#places.get(id) ?? -1;
  }

  fields(place: number): Fields | undefined {
    return this.#nodes.get(this.ids[place] ?? "");
  }

  /** Whether a node is another, or above it. */
  contains(above: number, place: number): boolean {
    return above <= place && place < (this.end[above] ?? 0);
  }

  /** How long finished nodes of this one's `kind` took; null: it has none, or too few have finished. */
  usual(place: number): Usual | null {
    const kind = text(this.fields(place), "kind");
    if (kind === undefined) return null;
    this.#usual ??= usualTimes(this);
    return this.#usual.get(kind) ?? null;
  }

  /** Put the nodes in a line, from the top down. By hand: a tree can be as deep as there are nodes. */
  #line(shape: TreeSnapshot["shape"]): void {
    const stack: { ids: readonly string[]; at: number; parent: number }[] = [
      { ids: shape.roots, at: 0, parent: -1 },
    ];
    for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
      const id = level.ids[level.at];
      if (id === undefined) {
        if (level.parent >= 0) this.end[level.parent] = this.ids.length;
        stack.pop();
        continue;
      }
      level.at += 1;
      const place = this.ids.length;
      this.ids.push(id);
      this.#places.set(id, place);
      this.parent[place] = level.parent;
      this.end[place] = place + 1;
      const children = shape.children(id);
      if (children.length > 0) stack.push({ ids: children, at: 0, parent: place });
    }
  }

  #measure(): [number, number] {
    let first = Number.POSITIVE_INFINITY;
    let last = Number.NEGATIVE_INFINITY;
    const { from, to, hullFrom, hullTo, parent } = this;
    for (let place = this.ids.length - 1; place >= 0; place -= 1) {
      const fields = this.fields(place) ?? {};
      const span = spanOf(fields);
      this.rank[place] = RANKS.indexOf(classOf(fields.status));
      if (span !== null) {
        this.unit[place] = hullFrom[place] === Number.POSITIVE_INFINITY ? 1 : 0;
        from[place] = span.from;
        to[place] = span.to;
        hullFrom[place] = Math.min(hullFrom[place]!, span.from);
        hullTo[place] = Math.max(hullTo[place]!, span.to);
        first = Math.min(first, span.from);
        last = Math.max(last, span.to === Number.POSITIVE_INFINITY ? span.from : span.to);
      }
      for (const one of earlierOf(fields)) {
        hullFrom[place] = Math.min(hullFrom[place]!, one.from);
        hullTo[place] = Math.max(hullTo[place]!, one.to);
        first = Math.min(first, one.from);
        last = Math.max(last, one.to);
      }
      const above = parent[place]!;
      if (above < 0) continue;
      hullFrom[above] = Math.min(hullFrom[above]!, hullFrom[place]!);
      hullTo[above] = Math.max(hullTo[above]!, hullTo[place]!);
    }
    return last < first ? [Number.NaN, Number.NaN] : [first, last];
  }
}

/** How long nodes of one kind take, in milliseconds. */
export interface Usual {
  readonly p50: number;
  readonly p95: number;
}

/** So many must have finished before their times say anything. */
const ENOUGH = 5;

/** The times that the finished nodes of each kind took. */
function usualTimes(survey: Survey): Map<string, Usual> {
  const byKind = new Map<string, number[]>();
  for (let place = 0; place < survey.ids.length; place += 1) {
    const took = survey.to[place]! - survey.from[place]!;
    if (RANKS[survey.rank[place]!] !== "done" || !Number.isFinite(took)) continue;
    const kind = text(survey.fields(place), "kind");
    if (kind === undefined) continue;
    const all = byKind.get(kind);
    if (all === undefined) byKind.set(kind, [took]);
    else all.push(took);
  }
  const found = new Map<string, Usual>();
  for (const [kind, all] of byKind) {
    if (all.length < ENOUGH) continue;
    const sorted = Float64Array.from(all).sort();
    const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]!;
    found.set(kind, { p50: at(0.5), p95: at(0.95) });
  }
  return found;
}

/** How many units ran at the same time at most. */
export function mostAtOnce(survey: Survey): number {
  const units = survey.ids.map((_, place) => place).filter((place) => survey.unit[place] === 1);
  const begins = Float64Array.from(units, (place) => survey.from[place]!).sort();
  const ends = Float64Array.from(units, (place) => survey.to[place]!).sort();
  let most = 0;
  let ended = 0;
  for (let begun = 0; begun < begins.length; begun += 1) {
    while (ends[ended]! <= begins[begun]!) ended += 1;
    most = Math.max(most, begun + 1 - ended);
  }
  return most;
}

/** What a node waits for by itself. */
export function dependencies(fields: Fields | undefined): readonly string[] {
  return texts(fields, "depends_on");
}
