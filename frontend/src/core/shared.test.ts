import { expect, it } from "vitest";
import type { Heard } from "./clock.ts";
import type { Engine, EngineEvents, Status } from "./engine.ts";
import { HubError } from "./errors.ts";
import { Host, MOST_WAITING } from "./host.ts";
import { type Port, PortedEngine, type ToTab, type ToWorker } from "./shared.ts";
import type { Told } from "./told.ts";

class FakeEngine implements Engine {
  readonly watched: string[] = [];
  closed = false;
  readonly events: EngineEvents;

  constructor(events: EngineEvents) {
    this.events = events;
  }

  watch(topic: string): void {
    this.watched.push(topic);
  }

  unwatch(topic: string): void {
    this.watched.splice(this.watched.indexOf(topic), 1);
  }

  async ask(): Promise<Record<string, unknown>> {
    return { type: "reply" };
  }

  readonly tokens: (string | null)[] = [];

  setToken(token: string | null): void {
    this.tokens.push(token);
  }

  /** The tokens given over the connection, and whether the hub takes them. */
  readonly refreshed: string[] = [];
  refusal: HubError | null = null;

  async refresh(token: string): Promise<void> {
    this.refreshed.push(token);
    if (this.refusal !== null) throw this.refusal;
  }

  wake(): void {}

  visible = false;

  seen(visible: boolean): void {
    this.visible = visible;
  }

  close(): void {
    this.closed = true;
  }
}

/** Two ends of a channel whose messages are carried when the test says so. */
function channel() {
  const toTab: ToTab[] = [];
  const tab: Port<ToWorker, ToTab> = {
    postMessage: (message) => worker.onmessage?.({ data: message }),
    onmessage: null,
  };
  const worker: Port<ToTab, ToWorker> = {
    postMessage: (message) => void toTab.push(structuredClone(message)),
    onmessage: null,
  };
  const carry = () => {
    for (const message of toTab.splice(0)) tab.onmessage?.({ data: message });
  };
  return { tab, worker, carry, toTab };
}

function deployed() {
  const engines: FakeEngine[] = [];
  const host = new Host((_, events) => {
    const engine = new FakeEngine(events);
    engines.push(engine);
    return engine;
  });
  const deaths: (() => void)[] = [];
  const open = (...given: [(string | null | undefined)?]) => {
    const token = given.length === 0 ? null : given[0];
    const { tab, worker, carry, toTab } = channel();
    host.serve(worker, (_, then) => void deaths.push(then));
    const told: Told[] = [];
    const statuses: Status[] = [];
    const engine = new PortedEngine(
      tab,
      { url: "ws://hub", token, exact: false },
      { told: (batch) => void told.push(...batch), status: (status) => void statuses.push(status) },
    );
    engine.locked("lock");
    return { engine, told, statuses, carry, toTab };
  };
  const say = (...batch: Told[]) => engines[0]?.events.told(batch);
  return { engines, open, say, deaths };
}

const event = (seq: number): Told => ({
  kind: "event",
  topic: "p",
  event: {
    type: "node_update",
    project_id: "p",
    data: { node_id: `n${seq}`, changes: {} },
    timestamp: "",
    seq,
    epoch: "e",
  },
});

it("two tabs share one connection, and a later one gets the state from here", () => {
  const { engines, open, say } = deployed();
  const first = open();
  first.engine.watch("p");
  say(event(1), event(2));
  const second = open();
  second.engine.watch("p");
  second.carry();
  expect(engines).toHaveLength(1);
  expect(engines[0]?.watched).toEqual(["p"]);
  expect(second.told).toMatchObject([{ kind: "state", position: { epoch: "e", seq: 2 } }]);
});

it("what comes while a tab is busy is taken in one batch", () => {
  const { open, say } = deployed();
  const tab = open();
  tab.engine.watch("p");
  for (let seq = 1; seq <= 500; seq += 1) say(event(seq));
  expect(tab.toTab.filter((one) => one.kind === "told")).toHaveLength(2);
  tab.carry();
  expect(tab.toTab.filter((one) => one.kind === "told")).toHaveLength(1);
  tab.carry();
  expect(tab.told.map((one) => (one.kind === "event" ? one.event.seq : 0))).toEqual(
    Array.from({ length: 500 }, (_, at) => at + 1),
  );
});

it("a tab that takes nothing for long gets one state when it takes again, not a backlog", () => {
  const { open, say } = deployed();
  const tab = open();
  tab.engine.watch("p");
  for (let seq = 1; seq <= MOST_WAITING + 500; seq += 1) say(event(seq));
  tab.carry();
  tab.carry();
  expect(tab.told).toHaveLength(3);
  expect(tab.told.at(-1)).toMatchObject({ kind: "state", position: { epoch: "e", seq: MOST_WAITING + 500 } });
  say(event(MOST_WAITING + 501));
  tab.carry();
  expect(tab.told.at(-1)).toMatchObject({ kind: "event", event: { seq: MOST_WAITING + 501 } });
});

it("a topic is watched for as long as any tab does, and a tab that died watches nothing", () => {
  const { engines, open, deaths } = deployed();
  const first = open();
  const second = open();
  first.engine.watch("p");
  second.engine.watch("p");
  first.engine.unwatch("p");
  expect(engines[0]?.watched).toEqual(["p"]);
  deaths[1]?.();
  expect(engines[0]?.watched).toEqual([]);
  expect(engines[0]?.closed).toBe(false);
  deaths[0]?.();
  expect(engines[0]?.closed).toBe(true);
});

it("an answer comes back to the tab that asked", async () => {
  const { open } = deployed();
  const tab = open();
  const reply = tab.engine.ask({ type: "ack" });
  await Promise.resolve();
  await Promise.resolve();
  tab.carry();
  await expect(reply).resolves.toEqual({ type: "reply" });
});

it("a tab with another token has another connection, and the others' goes on as it is", () => {
  const { engines, open } = deployed();
  const one = open();
  const other = open();
  one.engine.watch("p");
  other.engine.watch("p");
  other.engine.setToken("bad");
  expect(engines).toHaveLength(2);
  expect(engines[0]).toMatchObject({ watched: ["p"], closed: false });
  expect(engines[1]?.watched).toEqual(["p"]);
  engines[1]?.events.status({ kind: "refused", code: 4003, reason: "bad" });
  one.carry();
  other.carry();
  expect(one.statuses.at(-1)).toEqual({ kind: "connecting" });
  expect(other.statuses.at(-1)).toMatchObject({ kind: "refused" });
});

it("a tab alone takes a new token on its connection, which a later tab of that token shares", () => {
  const { engines, open } = deployed();
  const tab = open();
  tab.engine.watch("p");
  tab.engine.setToken("new");
  expect(engines).toHaveLength(1);
  expect(engines[0]?.tokens).toEqual(["new"]);
  const later = open("new");
  later.engine.watch("p");
  expect(engines).toHaveLength(1);
  open();
  expect(engines).toHaveLength(2);
});

it("a topic that is refused is told to the tabs that want it, and to no other", () => {
  const { open, say } = deployed();
  const one = open();
  const other = open();
  one.engine.watch("%");
  other.engine.watch("p");
  say({ kind: "refused", topic: "%", code: "invalid_project_id", message: "no" });
  say(event(1));
  one.carry();
  other.carry();
  expect(one.told).toMatchObject([{ kind: "refused", topic: "%" }]);
  expect(other.told).toMatchObject([{ kind: "event", topic: "p" }]);
});

it("a tab that dies while its topic is being asked for leaves nothing behind", () => {
  const { engines, open, deaths, say } = deployed();
  const one = open();
  const other = open();
  one.engine.watch("p");
  other.engine.watch("q");
  deaths[0]?.();
  expect(engines[0]?.watched).toEqual(["q"]);
  say(event(1));
  other.engine.watch("p");
  expect(engines[0]?.watched).toEqual(["q", "p"]);
  other.carry();
  expect(other.told).toEqual([]);
});

it("what the worker heard of the hub's time is told by the page's own clock, also to a later tab", () => {
  const { engines, open } = deployed();
  const heard: Heard[] = [];
  const tab = open();
  // The page's clock is an hour ahead of the worker's.
  tab.toTab.splice(0, tab.toTab.length, {
    kind: "status",
    status: { kind: "connecting" },
    now: Date.now() - 3_600_000,
  });
  tab.engine.events.heard = (one) => void heard.push(one);
  tab.carry();
  engines[0]?.events.heard?.({ sent: 1_000, received: 1_020, hub: 1_010, step: 0 });
  tab.carry();
  const by = (heard[0]?.sent ?? 0) - 1_000;
  expect(Math.abs(by - 3_600_000)).toBeLessThan(5_000);
  expect(heard).toEqual([{ sent: 1_000 + by, received: 1_020 + by, hub: 1_010, step: 0 }]);
  const later = open();
  expect(later.toTab.at(-1)).toEqual({
    kind: "heard",
    heard: { sent: 1_000, received: 1_020, hub: 1_010, step: 0 },
  });
});

it("the connection is looked at as long as one of its tabs is", () => {
  const { engines, open } = deployed();
  const [one, other] = [open(), open()];
  one.engine.seen(true);
  other.engine.seen(false);
  expect(engines[0]?.visible).toBe(true);
  other.engine.seen(true);
  one.engine.close();
  expect(engines[0]?.visible).toBe(true);
  other.engine.seen(false);
  expect(engines[0]?.visible).toBe(false);
});

it("a warning reaches every tab, and a tab that comes later with the new token shares the connection", async () => {
  const { engines, open } = deployed();
  const [one, other] = [open("old"), open("old")];
  let warned = 0;
  for (const tab of [one, other]) {
    tab.engine.events.expiring = () => {
      warned += 1;
    };
  }
  engines[0]?.events.expiring?.();
  one.carry();
  other.carry();
  expect(warned).toBe(2);
  const done = one.engine.refresh("new");
  await Promise.resolve();
  await Promise.resolve();
  await Promise.resolve();
  one.carry();
  await done;
  expect(engines[0]?.refreshed).toEqual(["new"]);
  open("new");
  expect(engines).toHaveLength(1);
  open("old");
  expect(engines).toHaveLength(2);
});

it("a tab hears that the hub refused its token, and the others go on with the old one", async () => {
  const { engines, open } = deployed();
  const [one] = [open("old"), open("old")];
  const [engine] = engines;
  if (engine !== undefined) engine.refusal = new HubError("forbidden", "of another");
  const done = one.engine.refresh("bobs");
  done.catch(() => {});
  await Promise.resolve();
  await Promise.resolve();
  await Promise.resolve();
  one.carry();
  await expect(done).rejects.toMatchObject({ code: "forbidden" });
  open("old");
  expect(engines).toHaveLength(1);
});

it("a tab whose token is not known yet shares with none that has none", () => {
  const { engines, open } = deployed();
  open();
  const tab = open(undefined);
  tab.engine.watch("p");
  expect(engines).toHaveLength(2);
  tab.engine.setToken("new");
  expect(engines[1]?.tokens).toEqual(["new"]);
});
