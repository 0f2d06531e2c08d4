import { renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, expectTypeOf, it, vi } from "vitest";
import names from "../../../tests/cases/names.json";
import { FakeSocket, FakeWorld, newest } from "../../test/world.ts";
import { connectTo, disconnect, RELOAD, useWebSocket } from "./index.ts";
import type { WebSocketMessage } from "./message.ts";
import { asGiven } from "./names.ts";
import { Stream } from "./stream.ts";

let world: FakeWorld;
let told: WebSocketMessage[];

beforeEach(() => {
  FakeSocket.all.length = 0;
  world = new FakeWorld();
  told = [];
});

function stream(): Stream {
  return new Stream("ws://hub/ws/updates", (message) => void told.push(message), world);
}

function event(project: string, seq: number, epoch = "e", type = "step", data: unknown = { n: seq }) {
  return { type, project_id: project, data, timestamp: "2026-01-01T00:00:00.000000Z", seq, epoch };
}

const subscribed = (project: string, seq: number, recovered: boolean | null = null) => ({
  type: "subscribed",
  project_id: project,
  seq,
  epoch: "e",
  recovered,
});

/** A connection to a hub that stands, with these projects at these heads. */
function live(heads: Record<string, number> = {}): void {
  newest().welcome();
  for (const [project, seq] of Object.entries(heads)) newest().say(subscribed(project, seq));
  newest().say({ type: "reply" });
}

function again(ms = 30_000): void {
  newest().end(1006);
  world.advance(ms);
}

const numbers = () => told.filter(({ type }) => type === "step").map(({ data }) => data.n);

it("speaks the hub's language, and tells events and broadcasts as they come", () => {
  stream();
  expect(newest().protocol).toBe("tasktree.v1");
  live({ p: 3 });
  newest().say(event("p", 4));
  newest().say({ type: "news", project_id: null, data: { n: 0 }, timestamp: "t" });
  newest().say({ type: "heartbeat", timestamp: "t", positions: { p: "e:4" } });
  expect(told.map(({ type, project_id }) => [type, project_id])).toEqual([
    ["step", "p"],
    ["news", null],
  ]);
});

it("an event that is called like a message of the hub's is an event", () => {
  stream();
  live();
  for (const type of ["welcome", "draining", "subscribed", "project_state", "heartbeat", "error"])
    newest().say({ ...event("p", told.length + 1), type });
  expect(told.map(({ type }) => type)).toEqual([
    "welcome",
    "draining",
    "subscribed",
    "project_state",
    "heartbeat",
    "error",
  ]);
});

it.each(Object.entries(names as Record<string, object[]>))(
  "an event or a broadcast called %s is told as it is, whatever it carries, and nothing else comes of it",
  (type, bodies) => {
    stream();
    live({ p: 0 });
    for (const [at, data] of bodies.entries()) {
      newest().say(event("p", 2 * at + 1, "e", type, data));
      newest().say({ type, project_id: null, data, timestamp: "t" });
      newest().say(event("p", 2 * at + 2));
    }
    newest().say({ type: "heartbeat", timestamp: "t", positions: { p: `e:${2 * bodies.length}` } });
    expect(told.map((one) => [one.type, one.type === type ? one.data : one.data.n])).toEqual(
      bodies.flatMap((data, at) => [
        [type, data],
        [type, data],
        ["step", 2 * at + 2],
      ]),
    );
    expect(newest().sent).toEqual([]);
    world.advance(11_000);
    expect(FakeSocket.all).toHaveLength(1);
    again(300_000);
    expect(FakeSocket.all.length).toBeGreaterThan(1);
  },
);

it("goes on after a break from where each project was, once and in order", () => {
  stream();
  live({ p: 3, q: 9 });
  newest().say(event("p", 4));
  again();
  newest().welcome();
  const [fence, subscribe] = newest().sent;
  expect(fence).toEqual({ type: "unsubscribe", id: 1, project_id: "*" });
  expect(subscribe).toEqual({ type: "subscribe", id: 2, project_id: "*", since: { p: "e:4", q: "e:9" } });
  newest().say(subscribed("p", 6)); // what the connection began with: of no account
  newest().say(event("p", 7));
  newest().say({ type: "unsubscribed", project_id: "*", id: 1 });
  newest().say(subscribed("p", 4, true));
  for (const seq of [5, 6, 7]) newest().say(event("p", seq));
  newest().say(subscribed("new", 0, true));
  newest().say(event("new", 1));
  newest().say({ type: "reply", id: 2 });
  expect(numbers()).toEqual([4, 5, 6, 7, 1]);
});

it("says that a project must be loaded anew where events were merged or are gone", () => {
  stream();
  live({ p: 3 });
  newest().say({
    type: "conflated",
    project_id: "p",
    epoch: "e",
    after: 3,
    seq: 9,
    events: [event("p", 5)],
    nodes: [],
    removed: [],
  });
  newest().say(event("p", 10));
  newest().say({
    type: "project_state",
    project_id: "p",
    epoch: "f",
    seq: 2,
    part: 1,
    parts: 2,
    reason: "gap",
  });
  newest().say({
    type: "project_state",
    project_id: "p",
    epoch: "f",
    seq: 2,
    part: 2,
    parts: 2,
    reason: "gap",
  });
  newest().say(event("p", 3, "f"));
  expect(told.map(({ type, data }) => (type === RELOAD ? RELOAD : data.n))).toEqual([
    5,
    RELOAD,
    10,
    RELOAD,
    3,
  ]);
});

it("a break before all positions were known is said, and goes on from now", () => {
  stream();
  newest().welcome();
  newest().say(subscribed("p", 3));
  again();
  newest().welcome();
  expect(newest().sent[1]).toEqual({ type: "subscribe", id: 2, project_id: "*" });
  expect(told).toMatchObject([{ type: RELOAD, project_id: null }]);
});

it("subscribes again where the hub says to be elsewhere", () => {
  stream();
  live({ p: 3 });
  newest().say({ type: "heartbeat", timestamp: "t", positions: { p: "e:3", other: "e:1" } });
  expect(newest().sent).toEqual([]);
  newest().say({ type: "heartbeat", timestamp: "t", positions: { p: "e:5" } });
  expect(newest().sent).toMatchObject([{ type: "unsubscribe" }, { type: "subscribe", since: { p: "e:3" } }]);
});

it("a deleted project begins anew", () => {
  stream();
  live({ p: 3 });
  newest().say(event("p", 4, "e", "project_deleted"));
  newest().say(event("p", 1, "f"));
  again();
  newest().welcome();
  expect(newest().sent[1]).toMatchObject({ since: { p: "f:1" } });
});

it("gives up a hub that falls silent, and one that never answers", () => {
  stream();
  live();
  world.advance(37_500);
  world.advance(15_000);
  expect(FakeSocket.all.length).toBeGreaterThan(1);
  const before = FakeSocket.all.length;
  world.advance(15_000);
  expect(FakeSocket.all.length).toBeGreaterThan(before);
});

it("comes back when a draining hub says", () => {
  stream();
  live();
  newest().say({ type: "draining", data: { reconnect_after_ms: 7000 } });
  newest().end(1012);
  world.advance(6999);
  expect(FakeSocket.all.length).toBe(1);
  world.advance(1);
  expect(FakeSocket.all.length).toBe(2);
});

it("a backend that knows no such language is spoken to in TaskTree's, at once", () => {
  const made = stream();
  newest().end(1006);
  expect(FakeSocket.all.map(({ protocol }) => protocol)).toEqual(["tasktree.v1", undefined]);
  newest().onopen?.();
  newest().say({ type: "step", project_id: "p", data: { n: 1 }, timestamp: "t" });
  expect(numbers()).toEqual([1]);
  expect(made.send({ type: "ping" })).toBe(true);
  expect(newest().sent).toEqual([{ type: "ping" }]);
  world.advance(600_000); // silence says nothing there
  expect(FakeSocket.all.length).toBe(2);
});

it("a backend that takes any language is heard too", () => {
  stream();
  newest().onopen?.();
  newest().say("no JSON");
  newest().say({ type: "step", project_id: "p", data: { n: 1 }, timestamp: "t" });
  expect(numbers()).toEqual([1]);
});

it("never stops trying, and waits longer each time within a bound", () => {
  stream();
  for (let attempt = 0; attempt < 40; attempt += 1) {
    newest().end(1006);
    newest().end(1006);
    world.advance(15_000);
  }
  expect(FakeSocket.all.length).toBe(81);
});

it.each([
  ["shop", "shop"],
  ["tt~-x", "-x"],
  ["tt~", ""],
  ["tt~my~20project", "my project"],
  ["tt~~E9~A1~B9~E7~9B~AE", "项目"],
  ["tt~tt~7E-x", "tt~-x"],
  ["tt~~ff", "tt~~ff"],
  ["tt~~FF", "tt~~FF"],
])("the project %s is shown as %s", (id, name) => {
  expect(asGiven(id, { a: 1 })).toEqual([name, { a: 1 }]);
});

it("a name that is too long for an id is taken from the data", () => {
  const name = "x".repeat(140);
  expect(asGiven("tt~~~00ff", { a: 1, tasktree_project_id: name })).toEqual([name, { a: 1 }]);
  expect(asGiven("tt~~~00ff", null)).toEqual(["tt~~~00ff", null]);
});

// --- the hook ---------------------------------------------------------------------------------------------

/** TaskTree's own type and signature. */
interface TheirMessage {
  type: string;
  project_id?: string;
  // biome-ignore lint/suspicious/noExplicitAny: theirs
  data: any;
  timestamp: string;
}

afterEach(() => {
  disconnect();
  vi.unstubAllGlobals();
});

it("has TaskTree's name and signature", () => {
  type Theirs = (handler: (message: TheirMessage) => void) => { send: (message: unknown) => void };
  expectTypeOf(useWebSocket).toExtend<Theirs>();
  expectTypeOf<WebSocketMessage>().toExtend<TheirMessage>();
  expectTypeOf<TheirMessage>().toExtend<WebSocketMessage>();
});

it("all components share one connection, to where the page came from", () => {
  vi.stubGlobal("WebSocket", FakeSocket);
  const one: TheirMessage[] = [];
  const first = renderHook(() => useWebSocket((message: TheirMessage) => void one.push(message)));
  const other: unknown[] = [];
  const { rerender, unmount } = renderHook(
    ({ handler }: { handler: (message: WebSocketMessage) => void }) => useWebSocket(handler),
    { initialProps: { handler: (_: WebSocketMessage) => {} } },
  );
  expect(FakeSocket.all.map(({ url }) => url)).toEqual([`ws://${window.location.host}/ws/updates`]);
  rerender({ handler: (message) => void other.push(message) });
  live();
  newest().say(event("p", 1));
  expect([one.length, other.length]).toEqual([1, 1]);
  unmount();
  newest().say(event("p", 2));
  expect([one.length, other.length]).toEqual([2, 1]);
  first.result.current.send({ type: "ping" });
  expect(newest().sent).toEqual([]); // a hub does not listen, as TaskTree's own server does not
});

it("connects to the hub it is told", () => {
  vi.stubGlobal("WebSocket", FakeSocket);
  connectTo("https://hub.example.org", "t0k");
  renderHook(() => useWebSocket(() => {}));
  expect(newest().url).toBe("wss://hub.example.org/ws/updates");
  expect(newest().protocols).toEqual(["tasktree.v1", "bearer.t0k"]);
});

it("renews its token at the hub's warning, and comes back with another where the hub refuses it", async () => {
  let asked = 0;
  const source = () => {
    asked += 1;
    return `t${asked}`;
  };
  const made = new Stream("ws://hub/ws/updates", () => {}, world, source);
  const settle = async () => {
    for (let turn = 0; turn < 9; turn += 1) await Promise.resolve();
  };
  await settle();
  expect(newest().protocols).toEqual(["tasktree.v1", "bearer.t1"]);
  live();
  newest().say({ type: "token_expiring", data: { expires_in_ms: 60_000 } });
  await settle();
  expect(newest().sent.at(-1)).toEqual({ type: "refresh", token: "t2" });
  newest().end(4003);
  world.advance(30_000);
  await settle();
  expect(FakeSocket.all.map(({ protocols }) => protocols.at(-1))).toEqual(["bearer.t1", "bearer.t3"]);
  made.close();
});
