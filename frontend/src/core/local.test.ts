import { beforeEach, expect, it } from "vitest";
import { FakeSocket, FakeWorld, newest } from "../../test/world.ts";
import type { Status } from "./engine.ts";
import { LocalEngine } from "./local.ts";
import type { Told } from "./told.ts";

let world: FakeWorld;
let told: Told[];
let engine: LocalEngine;

beforeEach(() => {
  FakeSocket.all.length = 0;
  world = new FakeWorld();
  told = [];
  const events = { told: (batch: readonly Told[]) => void told.push(...batch), status: () => {} };
  engine = new LocalEngine("ws://hub/ws/updates", null, events, world);
});

const named = () => new URL(newest().url).searchParams.get("project_id");
const subscribed = () =>
  newest()
    .sent.filter((one) => one.type === "subscribe")
    .map((one) => one.project_id ?? `@${one.user_id}`);

function refuse(topic: string, code: string): void {
  const request = newest()
    .sent.filter((one) => one.type === "subscribe" && one.project_id === topic)
    .at(-1);
  newest().say({ type: "error", id: request?.id, code, message: "no" });
}

it("an impossible topic is refused here, after the caller is ready, and no connection is made for it", async () => {
  for (const topic of ["%", "", "*", "a b", "é", "a".repeat(129), "..", "@", `@${"u".repeat(257)}`])
    engine.watch(topic);
  expect(told).toEqual([]);
  await Promise.resolve();
  expect(told).toHaveLength(9);
  expect(new Set(told.map((one) => one.kind))).toEqual(new Set(["refused"]));
  expect(told[0]).toMatchObject({ code: "invalid_project_id", message: expect.stringContaining("“%”") });
  expect(FakeSocket.all).toEqual([]);
});

it("after an impossible topic a possible one is watched as ever", async () => {
  engine.watch("%");
  engine.watch("good");
  await Promise.resolve();
  newest().welcome();
  expect(named()).toBe("good");
  expect(subscribed()).toEqual(["good"]);
});

it("a topic that makes the hub refuse the handshake keeps no other from being watched", () => {
  engine.watch("bad");
  engine.watch("good");
  expect(named()).toBe("bad");
  newest().end(1006);
  world.advance(1_000);
  expect(named()).toBe("good");
  newest().welcome();
  expect(subscribed()).toEqual(["bad", "good"]);
});

it("a topic that nobody wants any more is not named again", () => {
  engine.watch("first");
  engine.watch("other");
  engine.unwatch("first");
  newest().end(1006);
  world.advance(1_000);
  expect(named()).toBe("other");
});

it("a topic that is refused for good is told; the others go on", () => {
  engine.watch("mine");
  engine.watch("theirs");
  newest().welcome();
  refuse("theirs", "forbidden");
  expect(told).toMatchObject([{ kind: "refused", topic: "theirs", code: "forbidden" }]);
  newest().say({ type: "subscribed", id: 1, project_id: "mine", epoch: "e", seq: 3, recovered: null });
  newest().say({ type: "node_update", project_id: "mine", data: {}, timestamp: "t", epoch: "e", seq: 4 });
  expect(told.at(-1)).toMatchObject({ kind: "event", topic: "mine" });
});

it("a topic that is refused for the moment is asked for again, for as long as it is wanted", () => {
  engine.watch("p");
  newest().welcome();
  refuse("p", "rate_limited");
  expect(told).toEqual([]);
  world.advance(2_000);
  expect(subscribed()).toEqual(["p", "p"]);
  refuse("p", "store_unavailable");
  engine.unwatch("p");
  world.advance(10_000);
  expect(subscribed()).toEqual(["p", "p"]);
});

it("many topics are asked for at the pace that the hub takes, each once, however soon the hub calls late", () => {
  const all = Array.from({ length: 1_000 }, (_, n) => `p${n}`);
  for (const one of all) engine.watch(one);
  newest().say({ type: "welcome", data: { connection_id: "c", heartbeat_interval: 2 } });
  expect(subscribed()).toEqual(all.slice(0, 150));
  let answered = 0;
  for (let second = 1; second <= 30; second += 1) {
    world.advance(1_000);
    expect(newest().sent.length).toBeLessThanOrEqual(150 + 50 * second);
    for (const { type, id, project_id } of newest().sent.slice(answered)) {
      if (type !== "subscribe") continue;
      const at = { project_id, epoch: "e", seq: 1 };
      newest().say({ type: "subscribed", id, ...at, recovered: null });
      newest().say({
        type: "project_state",
        ...at,
        reason: "initial",
        part: 1,
        parts: 1,
        data: { nodes: [] },
      });
    }
    answered = newest().sent.length;
    newest().say({ type: "heartbeat", timestamp: "t", positions: {} });
  }
  expect(new Set(subscribed())).toEqual(new Set(all));
  expect(subscribed().length).toBe(all.length);
});

it("a position that the hub takes for none is given up, and the state asked for", () => {
  engine.watch("p");
  newest().welcome();
  newest().say({ type: "subscribed", id: 1, project_id: "p", epoch: "e", seq: 3, recovered: null });
  newest().say({ type: "node_update", project_id: "p", data: {}, timestamp: "t", epoch: "e", seq: 4 });
  newest().end(1006);
  world.advance(1_000);
  newest().welcome();
  expect(newest().sent.find((one) => one.type === "subscribe")).toMatchObject({ since: "e:4" });
  refuse("p", "invalid_position");
  world.advance(2_000);
  expect(
    newest()
      .sent.filter((one) => one.type === "subscribe")
      .at(-1),
  ).toMatchObject({ state: true });
});

it("a project that stands still behind the hub is told as such, however busy another one is, and asked for again", () => {
  const statuses: Status[] = [];
  engine = new LocalEngine(
    "ws://hub/ws/updates",
    null,
    { told: () => {}, status: (one) => void statuses.push(one) },
    world,
  );
  engine.watch("busy");
  engine.watch("still");
  newest().say({ type: "welcome", data: { heartbeat_interval: 8 } });
  const live = () => statuses.at(-1) as Extract<Status, { kind: "live" }>;
  const state = { state: null, project: {}, orchestrator: null, coordination: null, prompts: [], nodes: [] };
  for (const project_id of ["busy", "still"]) {
    const { id } = newest().sent.find((one) => one.project_id === project_id) ?? {};
    const place = { project_id, epoch: "e", seq: 1 };
    newest().say({ type: "subscribed", ...place, recovered: null, id });
    newest().say({ type: "project_state", ...place, reason: "initial", part: 1, parts: 1, data: state });
  }
  let seq = 1;
  const second = () => {
    seq += 1;
    newest().say({ type: "x", project_id: "busy", data: {}, timestamp: "", seq, epoch: "e" });
    if (seq % 8 === 0)
      newest().say({ type: "heartbeat", timestamp: "", positions: { busy: `e:${seq}`, still: "e:9" } });
    world.advance(1_000);
  };
  while (world.at < 17_000) second();
  expect(live()).toMatchObject({ kind: "live", late: [] });
  while (world.at < 19_000) second();
  expect(live()).toMatchObject({ kind: "live", late: ["still"] });
  const requests = newest().sent.filter((one) => one.type === "subscribe" && one.project_id === "still");
  expect(requests.length).toBeGreaterThan(2);
  expect(requests.slice(1).every((one) => one.since === "e:1")).toBe(true);
  newest().say({
    type: "subscribed",
    project_id: "still",
    epoch: "e",
    seq: 1,
    recovered: true,
    id: requests.at(-1)?.id,
  });
  for (let at = 2; at <= 9; at += 1)
    newest().say({ type: "x", project_id: "still", data: {}, timestamp: "", seq: at, epoch: "e" });
  expect(live()).toMatchObject({ kind: "live", late: [] });
  expect(FakeSocket.all).toHaveLength(1);
});

it("a project whose answers lead nowhere is late too, however often it is asked for", () => {
  const statuses: Status[] = [];
  engine = new LocalEngine(
    "ws://hub/ws/updates",
    null,
    { told: () => {}, status: (one) => void statuses.push(one) },
    world,
  );
  engine.watch("p");
  newest().say({ type: "welcome", data: { heartbeat_interval: 8 } });
  const answer = (recovered: boolean | null) => {
    const { id } =
      newest()
        .sent.filter((one) => one.type === "subscribe")
        .at(-1) ?? {};
    newest().say({ type: "subscribed", project_id: "p", epoch: "e", seq: 1, recovered, id });
  };
  answer(null);
  const state = { state: null, project: {}, orchestrator: null, coordination: null, prompts: [], nodes: [] };
  const place = { project_id: "p", epoch: "e", seq: 1 };
  newest().say({ type: "project_state", ...place, reason: "initial", part: 1, parts: 1, data: state });
  const late: (readonly string[])[] = [];
  for (let beat = 0; beat < 3; beat += 1) {
    newest().say({ type: "heartbeat", timestamp: "", positions: { p: "e:9" } });
    world.advance(100);
    answer(true);
    world.advance(7_900);
    late.push((statuses.at(-1) as Extract<Status, { kind: "live" }>).late);
  }
  expect(late).toEqual([[], ["p"], ["p"]]);
});
