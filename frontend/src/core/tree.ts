import type { Fields } from "./json.ts";
import { Mirror } from "./mirror.ts";
import type { Position } from "./position.ts";
import { Listeners, type Readable } from "./readable.ts";
import type { Top } from "./reducer.ts";
import { type Rollup, Shape } from "./shape.ts";
import type { Told } from "./told.ts";

/** Runs what is due, once, at the next good moment to draw. */
export type Scheduler = (run: () => void) => void;

/** The next animation frame; where nothing is drawn (hidden, no browser), a quarter of a second. */
export const onFrame: Scheduler = (run) => {
  const drawn =
    typeof requestAnimationFrame === "function" && globalThis.document?.visibilityState === "visible";
  if (!drawn) {
    setTimeout(run, 250);
    return;
  }
  // A frame that was asked for never comes if the page is hidden meanwhile.
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    clearTimeout(late);
    run();
  };
  requestAnimationFrame(once);
  const late = setTimeout(once, 500);
};

/** What is to be seen of a tree at one moment. A new object at each change of anything. */
export interface TreeSnapshot {
  readonly topic: string;
  /** Null: nothing was said yet. */
  readonly position: Position | null;
  readonly nodes: ReadonlyMap<string, Fields>;
  readonly top: Top;
  /** A new object only when nodes come, go or move. */
  readonly shape: Shape;
  /** Counts the changes. */
  readonly version: number;
}

/** A shape that took long to work out is worked out again only after ten times as long. */
const REST = 10;
/** Milliseconds; what takes no longer is done whenever it is due. */
const CHEAP = 2;

/**
 * A project's tree for people to look at: kept current by the hub's messages, and passed on at most once a frame. Nodes that did not
 * change keep their objects, so only the rows of those that did are drawn again.
 */
export class TreeStore implements Readable<TreeSnapshot> {
  readonly topic: string;
  readonly #mirror: Mirror;
  readonly #schedule: Scheduler;
  readonly #listeners = new Listeners();
  readonly #nodeListeners = new Map<string, Listeners>();
  #changed = new Set<string>();
  #everything = false;
  #due = false;
  #reshape = true;
  #notBefore = 0;
  #shape = new Shape(new Map());
  #snapshot: TreeSnapshot;

  constructor(topic: string, schedule: Scheduler = onFrame) {
    this.topic = topic;
    this.#mirror = new Mirror(topic);
    this.#schedule = schedule;
    this.#snapshot = this.#made(0);
  }

  get = (): TreeSnapshot => this.#snapshot;

  subscribe = (listener: () => void): (() => void) => this.#listeners.add(listener);

  /** The newest position; what `get` gives may be a frame behind. */
  get position(): Position | null {
    return this.#mirror.position;
  }

  /** One node's fields; undefined if there is none of that id. The same object for as long as nothing changes in it. */
  node(id: string): Fields | undefined {
    return this.#mirror.nodes.byId.get(id);
  }

  rollup(id: string): Rollup | null {
    return this.#shape.rollup(id);
  }

  /** Listen to changes of this node and of the sums of its branch. */
  subscribeNode(id: string, listener: () => void): () => void {
    let there = this.#nodeListeners.get(id);
    if (there === undefined) {
      there = new Listeners();
      this.#nodeListeners.set(id, there);
    }
    const mine = there;
    const remove = mine.add(listener);
    return () => {
      remove();
      if (mine.size === 0 && this.#nodeListeners.get(id) === mine) this.#nodeListeners.delete(id);
    };
  }

  /** Take in what was told. Who watches is told at the next frame. */
  take(told: Told): void {
    const nodes = this.#mirror.nodes;
    const moves = nodes.moves;
    const change = this.#mirror.take(told);
    if (change === null) return;
    if (change === "all") this.#everything = true;
    else for (const ids of [change.removed, change.put.keys()]) for (const id of ids) this.#changed.add(id);
    if (this.#mirror.nodes !== nodes || nodes.moves !== moves) this.#reshape = true;
    this.#wake();
  }

  #wake(): void {
    if (this.#due) return;
    this.#due = true;
    this.#schedule(this.#flush);
  }

  #flush = (): void => {
    this.#due = false;
    const changed = this.#changed;
    const everything = this.#everything;
    this.#changed = new Set();
    this.#everything = false;
    const touched = this.#reshaped(everything) ? null : this.#summed(changed);
    this.#snapshot = this.#made(this.#snapshot.version + 1);
    this.#listeners.tell();
    if (touched === null) for (const one of [...this.#nodeListeners.values()]) one.tell();
    else for (const id of touched) this.#nodeListeners.get(id)?.tell();
  };

  #reshaped(everything: boolean): boolean {
    if (!this.#reshape) return false;
    const now = performance.now();
    if (!everything && now < this.#notBefore) {
      setTimeout(() => this.#wake(), this.#notBefore - now);
      return false;
    }
    this.#reshape = false;
    this.#shape = new Shape(this.#mirror.nodes.byId);
    const end = performance.now();
    this.#notBefore = end - now < CHEAP ? 0 : end + (end - now) * REST;
    return true;
  }

  #summed(changed: Set<string>): Set<string> {
    const touched = new Set(changed);
    for (const id of changed) {
      const fields = this.#mirror.nodes.byId.get(id);
      if (fields !== undefined && this.#shape.parent(id) !== undefined)
        this.#shape.change(id, fields, touched);
    }
    return touched;
  }

  #made(version: number): TreeSnapshot {
    const { nodes, position } = this.#mirror;
    return { topic: this.topic, position, nodes: nodes.byId, top: nodes.top, shape: this.#shape, version };
  }
}
