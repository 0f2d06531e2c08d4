/**
 * The protocol of `tasktree.v1` for the topics of one connection, without the connection: what to ask, and what each
 * message means.
 *
 * A topic has two positions. From its *resume position* a new connection goes on. Its *stream position* is where this
 * connection is, so that a gap is noticed: the next event must be the next seq. Wherever the two ends disagree the topic is
 * subscribed again from the resume position. From a request to its answer, whatever comes of the topic belongs to the
 * subscription that the request replaces, and is dropped: it comes again.
 *
 * A topic is *behind* while something is due: the answer to a request, a state that was promised, a position that a
 * heartbeat named. One that is behind and gets no further is late after a while: it counts as late, and is asked for again.
 */
import { type Fields, isObject } from "./json.ts";
import {
  assemble,
  continues,
  entries,
  isPart,
  isPosition,
  list,
  type Message,
  named,
  object,
  partialTop,
  topicOf,
} from "./messages.ts";
import { BEGINNING, type Position, read, same, write } from "./position.ts";
import type { StoredEvent, Told } from "./told.ts";
import { TopicState } from "./topic.ts";
import { isBroadcast, isCount, isEvent } from "./words.ts";

export class Courses {
  /** Requests to be sent, in order; the caller takes them out, by `take` if not at once. */
  readonly outgoing: Fields[] = [];
  readonly #resume = new Map<string, Position>();
  readonly #courses = new Map<string, TopicState>();
  readonly #wanted = new Set<string>();
  readonly #now: () => number;
  readonly #late = new Set<string>();
  #ids = 0;
  #connected = false;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  get topics(): ReadonlySet<string> {
    return this.#wanted;
  }

  /** The next number for a request. */
  id(): number {
    this.#ids += 1;
    return this.#ids;
  }

  /** Topics that are behind and got no further for too long. */
  get late(): readonly string[] {
    return [...this.#late];
  }

  /** When the next topic will be late that gets no further; null if none is behind. `patience` is in ms. */
  due(patience: number): number | null {
    let first: number | null = null;
    for (const course of this.#courses.values()) {
      if (course.behind && (first === null || course.since < first)) first = course.since;
    }
    return first === null ? null : first + patience;
  }

  /** Take so many requests out, to be sent now: an answer is waited for from now on. */
  take(most: number): Fields[] {
    const taken = this.outgoing.splice(0, most);
    for (const request of taken) {
      const course = this.#courses.get(topicOf(request));
      // After a heartbeat named a position it is behind since then, however often it asks.
      const answers = course !== undefined && course.pending === request.id;
      if (answers && course.told === null) course.since = this.#now();
    }
    return taken;
  }

  /** Ask again for every topic that is late now. A request that still waits here to be sent is not late. */
  tend(patience: number): void {
    const before = this.#now() - patience;
    const unsent = new Set(this.outgoing.map((request) => request.id));
    for (const [topic, course] of this.#courses) {
      if (course.pending !== null && unsent.has(course.pending)) course.since = this.#now();
      if (!course.behind || course.since > before) continue;
      this.#late.add(topic);
      this.#request(topic);
    }
  }

  /** A connection was made: ask for everything that is wanted. */
  opened(): void {
    this.#connected = true;
    this.outgoing.length = 0;
    this.#courses.clear();
    this.#late.clear();
    for (const topic of this.#wanted) this.#request(topic);
  }

  closed(): void {
    this.#connected = false;
    this.#courses.clear();
    this.#late.clear();
    this.outgoing.length = 0;
  }

  want(topic: string): void {
    if (this.#wanted.has(topic)) return;
    this.#wanted.add(topic);
    if (this.#connected) this.#request(topic);
  }

  unwant(topic: string): void {
    if (!this.#wanted.delete(topic)) return;
    this.#forget(topic);
    if (this.#connected) this.outgoing.push({ type: "unsubscribe", id: this.id(), ...named(topic) });
  }

  /** Unsubscribe from a topic that the connection's address named and that no listener wants any more. */
  leave(topic: string): void {
    this.outgoing.push({ type: "unsubscribe", id: this.id(), ...named(topic) });
  }

  receive(message: Message): Told[] {
    if (isEvent(message)) return this.#event(message as unknown as StoredEvent);
    if (isBroadcast(message)) return [];
    switch (message.type) {
      case "subscribed":
        return this.#subscribed(message);
      case "project_state":
        return this.#state(message);
      case "conflated":
        return this.#conflated(message);
      case "heartbeat":
        return this.#heartbeat(message);
      case "unsubscribed":
        return this.#unsubscribed(message);
      case "error":
        return this.#error(message);
      default:
        return [];
    }
  }

  #request(topic: string): void {
    const id = this.id();
    const since = this.#resume.get(topic);
    const course = new TopicState(this.#now());
    course.pending = id;
    course.wantsState = since === undefined;
    course.told = this.#courses.get(topic)?.told ?? null;
    this.#courses.set(topic, course);
    const from = since === undefined ? { state: true } : { since: write(since) };
    this.outgoing.push({ type: "subscribe", id, ...named(topic), policy: "conflate", ...from });
  }

  #resubscribe(topic: string): Told[] {
    this.#request(topic);
    return [];
  }

  #forget(topic: string): void {
    this.#resume.delete(topic);
    this.#courses.delete(topic);
    this.#late.delete(topic);
  }

  /** The course of a topic whose messages count now. */
  #course(topic: string): TopicState | null {
    const course = this.#courses.get(topic);
    return course !== undefined && course.pending === null ? course : null;
  }

  /** It got further. */
  #further(course: TopicState, topic: string, now = this.#now()): void {
    course.further(now);
    if (!course.behind) this.#late.delete(topic);
  }

  #event(event: StoredEvent): Told[] {
    const topic = topicOf(event as unknown as Message);
    const course = this.#course(topic);
    if (course === null || !isPosition(event)) return [];
    const position = { epoch: event.epoch, seq: event.seq };
    if (event.type === "project_deleted") return this.#deleted(course, topic, event, position);
    const at = course.at;
    if (at !== null && !(position.seq === at.seq + 1 && (at.epoch === position.epoch || at.epoch === ""))) {
      const repeated = position.epoch === at.epoch && position.seq <= at.seq;
      return repeated ? [] : this.#resubscribe(topic);
    }
    this.#moved(course, topic, position);
    return [{ kind: "event", topic, event }];
  }

  #deleted(course: TopicState, topic: string, event: StoredEvent, position: Position): Told[] {
    course.parts = [];
    course.at = position;
    course.ended = true;
    course.awaits = false;
    this.#further(course, topic);
    if (same(this.#resume.get(topic) ?? null, position)) return [];
    this.#resume.set(topic, position);
    return [{ kind: "deleted", topic, event }];
  }

  #moved(course: TopicState, topic: string, position: Position): void {
    course.at = position;
    course.ended = false;
    this.#resume.set(topic, position);
    this.#further(course, topic);
  }

  #subscribed(message: Message): Told[] {
    const topic = topicOf(message);
    const there = this.#courses.get(topic);
    if (!isPosition(message)) return [];
    const answers = there !== undefined && there.pending !== null && there.pending === message.id;
    if (answers) there.pending = null;
    const course = this.#course(topic);
    if (course === null) return [];
    const position = { epoch: message.epoch, seq: message.seq };
    course.parts = [];
    course.at = position;
    course.ended = false;
    course.awaits = message.recovered === false || (answers && course.wantsState);
    if (message.recovered === true) this.#resume.set(topic, position);
    // An answer brings it no nearer to the position that a heartbeat named.
    this.#further(course, topic, course.told === null ? this.#now() : course.since);
    return message.recovered === null && position.seq === 0 && message.id === undefined
      ? [{ kind: "empty", topic, position }]
      : [];
  }

  #state(message: Message): Told[] {
    const topic = topicOf(message);
    const course = this.#course(topic);
    if (course === null || !isPosition(message) || !isPart(message)) return [];
    if (message.part === 1) course.parts = [];
    else if (!continues(course.parts, message)) return this.#resubscribe(topic);
    course.parts.push(message);
    course.since = this.#now();
    if (message.part < message.parts) return [];
    const parts = course.parts;
    course.parts = [];
    course.awaits = false;
    this.#moved(course, topic, { epoch: message.epoch, seq: message.seq });
    return [assemble(topic, parts)];
  }

  #conflated(message: Message): Told[] {
    const topic = topicOf(message);
    const course = this.#course(topic);
    if (course === null || !isPosition(message) || !isCount(message.after)) return [];
    const position = { epoch: message.epoch, seq: message.seq };
    const at = course.at;
    const fits =
      at !== null && at.epoch === position.epoch && message.after <= at.seq && at.seq <= position.seq;
    if (!fits) return this.#resubscribe(topic);
    this.#moved(course, topic, position);
    return [
      {
        kind: "conflated",
        topic,
        position,
        removed: list<string>(message.removed),
        nodes: entries(message.nodes),
        top: partialTop(message),
        events: list<StoredEvent>(message.events),
        logsSkipped: isObject(message.logs_skipped) ? (message.logs_skipped as Record<string, number>) : {},
      },
    ];
  }

  #heartbeat(message: Message): Told[] {
    const users = Object.entries(object(message.user_positions)).map(
      ([user, at]) => [`@${user}`, at] as const,
    );
    for (const [topic, said] of [...Object.entries(object(message.positions)), ...users]) {
      const course = this.#course(topic);
      const there = read(said);
      if (course === null || there === null || course.parts.length > 0) continue;
      if (same(course.at, there) || (course.ended && same(there, BEGINNING))) course.told = null;
      else {
        // As long as it is not there it is behind since the first heartbeat that named it.
        const since = course.told === null ? this.#now() : course.since;
        course.told = there;
        this.#request(topic);
        (this.#courses.get(topic) as TopicState).since = since;
      }
      if (!course.behind) this.#late.delete(topic);
    }
    return [];
  }

  #unsubscribed(message: Message): Told[] {
    const topic = topicOf(message);
    if (message.id !== undefined || this.#course(topic) === null) return [];
    this.#wanted.delete(topic);
    this.#forget(topic);
    return [{ kind: "refused", topic, code: "unsubscribed", message: "the hub ended this subscription" }];
  }

  #error(message: Message): Told[] {
    const id = message.id;
    if (typeof id !== "number") return [];
    for (const [topic, course] of this.#courses) {
      if (course.pending !== id) continue;
      this.#wanted.delete(topic);
      this.#forget(topic);
      return [{ kind: "refused", topic, code: String(message.code), message: String(message.message) }];
    }
    return [];
  }
}
