import { beforeEach, describe, expect, it } from "vitest";
import bodies from "../../../tests/cases/names.json";
import { FakeSocket, FakeWorld, newest } from "../../test/world.ts";
import type { Status } from "./engine.ts";
import type { Fields } from "./json.ts";
import { LocalEngine } from "./local.ts";
import type { StoredEvent, Told } from "./told.ts";

/** Every name of a message of the hub's own, with every body that such a message may have. */
const ALL = Object.entries(bodies as Record<string, Fields[]>).flatMap(([type, each]) =>
  each.map((data) => ({ type, data })),
);
const AT = "2026-01-01T00:00:00.000000Z";

let world: FakeWorld;
let told: Told[];
let statuses: Status[];
let engine: LocalEngine;

beforeEach(() => {
  FakeSocket.all.length = 0;
  world = new FakeWorld();
  told = [];
  statuses = [];
  const events = {
    told: (batch: readonly Told[]) => void told.push(...batch),
    status: (status: Status) => void statuses.push(status),
  };
  engine = new LocalEngine("ws://hub/ws/updates", null, events, world);
  engine.watch("p");
  newest().welcome();
  const { id } = newest().sent.find(({ type }) => type === "subscribe") ?? {};
  newest().say({ type: "subscribed", project_id: "p", epoch: "e", seq: 0, recovered: null, id });
  const data = { state: null, project: {}, orchestrator: null, coordination: null, prompts: [], nodes: [] };
  const place = { project_id: "p", epoch: "e", seq: 0 };
  newest().say({ type: "project_state", ...place, reason: "initial", part: 1, parts: 1, data });
  told.length = 0;
});

const event = (seq: number, type: string, data: Fields) => ({
  type,
  project_id: "p",
  data,
  timestamp: AT,
  seq,
  epoch: "e",
});

function goesOn(seq: number): void {
  newest().say(event(seq, "node_update", { node_id: "a", changes: { n: seq } }));
  expect(told.at(-1)).toMatchObject({ kind: "event", event: { type: "node_update", seq } });
  world.advance(1_000);
  newest().say({ type: "pong" });
  expect(statuses.at(-1)).toMatchObject({ kind: "live", behind: 500 });
  expect(FakeSocket.all).toHaveLength(1);
  expect(newest().sent.filter(({ type }) => type === "subscribe")).toHaveLength(1);
}

describe.each(ALL)("called $type, with $data", ({ type, data }) => {
  it("an event is told as it is, and the connection goes on", () => {
    newest().say(event(1, type, data));
    expect(told.map((one) => (one.kind === "event" ? (one.event as StoredEvent) : one))).toEqual([
      event(1, type, data),
    ]);
    goesOn(2);
  });

  it("a broadcast moves nothing", () => {
    newest().say({ type, project_id: null, data, timestamp: AT });
    expect(told).toEqual([]);
    goesOn(1);
  });
});

it.each(["subscribed", "project_state", "conflated", "heartbeat", "welcome", "reply", "ack"])(
  "a misshapen %s moves nothing",
  (type) => {
    newest().say({ type, seq: 1e300, epoch: 5, part: -1, parts: 0, project_id: "p", positions: { p: 5 } });
    newest().say({ type, seq: -1, epoch: "e", part: 1, parts: 1, after: -1, project_id: "p", data: [] });
    newest().say({ type, data: { heartbeat_interval: 0 }, positions: [], id: {} });
    goesOn(1);
  },
);
