import { beforeEach, expect, it } from "vitest";
import { FakeSocket, FakeWorld, newest } from "../../test/world.ts";
import type { Status } from "./engine.ts";
import { Socket } from "./socket.ts";

let world: FakeWorld;
let statuses: Status[];
let socket: Socket;

beforeEach(() => {
  FakeSocket.all.length = 0;
  world = new FakeWorld();
  statuses = [];
  const events = {
    opened: () => {},
    message: () => {},
    closed: () => {},
    status: (one: Status) => void statuses.push(one),
  };
  socket = new Socket(() => "ws://hub/ws/updates?project_id=p", "t0k", events, world);
});

const last = () => statuses.at(-1);

it("connects with its token and is live after the welcome", () => {
  expect(newest().url).toBe("ws://hub/ws/updates?project_id=p");
  expect(newest().protocols).toEqual(["tasktree.v1", "bearer.t0k"]);
  newest().welcome();
  expect(last()).toMatchObject({ kind: "live" });
});

it("comes back after a break, and tells when it lost the hub", () => {
  newest().welcome();
  world.advance(1000);
  newest().end(1006);
  expect(last()).toMatchObject({ kind: "waiting", lost: 1000, reason: "the connection broke" });
  world.advance(30_000);
  expect(FakeSocket.all.length).toBeGreaterThan(1);
});

it("waits as long as a draining hub advises", () => {
  newest().welcome();
  newest().say({ type: "draining", data: { reconnect_after_ms: 4321 } });
  newest().end(1012);
  expect(last()).toMatchObject({ kind: "waiting", until: 4321 });
});

it("waits longer each time, within a bound", () => {
  const waits: number[] = [];
  for (let attempt = 0; attempt < 9; attempt += 1) {
    newest().end(1006);
    const status = last();
    waits.push(status?.kind === "waiting" ? status.until - world.at : -1);
    world.advance(waits.at(-1) ?? 0);
  }
  expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
});

it("gives up a hub that says nothing, not even a heartbeat", () => {
  newest().welcome();
  world.advance(37_000);
  expect(last()).toMatchObject({ kind: "live" });
  world.advance(1_000);
  expect(FakeSocket.all[0]?.closed).toBe(true);
  expect(statuses.some((one) => one.kind === "waiting" && one.reason === "the hub fell silent")).toBe(true);
});

it("a refused token is not tried again until there is another", () => {
  newest().end(4003, "expired");
  expect(last()).toEqual({ kind: "refused", code: 4003, reason: "expired" });
  world.advance(600_000);
  expect(FakeSocket.all).toHaveLength(1);
  socket.setToken("other");
  expect(newest().protocols).toEqual(["tasktree.v1", "bearer.other"]);
});

it("without a token, or with one that no hub made, it asks the hub to say so at once", () => {
  socket.setToken(null);
  expect(newest().protocols).toEqual(["tasktree.v1", "bearer."]);
  socket.setToken("not a token\n");
  expect(newest().protocols).toEqual(["tasktree.v1", "bearer.-"]);
});

it("offline, it waits for the machine and not for the clock", () => {
  newest().welcome();
  world.isOnline = false;
  newest().end(1006);
  expect(last()).toMatchObject({ kind: "offline" });
  world.advance(600_000);
  expect(FakeSocket.all).toHaveLength(1);
  world.isOnline = true;
  socket.wake();
  expect(FakeSocket.all).toHaveLength(2);
});

it("tells how far it is behind, from a ping and its answer", () => {
  newest().welcome();
  expect(newest().sent).toEqual([{ type: "ping" }]);
  world.advance(80);
  newest().say({ type: "pong" });
  expect(last()).toMatchObject({ kind: "live", behind: 40 });
});

it("who was closed for something it did waits as long as it ever does", () => {
  newest().welcome();
  newest().end(4029);
  expect(last()).toMatchObject({ kind: "waiting", until: 30_000 });
});

it("a page that is looked at waits 4 s at most; what the hub asks for holds all the same", () => {
  socket.seen(true);
  for (let attempt = 0; attempt < 12; attempt += 1) {
    newest().end(1006);
    // Half of the ceiling: the world's chance is 0.5.
    expect(last()).toMatchObject({ until: world.at + Math.min(2_000, 250 * 2 ** attempt) });
    world.advance(2_000);
  }
  newest().end(4029);
  expect(last()).toMatchObject({ until: world.at + 30_000 });
});

it.each([
  [0, 1_000],
  [-5, 1_000],
  [1e300, 3_600_000],
  ["soon", 8_000],
  [undefined, 8_000],
])("takes an interval of %s between heartbeats as one of %i ms", (told, taken) => {
  newest().say({ type: "welcome", data: { heartbeat_interval: told } });
  world.advance(taken * 1.5 - 1);
  expect(statuses.filter(({ kind }) => kind === "live")).not.toEqual([]);
  expect(FakeSocket.all[0]?.closed).toBe(false);
  world.advance(1);
  expect(FakeSocket.all[0]?.closed).toBe(true);
});

it.each([
  [2_000_000_000, 300_000],
  [-1, 0],
  [1e300, 300_000],
])("a hub that advises to stay away for %i ms is taken at %i", (advised, taken) => {
  newest().welcome();
  newest().say({ type: "draining", data: { reconnect_after_ms: advised } });
  newest().end(1012);
  expect(last()).toMatchObject({ kind: "waiting", until: taken });
});

it("is greeted once, and before that hears nothing", () => {
  newest().say({ type: "draining", data: { reconnect_after_ms: 4321 } });
  newest().say({ type: "pong" });
  expect(last()).toEqual({ kind: "connecting" });
  newest().welcome();
  world.advance(1000);
  newest().say({ type: "welcome", data: { heartbeat_interval: 0 } });
  world.advance(30_000);
  expect(FakeSocket.all[0]?.closed).toBe(false);
  expect(last()).toMatchObject({ kind: "live", since: 0 });
});
