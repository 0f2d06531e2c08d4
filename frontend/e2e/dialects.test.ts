/** Clients of the other systems as their documents describe them, in a real browser, through the death of the hub. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Browser, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

interface Client {
  readonly path: string;
  /** Said at each opening, or at the first only. */
  readonly hello: readonly unknown[];
  readonly once?: boolean;
  /** Milliseconds before it connects again, by the number of failures in a row; null: never again. */
  readonly again: readonly (number | null)[];
  /** Close codes after which it is content. */
  readonly content: readonly number[];
}

const CLIENTS: Record<string, Client> = {
  // Five tries, each after twice the time of the one before.
  tasktree: { path: "/ws/updates", hello: [], again: [1000, 2000, 4000, 8000, 16000, null], content: [] },
  // A second after any close, for ever; subscribes anew each time.
  autogpt: {
    path: "/ws",
    hello: [
      { method: "heartbeat", data: "ping" },
      { method: "subscribe_graph_execution", data: { graph_exec_id: "e1" } },
    ],
    again: [1000],
    content: [],
  },
  execution: {
    path: "/api/v1/ws/executions/e1?logs=1",
    hello: [{ type: "ping" }],
    again: [500],
    content: [1000, 4004],
  },
  aiecs: { path: "/ws/aiecs", hello: [{ action: "subscribe", user_id: "ada" }], again: [1000], content: [] },
};

/** Run a client in the page; what it hears is kept there. */
function start(page: Page, name: string, client: Client): Promise<void> {
  return page.evaluate(
    ({ key, spec }) => {
      const kept = window as unknown as { heard: Record<string, unknown[]>; opened: Record<string, number> };
      kept.heard ??= {};
      kept.opened ??= {};
      kept.heard[key] = [];
      kept.opened[key] = 0;
      let failures = 0;
      const connect = () => {
        const socket = new WebSocket(`${window.location.origin.replace("http", "ws")}${spec.path}`);
        socket.onopen = () => {
          failures = 0;
          kept.opened[key] = (kept.opened[key] ?? 0) + 1;
          if (!spec.once || kept.opened[key] === 1) {
            for (const one of spec.hello) socket.send(JSON.stringify(one));
          }
        };
        socket.onmessage = ({ data }) => kept.heard[key]?.push(JSON.parse(data));
        socket.onclose = ({ code }) => {
          if (spec.content.includes(code)) return;
          const wait = spec.again[Math.min(failures, spec.again.length - 1)];
          failures += 1;
          if (wait !== null && wait !== undefined) setTimeout(connect, wait);
        };
      };
      connect();
    },
    { key: name, spec: client },
  );
}

function heard(page: Page, name: string): Promise<Record<string, unknown>[]> {
  return page.evaluate(
    (key) => (window as unknown as { heard: Record<string, Record<string, unknown>[]> }).heard[key] ?? [],
    name,
  );
}

function opened(page: Page, name: string): Promise<number> {
  return page.evaluate(
    (key) => (window as unknown as { opened: Record<string, number> }).opened[key] ?? 0,
    name,
  );
}

/** Push in each language, and see that its client hears it. */
async function each(page: Page, round: number): Promise<void> {
  await hub.push("p", [node("a", { title: `round ${round}` })]);
  await expect.poll(async () => JSON.stringify(await heard(page, "tasktree"))).toContain(`round ${round}`);
  await hub.call("POST", "/autogpt/events", {
    payload: {
      event_type: "graph_execution_update",
      id: "e1",
      user_id: "3e53486c-cf57-477e-ba2a-cb02dc828e1a",
      graph_id: "g1",
      graph_version: round,
      status: "RUNNING",
    },
  });
  await expect
    .poll(async () =>
      (await heard(page, "autogpt")).some(
        ({ method, data }) =>
          method === "graph_execution_event" && (data as { graph_version: number }).graph_version === round,
      ),
    )
    .toBe(true);
  await hub.push("execution:e1", [
    { type: "project_update", data: { changes: { message: `round ${round}` } } },
  ]);
  await expect
    .poll(async () => (await heard(page, "execution")).some(({ message }) => message === `round ${round}`))
    .toBe(true);
  await hub.call("POST", "/aiecs/users/ada/messages", { message: { type: "progress", round } });
  await expect
    .poll(async () =>
      (await heard(page, "aiecs")).some((one) => one.round === round && one.target_user_id === "ada"),
    )
    .toBe(true);
}

it("every system's client hears what is for it, comes back after the hub's death, and hears again", async () => {
  await hub.push("execution:e1", [{ type: "state_transition", data: { to: "running" } }]);
  const { page } = await open(browser, { expected: /ERR_|WebSocket|fetch/ });
  await page.goto(`${hub.url}/docs`);
  for (const [name, client] of Object.entries(CLIENTS)) await start(page, name, client);
  for (const name of Object.keys(CLIENTS)) await expect.poll(() => opened(page, name)).toBe(1);
  await each(page, 1);
  await hub.kill();
  await hub.run();
  for (const name of Object.keys(CLIENTS)) await expect.poll(() => opened(page, name)).toBe(2);
  await each(page, 2);
  await hub.call("PATCH", "/executions/e1", { status: "completed", result: { n: 1 } });
  await expect
    .poll(async () => (await heard(page, "execution")).at(-1))
    .toMatchObject({ type: "status", status: "completed", progress: 100 });
  await page.context().close();
});

it("AutoGPT's hook, which subscribes once, hears on after the hub was started again", async () => {
  const { page } = await open(browser, { expected: /ERR_|WebSocket|fetch/ });
  await page.goto(`${hub.url}/docs`);
  await start(page, "hook", {
    path: "/ws",
    hello: [{ method: "subscribe_graph_executions", data: { graph_id: "g2" } }],
    once: true,
    again: [1000],
    content: [],
  });
  const shows = (id: string) =>
    expect
      .poll(async () => {
        await hub.call("POST", "/autogpt/events", {
          payload: {
            event_type: "graph_execution_update",
            id,
            user_id: "3e53486c-cf57-477e-ba2a-cb02dc828e1a",
            graph_id: "g2",
            graph_version: 1,
            status: "RUNNING",
          },
        });
        return (await heard(page, "hook")).some(({ data }) => (data as { id?: string } | null)?.id === id);
      })
      .toBe(true);
  await shows("before");
  await hub.stop();
  await hub.run();
  await expect.poll(() => opened(page, "hook")).toBe(2);
  await shows("after");
  await page.context().close();
});
