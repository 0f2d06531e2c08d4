import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { type Event, HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const MINUTE = 60_000;
const ago = (minutes: number) => new Date(Date.now() - minutes * MINUTE).toISOString();
const then = (minutes: number, event: Event): Event => ({ ...event, timestamp: ago(minutes) });

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("run", [
    then(300, node("a", { title: "Alpha", status: "running" })),
    then(200, node("b", { title: "Beta", status: "running" })),
    then(190, node("a", { status: "failed", message: "disk full" })),
    then(100, node("a", { status: "running", message: null })),
    then(50, node("c", { title: "Gamma", status: "draft" })),
    then(40, node("b", { status: "failed", message: "no answer" })),
    then(30, node("a", { progress: 50 })),
    then(20, node("d", { title: "Delta" })),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

const arrived = (page: Page, at: number) =>
  page
    .getByRole("status")
    .filter({ hasText: `${at} / 8` })
    .waitFor();
const at = (page: Page) => new URL(page.url()).searchParams.get("at");

it("1 h ago, and a time, lead to the last event before it", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree`);
  await page.getByRole("button", { name: "1 h ago" }).click();
  await arrived(page, 4);
  expect(at(page)).toBe("4");
  await accessible(page);
  const local = await page.evaluate(
    (ms) => {
      const then = new Date(ms);
      return new Date(ms - then.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
    },
    Date.now() - 195 * MINUTE,
  );
  await page.getByLabel("Go to a time").fill(local);
  await page.getByRole("button", { name: "Go", exact: true }).click();
  await arrived(page, 2);
  await expect.poll(() => at(page)).toBe("2");
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("marks lead from one failure to the next", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree?at=1`);
  await arrived(page, 1);
  await expect.poll(() => page.locator(".scrubber-marks .c-failed").count()).toBe(2);
  await page.keyboard.press("]");
  await arrived(page, 3);
  await page.getByRole("treeitem", { name: /Alpha.*disk full/ }).waitFor();
  await page.getByRole("button", { name: "The next failure or question" }).click();
  await arrived(page, 6);
  await expect
    .poll(() => page.getByRole("button", { name: "The next failure or question" }).isDisabled())
    .toBe(true);
  await page.keyboard.press("[");
  await arrived(page, 3);
  expect(complaints).toEqual([]);
  await page.context().close();
});

it.each([
  ["light", 1280, 720],
  ["dark", 390, 780],
] as const)(
  "Changes since a moment lists what is another now (%s, %i × %i)",
  async (scheme, width, height) => {
    const { page, complaints } = await open(browser, { scheme, width, height });
    await page.goto(`${hub.url}/p/run/tree?at=4`);
    await arrived(page, 4);
    await fits(page);
    const more = page.getByRole("region", { name: "Time travel" }).getByRole("button", { name: "More" });
    if (width < 640) await more.click();
    await page.getByRole("button", { name: "Changes since" }).click();
    const dialog = page.getByRole("dialog", { name: "Changes since" });
    const list = (name: string) => dialog.getByRole("region", { name }).getByRole("listitem");
    await expect.poll(() => list("with another status").allTextContents()).toEqual(["Betarunning→failed"]);
    expect(await list("new").allTextContents()).toEqual(["Gammadraft", "Deltano status"]);
    expect(await list("with other fields").allTextContents()).toEqual(["Alphaprogress"]);
    expect(new URL(page.url()).search).toBe("?since=4");
    await accessible(page);
    await fits(page);
    await dialog.getByRole("button", { name: "1 day ago" }).click();
    await expect.poll(() => list("new").count()).toBe(4);
    await dialog.getByRole("button", { name: "10 min ago" }).click();
    await dialog.getByText("No node has changed.").waitFor();
    await dialog.getByRole("button", { name: "1 h ago" }).click();
    await list("with another status").getByRole("button", { name: "Beta" }).click();
    await page.getByRole("complementary", { name: "Node" }).getByRole("heading", { name: "Beta" }).waitFor();
    expect(new URL(page.url()).search).toBe("?node=b");
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it.each([
  ["flash once", true, 1],
  ["stand still for whom motion is too much", false, 0],
])("rows that just changed %s", async (name, motion, flashes) => {
  const project = name.slice(0, 5);
  await hub.push(project, [node("a", { title: "Alpha", status: "running" })]);
  const { page } = await open(browser, { motion });
  await page.goto(`${hub.url}/p/${project}/tree`);
  const row = page.getByRole("treeitem", { name: "Alpha" });
  await row.waitFor();
  const begun = await row.evaluate((one) => {
    const counted = { flashes: 0 };
    Object.assign(window, { counted });
    const animate = one.animate.bind(one);
    one.animate = (...args) => {
      counted.flashes += 1;
      return animate(...args);
    };
    return one.getAnimations().length;
  });
  expect(begun).toBe(0);
  await hub.push(project, [node("a", { progress: 10 })]);
  await row.locator(".bar").waitFor();
  await hub.push(project, [node("a", { status: "failed" })]);
  await page.getByRole("treeitem", { name: /Alpha failed/ }).waitFor();
  const counted = () =>
    page.evaluate(() => (window as unknown as { counted: { flashes: number } }).counted.flashes);
  await expect.poll(counted).toBe(flashes);
  await page.context().close();
});
