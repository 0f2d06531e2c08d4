import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

const HOUR = 3_600_000;

let browser: Browser;
let hub: HubProcess;

const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("times", [
    node("aware", { title: "aware", status: "running", started_at: ago(300) }),
    node("naive", { title: "naive", status: "running", started_at: ago(300).slice(0, -1) }),
    node("again", { title: "again", status: "failed", started_at: ago(3600), ended_at: ago(3000) }),
    node("again", { status: "running", started_at: ago(300) }),
    node("kept", { title: "kept", status: "failed", started_at: ago(330), ended_at: ago(300) }),
    node("kept", { status: "running" }),
    node("over", {
      title: "over",
      status: "completed",
      started_at: ago(420),
      ended_at: ago(300).slice(0, -1),
    }),
  ]);
  await hub.call("POST", "/prompts", {
    project_id: "times",
    node_id: "aware",
    message: "Go on?",
    timeout: 1800,
    default: { proceed: false },
  });
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

/** A page of a viewer elsewhere, whose clock is so many milliseconds ahead. */
async function elsewhere(timezoneId: string, ahead: number, width = 1280): Promise<Page> {
  const context = await browser.newContext({ timezoneId, viewport: { width, height: 800 } });
  if (ahead !== 0)
    await context.addInitScript((by) => {
      const Real = Date;
      const now = Real.now.bind(Real);
      // biome-ignore lint/suspicious/noShadowRestrictedNames: a clock that is off
      globalThis.Date = class Date extends Real {
        constructor(...given: unknown[]) {
          super(...((given.length > 0 ? given : [now() + by]) as [number]));
        }
        static override now() {
          return now() + by;
        }
      } as DateConstructor;
    }, ahead);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  return page;
}

/** What each row of the tree says of its time, in seconds. */
async function spent(page: Page): Promise<Record<string, number>> {
  const rows = await page.$$eval("[role=treeitem]", (found) =>
    found.map((one) => [
      one.querySelector(".tree-title")?.textContent ?? "",
      one.querySelector(".tree-time")?.textContent ?? "",
    ]),
  );
  const unit: Record<string, number> = { s: 1, min: 60, h: 3600, days: 86_400 };
  const seconds = (text: string) =>
    [...text.matchAll(/([\d.]+) (min|days|s|h)\b/g)].reduce(
      (sum, [, many, of]) => sum + Number(many) * (unit[of ?? ""] ?? 0),
      0,
    );
  return Object.fromEntries(rows.map(([name, time]) => [name, seconds(time ?? "")]));
}

it.each([
  ["UTC", 0],
  ["Asia/Kolkata", 0],
  ["America/New_York", 0],
  ["UTC", HOUR],
  ["Asia/Kolkata", -HOUR],
])("a viewer in %s whose clock is %i ms ahead reads the same durations", async (timezone, ahead) => {
  const page = await elsewhere(timezone, ahead);
  await page.goto(`${hub.url}/p/times/tree`);
  await page.getByText("aware").waitFor();
  await page.locator(".pill").filter({ hasText: "live" }).waitFor();
  const most = (Date.now() - performance.timeOrigin) / 1000 + 420;
  await expect.poll(async () => (await spent(page)).aware).toBeGreaterThanOrEqual(299);
  const found = await spent(page);
  for (const name of ["aware", "naive", "again", "kept"]) {
    expect([name, found[name]]).toEqual([name, expect.closeTo(found.aware ?? 0, -2)]);
    expect(found[name]).toBeLessThan(most);
  }
  expect(found.over).toBe(120);

  await page.goto(`${hub.url}/p/times/timeline`);
  const summary = page.getByText(/at once at most/);
  await summary.waitFor();
  // From the earlier attempt of `again`, which is a bar of its own.
  expect(await summary.textContent()).toMatch(/^[45] at once at most, 1 h 0\d min/);

  await page.goto(`${hub.url}/inbox`);
  await page.getByText("Go on?").waitFor();
  await expect.poll(() => page.locator(".prompt").textContent()).toMatch(/(29|2\d|1\d) min \d\d s left/);

  await page.goto(`${hub.url}/`);
  await expect.poll(() => page.locator("main").textContent()).toMatch(/just now|\d+ s ago|[1-9] min ago/);
  const notice = page.locator(".clock-notice");
  if (ahead === 0) expect(await notice.count()).toBe(0);
  else
    await notice.filter({ hasText: `1 h 00 min ${ahead > 0 ? "ahead of" : "behind"} the hub's` }).waitFor();
  await page.context().close();
});

it("a wrong clock is told on a phone too, in words that anybody can read", async () => {
  const page = await elsewhere("UTC", HOUR, 390);
  await page.goto(`${hub.url}/p/times/tree?node=again`);
  await page.locator(".clock-notice").waitFor();
  await page.getByText("ended (an earlier attempt)").waitFor();
  await fits(page);
  await accessible(page);
  await page.context().close();
});
