import { type Position, same } from "./position.ts";
import { type Change, EMPTY_TOP, Nodes, reduce } from "./reducer.ts";
import { positionOf, type Told } from "./told.ts";

/** What applying a message changed. `all`: everything is another, whatever it was. */
export type Changed = Change | "all" | null;

/** The tree of one topic, kept by the messages about it. */
export class Mirror {
  readonly topic: string;
  nodes = new Nodes();
  /** Null: nothing was said yet. */
  position: Position | null = null;

  constructor(topic: string) {
    this.topic = topic;
  }

  take(told: Told): Changed {
    switch (told.kind) {
      case "event": {
        const at = positionOf(told.event);
        if (this.position !== null && this.position.epoch === at.epoch && at.seq <= this.position.seq)
          return null;
        const fresh = at.seq === 1 && this.nodes.byId.size > 0;
        if (fresh) this.nodes = new Nodes();
        const change = reduce(this.nodes, told.event);
        this.nodes.apply(change);
        this.position = at;
        return fresh ? "all" : change;
      }
      case "state":
        this.nodes = new Nodes();
        this.nodes.apply({ removed: [], put: new Map(told.nodes), top: told.top });
        this.position = told.position;
        return "all";
      case "conflated": {
        const change = { removed: told.removed, put: new Map(told.nodes), top: told.top };
        this.nodes.apply(change);
        this.position = told.position;
        return change;
      }
      case "deleted":
      case "empty": {
        const position = told.kind === "deleted" ? positionOf(told.event) : told.position;
        if (same(position, this.position) && this.nodes.byId.size === 0) return null;
        this.nodes = new Nodes();
        this.position = position;
        return "all";
      }
      case "refused":
        return null;
    }
  }

  /** The tree as it is now, for a listener that comes later. */
  state(): Told {
    return {
      kind: "state",
      topic: this.topic,
      position: this.position ?? { epoch: "", seq: 0 },
      reason: "initial",
      top: { ...EMPTY_TOP, ...this.nodes.top },
      nodes: [...this.nodes.byId],
    };
  }
}
