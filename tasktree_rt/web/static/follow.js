// One project over tasktree.v1: what to ask, and what each message means for the tree and the position.
// No DOM and no network here. docs/protocol.md, "Watching", is the contract.

import { Tree } from "./tree.js";

const TRANSIENT = new Set(["overloaded", "store_unavailable", "draining", "rate_limited", "internal"]);

export class Follower {
  /** `position` is `{epoch, seq}` of the tree, null before there is one; `current` whether nothing is awaited. */
  constructor(projectId) {
    this.projectId = projectId;
    this.tree = new Tree();
    this.position = null;
    this.current = false;
    this.refusal = null; // {code, message}: the hub will not show this project
    this.retryAfter = null; // milliseconds: give this connection up and come back then
    this.events = 0;
    this.conflations = 0;
    this.requests = []; // to be sent; the caller takes them out
    this._pending = null;
    this._parts = [];
    this._ended = false;
    this._ids = 0;
  }

  /** A connection was made: go on where the tree is, or begin with the whole state. */
  open() {
    this.requests = [];
    this.retryAfter = this.refusal = null;
    this._subscribe();
  }

  receive(message) {
    if (message.project_id === this.projectId && "seq" in message && "timestamp" in message) this._event(message);
    else if (Object.hasOwn(TAKE, message.type)) TAKE[message.type](this, message);
  }

  _subscribe() {
    const id = ++this._ids;
    const { position } = this;
    const from = position === null ? { state: true } : { since: `${position.epoch}:${position.seq}` };
    this.requests.push({ type: "subscribe", id, project_id: this.projectId, ...from });
    this._pending = id;
    this._parts = [];
    this.current = false;
  }

  // From a request to its answer whatever comes belongs to the subscription that it replaces: it comes again.
  _ours(message) {
    return this._pending === null && message.project_id === this.projectId;
  }

  _event(event) {
    if (this._pending !== null) return;
    this.events += 1;
    if (event.type === "project_deleted") {
      this.tree.clear();
      this._parts = [];
      this._moved(event);
      this._ended = true;
      return;
    }
    const at = this.position;
    if (!this.current || at === null) return;
    if (at.epoch === event.epoch && event.seq <= at.seq) return;
    if (at.epoch !== event.epoch || event.seq !== at.seq + 1) {
      this._subscribe();
      return;
    }
    this.tree.apply(event.type, event.data, this.projectId);
    this._moved(event);
  }

  _moved({ epoch, seq }) {
    this.position = { epoch, seq };
    this.current = true;
    this._ended = false;
  }

  _subscribed(message) {
    const asked = this._pending !== null && message.id === this._pending;
    if (asked) this._pending = null;
    else if (!this._ours(message)) return;
    this._parts = [];
    if (message.recovered === true) {
      this._moved(message);
    } else if (!asked && message.recovered === null) {
      // A new life of the project begins.
      this.tree.clear();
      this._moved(message);
    }
  }

  _state(part) {
    if (!this._ours(part)) return;
    if (part.part === 1) this._parts = [];
    const [first] = this._parts;
    if (part.part !== this._parts.length + 1 || (first && (first.seq !== part.seq || first.epoch !== part.epoch))) {
      this._subscribe();
      return;
    }
    this._parts.push(part);
    if (part.part < part.parts) return;
    const parts = this._parts;
    this._parts = [];
    this.tree.clear();
    this.tree.setTop(parts[0].data);
    for (const one of parts) for (const node of one.data.nodes) this.tree.putWhole(node);
    this._moved(part);
  }

  _conflated(step) {
    if (!this._ours(step) || !this.current) return;
    const at = this.position;
    if (at.epoch !== step.epoch || at.seq < step.after || at.seq > step.seq) {
      this._subscribe();
      return;
    }
    this.tree.remove(step.removed);
    for (const node of step.nodes) this.tree.putWhole(node);
    this.tree.setTop(step);
    this.conflations += 1;
    this._moved(step);
  }

  _heartbeat({ positions }) {
    const there = Object.hasOwn(positions, this.projectId) ? positions[this.projectId] : null;
    if (there === null || this._pending !== null || !this.current) return;
    const here = `${this.position.epoch}:${this.position.seq}`;
    if (there !== here && !(this._ended && there === ":0")) this._subscribe();
  }

  _error(error) {
    if (error.id !== undefined && error.id !== this._pending) return;
    if (TRANSIENT.has(error.code)) this.retryAfter = error.retry_after_ms ?? 1000;
    else if (error.id !== undefined) this.refusal = { code: error.code, message: error.message };
  }

  _unsubscribed(message) {
    if (message.id === undefined && this._ours(message)) {
      this.refusal = { code: "forbidden", message: "the hub ended the subscription" };
    }
  }
}

const TAKE = {
  subscribed: (follower, message) => follower._subscribed(message),
  project_state: (follower, message) => follower._state(message),
  conflated: (follower, message) => follower._conflated(message),
  heartbeat: (follower, message) => follower._heartbeat(message),
  unsubscribed: (follower, message) => follower._unsubscribed(message),
  error: (follower, message) => follower._error(message),
};
