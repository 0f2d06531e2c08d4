import { beforeEach, expect, it, vi } from "vitest";
import { FakeSocket, FakeWorld, newest } from "../../test/world.ts";
import type { Engine, EngineEvents } from "./engine.ts";
import { HubError } from "./errors.ts";
import { Http } from "./http.ts";
import { createHub, type HubOptions } from "./hub.ts";
import { LocalEngine } from "./local.ts";
import { Tokens } from "./tokens.ts";

let world: FakeWorld;
let asked: number;

beforeEach(() => {
  FakeSocket.all.length = 0;
  world = new FakeWorld();
  asked = 0;
  vi.unstubAllGlobals();
});

/** A function that gives t1, t2 … */
const give = async () => {
  asked += 1;
  return `t${asked}`;
};

/** Let all that waits go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

/** What a hub was made to do with tokens. */
function use(refusal: () => HubError | null = () => null) {
  const used: (string | null)[] = [];
  const refreshed: string[] = [];
  return {
    used,
    refreshed,
    use: (token: string | null) => void used.push(token),
    refresh: async (token: string) => {
      refreshed.push(token);
      const error = refusal();
      if (error !== null) throw error;
    },
    later: world.later.bind(world),
    random: () => 0.5,
  };
}

it("a text is the token for ever", async () => {
  const tokens = new Tokens("t");
  const made = use();
  tokens.attach(made);
  tokens.expiring("t");
  tokens.refused("t");
  await settle();
  world.advance(600_000);
  expect([await tokens.get(), await tokens.other("t"), made.used, made.refreshed]).toEqual([
    "t",
    "t",
    [],
    [],
  ]);
});

it("a function is asked once for all who wait", async () => {
  const tokens = new Tokens(give);
  expect(await Promise.all([tokens.get(), tokens.get(), tokens.other(null)])).toEqual(["t1", "t1", "t1"]);
  expect(await Promise.all([tokens.other("t1"), tokens.other("t1")])).toEqual(["t2", "t2"]);
  expect(await tokens.other("t1")).toBe("t2");
  expect(asked).toBe(2);
});

it("is asked for the first token, and again at a warning", async () => {
  const tokens = new Tokens(give);
  const made = use();
  tokens.attach(made);
  await settle();
  expect(made.used).toEqual(["t1"]);
  tokens.expiring("t1");
  await settle();
  expect([made.used, made.refreshed]).toEqual([["t1"], ["t2"]]);
});

it("a function that fails, gives none, or gives the old one is asked again after a while", async () => {
  const answers: (() => string)[] = [
    () => {
      throw new Error("away");
    },
    () => "",
    () => "t1",
    () => "t2",
  ];
  const tokens = new Tokens(() =>
    answers.length === 4 && asked++ === 0 ? "t1" : (answers.shift()?.() ?? "t3"),
  );
  const made = use();
  tokens.attach(made);
  await settle();
  tokens.expiring("t1");
  for (let turn = 0; turn < 5; turn += 1) {
    await settle();
    world.advance(60_000);
  }
  expect([made.used, made.refreshed]).toEqual([["t1"], ["t2"]]);
});

it("where the hub refuses it, there is another, and not at once again and again", async () => {
  const tokens = new Tokens(give);
  const made = use();
  tokens.attach(made);
  await settle();
  const times: number[] = [];
  for (let turn = 0; turn < 6; turn += 1) {
    const before = world.at;
    tokens.refused(made.used.at(-1) ?? null);
    while (made.used.length === turn + 1) {
      world.advance(50);
      await settle();
    }
    times.push(world.at - before);
  }
  expect(made.used).toEqual(["t1", "t2", "t3", "t4", "t5", "t6", "t7"]);
  expect(times.at(-1)).toBeGreaterThan(5_000);
});

it("a token of another subject is for a new connection", async () => {
  const tokens = new Tokens(give);
  const made = use(() => new HubError("forbidden", "of another"));
  tokens.attach(made);
  await settle();
  tokens.expiring("t1");
  await settle();
  expect([made.used, made.refreshed]).toEqual([["t1", "t2"], ["t2"]]);
});

it("what comes after another token was set counts no more", async () => {
  let answer: (token: string) => void = () => {};
  const tokens = new Tokens(
    () =>
      new Promise<string>((resolve) => {
        answer = resolve;
      }),
  );
  const made = use();
  tokens.attach(made);
  tokens.set("mine");
  answer("late");
  await settle();
  expect([tokens.current, made.used]).toEqual(["mine", ["mine"]]);
});

it("a request waits for the first token, and is sent again with another where the hub refuses it", async () => {
  const seen: (string | null)[] = [];
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    seen.push(new Headers(init.headers).get("authorization"));
    return new Response("{}", { status: seen.length === 1 ? 401 : 200 });
  });
  const http = new Http("http://hub", give);
  await http.call("GET", "/projects");
  await http.call("GET", "/projects");
  expect(seen).toEqual(["Bearer t1", "Bearer t2", "Bearer t2"]);
  vi.stubGlobal("fetch", async () => new Response("{}", { status: 401 }));
  await expect(new Http("http://hub", give).call("GET", "/projects")).rejects.toMatchObject({
    code: "http_401",
  });
  await expect(new Http("http://hub", "t").call("GET", "/projects")).rejects.toMatchObject({
    code: "http_401",
  });
  const failing = () => Promise.reject(new Error("the old one was hunter2"));
  const error: unknown = await new Http("http://hub", failing).call("GET", "/projects").catch((one) => one);
  expect(String(error)).not.toContain("hunter2");
});

function connected(options: HubOptions = {}) {
  vi.stubGlobal("fetch", () => new Promise(() => {}));
  const engine = (events: EngineEvents): Engine =>
    new LocalEngine("ws://hub/ws/updates", undefined, events, world);
  return createHub({ url: "http://hub", engine, token: give, ...options });
}

it("a hub connects with the first token, renews it on the connection, and comes back with the new one", async () => {
  const hub = connected();
  hub.watch("p");
  expect(FakeSocket.all).toHaveLength(0);
  await settle();
  expect(newest().protocols).toEqual(["tasktree.v1", "bearer.t1"]);
  expect(newest().url).not.toContain("t1");
  newest().welcome();
  newest().say({ type: "token_expiring", data: { expires_in_ms: 60_000 } });
  await settle();
  const request = newest().sent.find((one) => one.type === "refresh");
  expect(request).toMatchObject({ token: "t2" });
  newest().say({ type: "reply", id: request?.id });
  expect(FakeSocket.all).toHaveLength(1);
  newest().end(1006);
  world.advance(30_000);
  expect(newest().protocols).toEqual(["tasktree.v1", "bearer.t2"]);
  hub.close();
});

it("a hub whose token is refused comes back with another", async () => {
  vi.useFakeTimers();
  const hub = connected();
  hub.watch("p");
  await settle();
  newest().end(4003, "expired");
  await settle();
  await vi.advanceTimersByTimeAsync(30_000);
  expect(newest().protocols).toEqual(["tasktree.v1", "bearer.t2"]);
  newest().welcome();
  expect(hub.status.get().kind).toBe("live");
  hub.close();
  vi.useRealTimers();
});
