import { expect, it } from "vitest";
import { Courses } from "./course.ts";
import type { Fields } from "./json.ts";

function opened(topic = "p"): { courses: Courses; id: number } {
  const courses = new Courses();
  courses.want(topic);
  courses.opened();
  return { courses, id: Number(courses.outgoing.splice(0)[0]?.id) };
}

function live(seq = 0): Courses {
  const { courses, id } = opened();
  courses.receive(subscribed(seq, { id, recovered: null }));
  courses.receive(state(seq));
  return courses;
}

const subscribed = (seq: number, more: Fields = {}): Fields => ({
  type: "subscribed",
  project_id: "p",
  epoch: "e",
  seq,
  recovered: null,
  ...more,
});
const state = (seq: number, part = 1, parts = 1, nodes: Fields[] = []): Fields => ({
  type: "project_state",
  project_id: "p",
  epoch: "e",
  seq,
  reason: "initial",
  part,
  parts,
  data: { state: null, project: {}, nodes },
});
const event = (seq: number, more: Fields = {}): Fields => ({
  type: "node_update",
  project_id: "p",
  epoch: "e",
  seq,
  timestamp: "2026-01-01T00:00:00Z",
  data: { node_id: "a", changes: {} },
  ...more,
});
const asked = (courses: Courses) => courses.outgoing.splice(0);

it("a first connection asks for the state, a later one goes on from the position", () => {
  const courses = live(3);
  courses.receive(event(4));
  courses.closed();
  courses.opened();
  expect(asked(courses)).toMatchObject([{ type: "subscribe", project_id: "p", since: "e:4" }]);
});

it("what comes between a request and its answer is dropped: it comes again", () => {
  const { courses, id } = opened();
  expect(courses.receive(event(1))).toEqual([]);
  courses.receive(subscribed(7, { id }));
  expect(courses.receive(state(7))).toMatchObject([{ kind: "state", position: { epoch: "e", seq: 7 } }]);
});

it("a state in parts counts when the last part is there, and not before", () => {
  const { courses, id } = opened();
  courses.receive(subscribed(5, { id }));
  expect(courses.receive(state(5, 1, 2, [{ node_id: "a", title: "A" }]))).toEqual([]);
  courses.closed();
  courses.opened();
  expect(asked(courses)).toMatchObject([{ state: true }]);
});

it("parts are joined in order", () => {
  const { courses, id } = opened();
  courses.receive(subscribed(5, { id }));
  courses.receive(state(5, 1, 2, [{ node_id: "a", title: "A" }]));
  const [told] = courses.receive(state(5, 2, 2, [{ node_id: "b" }]));
  expect(told).toMatchObject({
    nodes: [
      ["a", { title: "A" }],
      ["b", {}],
    ],
  });
});

it("a part that does not continue the one before makes it ask again", () => {
  const { courses, id } = opened();
  courses.receive(subscribed(5, { id }));
  asked(courses);
  courses.receive(state(5, 1, 3));
  courses.receive(state(5, 3, 3));
  expect(asked(courses)).toMatchObject([{ type: "subscribe" }]);
});

it("an event that leaves a gap is not taken, and the topic is subscribed again from where it stood", () => {
  const courses = live(2);
  expect(courses.receive(event(4))).toEqual([]);
  expect(asked(courses)).toMatchObject([{ since: "e:2" }]);
});

it("an event that was told before is not told again", () => {
  const courses = live(2);
  expect(courses.receive(event(2))).toEqual([]);
  expect(asked(courses)).toEqual([]);
});

it("a summary moves the position to its seq, and one that does not fit makes it ask again", () => {
  const courses = live(2);
  const summary = { type: "conflated", project_id: "p", epoch: "e", removed: ["x"], nodes: [], events: [] };
  expect(courses.receive({ ...summary, after: 2, seq: 9 })).toMatchObject([
    { kind: "conflated", removed: ["x"] },
  ]);
  expect(courses.receive(event(10))).toHaveLength(1);
  expect(courses.receive({ ...summary, after: 20, seq: 30 })).toEqual([]);
  expect(asked(courses)).toMatchObject([{ since: "e:10" }]);
});

it("a heartbeat that names another position makes it ask again; the same one does not", () => {
  const courses = live(2);
  courses.receive({ type: "heartbeat", timestamp: "", positions: { p: "e:2" } });
  expect(asked(courses)).toEqual([]);
  courses.receive({ type: "heartbeat", timestamp: "", positions: { p: "e:3" } });
  expect(asked(courses)).toMatchObject([{ since: "e:2" }]);
});

it("the end of a project is told once, and a new life begins at its first event", () => {
  const courses = live(2);
  expect(courses.receive(event(3, { type: "project_deleted", data: {} }))).toMatchObject([
    { kind: "deleted" },
  ]);
  expect(courses.receive(event(3, { type: "project_deleted", data: {} }))).toEqual([]);
  expect(courses.receive(subscribed(0, { epoch: "f" }))).toMatchObject([{ kind: "empty" }]);
  expect(courses.receive(event(1, { epoch: "f" }))).toMatchObject([{ kind: "event" }]);
});

it("a refused subscription is told, and not asked for at the next connection", () => {
  const { courses, id } = opened();
  expect(courses.receive({ type: "error", id, code: "forbidden", message: "no" })).toMatchObject([
    { kind: "refused", topic: "p", code: "forbidden" },
  ]);
  courses.opened();
  expect(asked(courses)).toEqual([]);
});

it("a user's log is asked for by its user", () => {
  const courses = new Courses();
  courses.want("@ada");
  courses.opened();
  expect(asked(courses)).toMatchObject([{ user_id: "ada", state: true }]);
});

/** Courses with a clock that the test moves. */
function timed(): { courses: Courses; at: (ms: number) => void } {
  let now = 0;
  const courses = new Courses(() => now);
  courses.want("p");
  courses.opened();
  const id = asked(courses)[0]?.id;
  courses.receive(subscribed(2, { id }));
  courses.receive(state(2));
  const at = (ms: number) => {
    now = ms;
  };
  return { courses, at };
}

const beat = (position: string): Fields => ({
  type: "heartbeat",
  timestamp: "",
  positions: { p: position },
});

it("one that stands where the hub says is never late", () => {
  const { courses, at } = timed();
  courses.receive(beat("e:2"));
  expect(courses.due(12_000)).toBe(null);
  at(1e9);
  courses.tend(12_000);
  expect(courses.late).toEqual([]);
  expect(asked(courses)).toEqual([]);
});

it("one that a heartbeat says is behind, and that gets no further, is late and asked for again", () => {
  const { courses, at } = timed();
  at(1_000);
  courses.receive(beat("e:5"));
  expect(asked(courses)).toMatchObject([{ since: "e:2" }]);
  expect(courses.due(12_000)).toBe(13_000);
  at(12_999);
  courses.tend(12_000);
  expect(courses.late).toEqual([]);
  at(13_000);
  courses.tend(12_000);
  expect(courses.late).toEqual(["p"]);
  const [again] = asked(courses);
  expect(again).toMatchObject({ since: "e:2" });
  courses.receive(subscribed(2, { id: again?.id, recovered: true }));
  expect(courses.late).toEqual(["p"]);
  for (const seq of [3, 4]) courses.receive(event(seq));
  expect(courses.late).toEqual(["p"]);
  courses.receive(event(5));
  expect(courses.late).toEqual([]);
  expect(courses.due(12_000)).toBe(null);
});

it("answers that lead nowhere do not make it less late", () => {
  const { courses, at } = timed();
  for (let ms = 0; ms <= 16_000; ms += 8_000) {
    at(ms);
    courses.receive(beat("e:5"));
    const [request] = asked(courses);
    at(ms + 1_000);
    courses.receive(subscribed(2, { id: request?.id, recovered: true }));
    courses.tend(12_000);
    if (ms < 16_000) expect(courses.late).toEqual([]);
  }
  expect(courses.late).toEqual(["p"]);
});

it("one that gets further is not late, however long it takes", () => {
  const { courses, at } = timed();
  courses.receive(beat("e:9"));
  const [request] = asked(courses);
  courses.receive(subscribed(2, { id: request?.id, recovered: true }));
  for (const seq of [3, 4, 5, 6, 7, 8, 9]) {
    at(seq * 10_000);
    courses.receive(event(seq));
    courses.tend(12_000);
    expect(courses.late).toEqual([]);
  }
  expect(courses.due(12_000)).toBe(null);
});

it.each([
  ["no answer", () => {}],
  [
    "an answer and no state",
    (courses: Courses, id: unknown) => void courses.receive(subscribed(2, { id, recovered: null })),
  ],
  [
    "a state that breaks off",
    (courses: Courses, id: unknown) => {
      courses.receive(subscribed(2, { id, recovered: null }));
      courses.receive(state(2, 1, 3));
    },
  ],
])("one that gets %s is late, and asked for again", (_, say) => {
  let now = 0;
  const courses = new Courses(() => now);
  courses.want("p");
  courses.opened();
  say(courses, asked(courses)[0]?.id);
  now = 12_000;
  courses.tend(12_000);
  expect(courses.late).toEqual(["p"]);
  expect(asked(courses)).toMatchObject([{ type: "subscribe", state: true }]);
});

it("a lost connection forgets who was late", () => {
  const { courses, at } = timed();
  courses.receive(beat("e:5"));
  at(12_000);
  courses.tend(12_000);
  courses.closed();
  expect(courses.late).toEqual([]);
  courses.opened();
  expect(asked(courses)).toMatchObject([{ since: "e:2" }]);
});
