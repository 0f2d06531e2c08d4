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
