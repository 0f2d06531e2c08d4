import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const GROUPS = 420;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  const steps = Array.from({ length: GROUPS }, (_, n) => [
    node(`g${n}`, { title: `group ${n}`, parent_id: "all" }),
    node(`g${n}-a`, { title: `step ${n}`, parent_id: `g${n}`, status: n === 300 ? "failed" : "completed" }),
  ]).flat();
  await hub.push("run", [node("all", { title: "all of it" }), ...steps]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

const shown = (page: Page) => page.getByRole("treeitem").count();

it("a search and filters are kept over all views, a reload and a link", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree`);
  await page.getByLabel("Search the tree").fill("step 3");
  await page.getByRole("button", { name: "Only failed" }).click();
  await page.getByLabel("Sort by").selectOption("title");
  await expect.poll(() => shown(page)).toBe(3);
  await page.getByText(`1 of ${2 * GROUPS + 1}`, { exact: true }).waitFor();
  for (const view of ["Board", "Overview", "Tree"])
    await page.getByRole("link", { name: view, exact: true }).click();
  await expect.poll(() => shown(page)).toBe(3);
  await page.reload();
  await expect.poll(() => shown(page)).toBe(3);
  expect(await page.getByLabel("Search the tree").inputValue()).toBe("step 3");
  expect(await page.getByLabel("Sort by").inputValue()).toBe("title");
  await page.getByRole("link", { name: "Events", exact: true }).click();
  expect(await page.getByLabel("Search events").inputValue()).toBe("step 3");
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("the search of events says what it looked through, and goes on to earlier ones", async () => {
  const { page } = await open(browser, { width: 390 });
  await page.goto(`${hub.url}/p/run/events?q=group+7"`);
  const said = page.getByText("Nothing matches in the newest 500 events. Earlier ones were not searched.");
  await said.waitFor();
  await accessible(page);
  await fits(page);
  await page.getByRole("button", { name: "Search earlier events" }).click();
  await page.locator(".events-row").filter({ hasText: "group 7" }).waitFor();
  await page.getByText(`1 of all ${2 * GROUPS + 1} events`).waitFor();
  await page.getByLabel("Search events").fill("no such words");
  await page.getByText(`Nothing matches in all ${2 * GROUPS + 1} events.`).waitFor();
  await page.context().close();
});

it("Collapse all leaves the top", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree`);
  await page.getByRole("button", { name: "Collapse all" }).click();
  await expect.poll(() => shown(page)).toBe(1);
  await page.context().close();
});

it.each([
  ["the wheel", (page: Page) => page.mouse.wheel(0, 100)],
  ["a key", (page: Page) => page.keyboard.press("ArrowDown")],
  ["a click", (page: Page) => page.getByRole("tab", { name: "Log" }).click()],
])("what runs is followed until %s: nothing jumps while one reads", async (by, act) => {
  const project = `live-${by.replace(" ", "-")}`;
  await hub.push(project, [node("one", { title: "First", status: "running" })]);
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/${project}/tree`);
  const follow = page.getByRole("button", { name: "Follow what runs" });
  await follow.click();
  const panel = page.getByRole("complementary", { name: "Node" });
  await panel.getByRole("heading", { name: "First" }).waitFor();
  await hub.push(project, [
    node("one", { status: "completed" }),
    node("two", { title: "Second", status: "running" }),
  ]);
  await panel.getByRole("heading", { name: "Second" }).waitFor();
  await act(page);
  await expect.poll(() => follow.getAttribute("aria-pressed")).toBe("false");
  await hub.push(project, [
    node("two", { status: "completed" }),
    node("three", { title: "Third", status: "running" }),
  ]);
  await page.getByRole("treeitem").filter({ hasText: "Third" }).waitFor();
  await panel.getByRole("heading", { name: "Second" }).waitFor();
  await page.context().close();
});
