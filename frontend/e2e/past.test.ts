import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

/** Events 1 to 3 are the past that is looked at; all that is called late comes after it. */
const AT = 3;
const LAST = 8;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  const log = (message: string) => ({ type: "log", data: { node_id: "build", level: "info", message } });
  const started_at = new Date(Date.now() - 300_000).toISOString();
  await hub.push("run", [
    node("build", { title: "Build", status: "running", started_at }),
    log("first line"),
    log("second line"),
  ]);
  await hub.push("run", [
    log("late line"),
    { type: "project_update", data: { changes: { title: "Late title" } } },
    node("build", { status: "failed", message: "late failure", ended_at: new Date().toISOString() }),
    node("late", { title: "Late node", status: "running", started_at }),
    log("latest line"),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

/** What a row says of its time. */
const spent = (page: Page, title: string) =>
  page.getByRole("treeitem").filter({ hasText: title }).locator(".tree-time").textContent();

const heading = (page: Page, name: string) => page.getByRole("heading", { name, level: 1 }).waitFor();

/** The page says nothing of what came after. */
async function nothingLate(page: Page): Promise<void> {
  expect(await page.locator("body").textContent()).not.toMatch(/late/i);
}

async function arrived(page: Page, at: number): Promise<void> {
  await page
    .getByRole("status")
    .filter({ hasText: `${at} / ${LAST}` })
    .waitFor();
}

it("every view of the past goes by the position's time and shows nothing of what came after", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree`);
  // The present has gone on by some seconds.
  await expect.poll(() => spent(page, "Late node")).toMatch(/^5 min (0[3-9]|[1-5]\d) s$|^[6-9] min/);

  await page.goto(`${hub.url}/p/run/tree?at=${AT}&node=build`);
  await arrived(page, AT);
  await heading(page, "run");
  expect(await spent(page, "Build")).toMatch(/^5 min 0[0-2] s$/);
  await page.getByText(/^for 5 min 0[0-2] s$/).waitFor();
  await nothingLate(page);
  await page.getByRole("tab", { name: "Log" }).click();
  await page.getByText("second line").waitFor();
  await nothingLate(page);
  await page.getByRole("tab", { name: "History" }).click();
  await expect.poll(() => page.locator(".moments li").count()).toBe(1);
  await nothingLate(page);

  await page.getByRole("link", { name: "Events", exact: true }).click();
  await expect.poll(() => page.locator(".events-row").count()).toBe(AT);
  await nothingLate(page);
  await page.getByRole("link", { name: "Timeline" }).click();
  await page.getByRole("treeitem", { name: /Build.*5 min 0[0-2] s$/ }).waitFor();
  await nothingLate(page);
  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByText("Nothing has failed.").waitFor();
  await page.getByRole("row", { name: /Build 5 min 0[0-2] s/ }).waitFor();
  await nothingLate(page);
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/past-overview.png` });
  await accessible(page);
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("Play moves the address, the head, the log, the history and the events", async () => {
  const { page } = await open(browser, { width: 390 });
  await page.goto(`${hub.url}/p/run/events?at=${AT}`);
  await expect.poll(() => page.locator(".events-row").count()).toBe(AT);
  await page.getByRole("button", { name: "Play" }).click();
  await expect.poll(() => new URL(page.url()).searchParams.get("at")).toBe(String(LAST));
  await heading(page, "Late title");
  await expect.poll(() => page.locator(".events-row").count()).toBe(LAST);
  await fits(page);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto(`${hub.url}/p/run/tree?at=${AT}&node=build&tab=log`);
  await page.getByText("second line").waitFor();
  for (let at = AT + 1; at <= LAST; at += 1) {
    await page.getByRole("button", { name: "One event on" }).dispatchEvent("click");
    await page.getByText(`${at} / ${LAST}`).waitFor({ state: "attached" });
  }
  await page.getByText("latest line").waitFor();
  await page.context().close();
});

it("Back leaves time travel and returns to the position that was left", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree`);
  await page.getByRole("button", { name: "Time travel" }).click();
  await arrived(page, LAST);
  await page.getByRole("button", { name: "One event back" }).click();
  await arrived(page, LAST - 1);
  await expect.poll(() => new URL(page.url()).searchParams.get("at")).toBe(String(LAST - 1));
  await page.getByText("Build", { exact: true }).click();
  await page.getByRole("button", { name: "One event back" }).click();
  await expect.poll(() => new URL(page.url()).searchParams.get("at")).toBe(String(LAST - 2));
  await page.goBack();
  await arrived(page, LAST - 1);
  await page.getByRole("complementary", { name: "Node" }).waitFor({ state: "detached" });
  await page.goBack();
  await page.getByRole("button", { name: "Time travel" }).waitFor();
  await page.goForward();
  await arrived(page, LAST - 1);
  await page.context().close();
});

it("a position beyond the last event is the last; one that is no number is refused in words", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree?at=99999`);
  await arrived(page, LAST);
  await expect.poll(() => new URL(page.url()).searchParams.get("at")).toBe(String(LAST));
  await page.goto(`${hub.url}/p/run/timeline?at=abc`);
  await page.getByText("The address names no event: at=“abc”").waitFor();
  await heading(page, "Late title");
  expect(await page.locator("body").textContent()).not.toContain("NaN");
  expect(complaints).toEqual([]);
  await page.context().close();
});
