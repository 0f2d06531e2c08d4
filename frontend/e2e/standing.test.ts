import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  const started_at = new Date(Date.now() - 300_000).toISOString();
  await hub.push(
    "run",
    Array.from({ length: 40 }, (_, n) =>
      node(`n${n}`, { title: `node ${n}`, status: "running", started_at }),
    ),
  );
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

it("durations stand still while the hub is not heard, and go on with it", async () => {
  const { page } = await open(browser, { expected: /WebSocket|ERR_/ });
  await page.clock.install();
  await page.goto(`${hub.url}/p/run/tree`);
  const time = page.locator(".tree-time").first();
  await expect.poll(() => time.textContent()).toMatch(/^5 min/);
  await page.locator(".pill").filter({ hasText: "live" }).waitFor();
  await hub.kill();
  await page
    .locator(".pill")
    .filter({ hasText: /stale since/ })
    .waitFor();
  const stood = await time.textContent();
  expect(stood).toMatch(/^5 min/);
  await page.clock.fastForward(600_000);
  await page.clock.runFor(2_000);
  expect(await time.textContent()).toBe(stood);
  await hub.run();
  await page.locator(".pill").filter({ hasText: "live" }).waitFor();
  await expect.poll(() => time.textContent()).not.toBe(stood);
  await page.context().close();
});

it("zoomed to 200 % the tree has most of the page: the head scrolls away", async () => {
  const { page, complaints } = await open(browser, { width: 640, height: 360 });
  await page.goto(`${hub.url}/p/run/tree`);
  await page.getByText("node 0", { exact: true }).waitFor();
  const seen = () =>
    page.getByRole("tree").evaluate((tree) => {
      const { top, bottom } = tree.getBoundingClientRect();
      return Math.min(bottom, innerHeight) - top;
    });
  expect(await seen()).toBeGreaterThan(170);
  await page.mouse.move(300, 80);
  await page.mouse.wheel(0, 1000);
  await expect.poll(seen).toBeGreaterThan(200);
  await page.getByRole("button", { name: "Time travel" }).click();
  await page.getByRole("button", { name: "Back to now" }).click();
  await fits(page);
  await accessible(page);
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/zoom.png` });
  expect(complaints).toEqual([]);
  await page.context().close();
});
