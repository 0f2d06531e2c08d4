/** Nothing that a project's events are called stops a page, and a page notices that it stands still. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Browser, launch, open, type Page } from "./browser.ts";
import { type Event, HubProcess, node } from "./hub.ts";

const NAMES = JSON.parse(
  readFileSync(new URL("../../tests/cases/names.json", import.meta.url), "utf8"),
) as Record<string, Event["data"][]>;
const NAMED = Object.entries(NAMES).flatMap(([type, bodies]) =>
  bodies.map((data): Event => ({ type, data })),
);

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
});

const pill = (page: Page, hasText: RegExp) => page.getByRole("status").filter({ hasText }).waitFor();

it("events and broadcasts that are called like the hub's own messages stop no page of any project", async () => {
  const hub = await HubProcess.startOfBefore();
  try {
    await hub.push("named", [node("a", { title: "Before" }), ...NAMED]);
    const context = await browser.newContext();
    const [one, other] = [await context.newPage(), await context.newPage()];
    await one.goto(`${hub.url}/p/named/tree`);
    await other.goto(`${hub.url}/p/quiet/tree`);
    await one.getByText("Before").waitFor();
    await pill(other, /^live/);
    for (const [at, event] of NAMED.entries()) {
      await hub.push("named", [event]);
      await hub.call("POST", "/broadcast", event);
      await hub.push("named", [node("a", { title: `After ${at} ${event.type}` })]);
      await hub.push("quiet", [node("b", { title: `Other ${at}` })]);
      await one.getByText(`After ${at} ${event.type}`, { exact: true }).waitFor();
      await other.getByText(`Other ${at}`, { exact: true }).waitFor();
    }
    for (const page of [one, other]) await pill(page, /^live/);
    const { connections } = await hub.call<{ connections: unknown[] }>("GET", "/connections");
    expect(connections).toHaveLength(1);
    await one.goto(`${hub.url}/p/named/events`);
    const newest = NAMED.at(-1)?.type ?? ""; // the list draws only what is in view
    await one.getByText(newest, { exact: true }).filter({ visible: true }).first().waitFor();
    await context.close();
  } finally {
    await hub.kill();
  }
});

it("a hub that stands still is noticed within a heartbeat and a half, on a project and on the list", async () => {
  const hub = await HubProcess.start("--set", "delivery.heartbeat_interval=2");
  try {
    await hub.push("p", [node("a", { title: "Alpha" })]);
    const project = await open(browser, { expected: /ERR_|WebSocket|fetch/ });
    const list = await open(browser, { expected: /ERR_|WebSocket|fetch/ });
    await project.page.goto(`${hub.url}/p/p/tree`);
    await list.page.goto(hub.url);
    for (const { page } of [project, list]) await pill(page, /^live/);
    hub.freeze();
    for (const { page } of [project, list]) await pill(page, /stale since/);
    hub.thaw();
    for (const { page } of [project, list]) await pill(page, /^live/);
    await hub.push("p", [node("a", { title: "Beta" })]);
    await project.page.getByText("Beta").waitFor();
    for (const { page } of [project, list]) await page.context().close();
  } finally {
    hub.thaw();
    await hub.kill();
  }
});
