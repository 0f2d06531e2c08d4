import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { type Event, HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const BEGUN = Date.now() - 600_000;
const at = (second: number) => new Date(BEGUN + second * 1000).toISOString();
const log = (second: number, message: string): Event =>
  ({
    type: "log",
    data: { node_id: "flaky", level: "info", message },
    timestamp: at(second),
  }) as Event;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("run", [
    node("flaky", { title: "Flaky", status: "running", started_at: at(0) }),
    log(5, "words of the first"),
    node("flaky", { status: "failed", ended_at: at(60), message: "connection reset" }),
    node("flaky", { status: "running", attempt: 2, started_at: at(100), ended_at: null, message: null }),
    log(110, "words of the second"),
    node("flaky", { status: "failed", ended_at: at(160), message: "no route" }),
    node("flaky", { status: "running", attempt: 3, started_at: at(200), ended_at: null, message: null }),
    log(210, "words of the third"),
    node("flaky", { status: "completed", ended_at: at(300) }),
    node("steady", { title: "Steady", status: "completed", started_at: at(0), ended_at: at(300) }),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

const panel = (page: Page) => page.getByRole("complementary", { name: "Node" });

it.each([
  ["desktop", 1280, 800, "light"],
  ["phone", 390, 780, "dark"],
] as const)(
  "the row says how often, the panel lists each attempt with its own log (%s)",
  async (name, width, height, scheme) => {
    const { page, complaints } = await open(browser, { width, height, scheme });
    await page.goto(`${hub.url}/p/run/tree`);
    const row = page.getByRole("treeitem", { name: "Flaky" });
    await row.getByText("×3").waitFor();
    expect(await page.getByText("×", { exact: false }).count()).toBe(1);
    await row.click();
    const list = panel(page).getByRole("region", { name: "Attempts" });
    await list.getByText("3 attempts").waitFor();
    const items = await list.getByRole("listitem").allTextContents();
    expect(items.map((one) => one.replace(/\s+/g, " "))).toEqual([
      expect.stringMatching(/^1failed1 min 00 sIts logconnection reset$/),
      expect.stringMatching(/^2failed1 min 00 sIts logno route$/),
      expect.stringMatching(/^3completed1 min 40 sIts log$/),
    ]);
    await accessible(page);
    await fits(page);
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/attempts-${name}.png` });
    await list.getByRole("link", { name: "Its log" }).nth(1).click();
    await panel(page).getByText("words of the second").waitFor();
    expect(await panel(page).locator(".log-said").allTextContents()).toEqual(["words of the second"]);
    expect(page.url()).toContain("attempt=2");
    await page.reload();
    await panel(page).getByText("words of the second").waitFor();
    await panel(page).getByRole("link", { name: "Attempt 2 only: show all" }).click();
    await panel(page).getByText("words of the third").waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it("each attempt is a bar in the timeline, which says what it was", async () => {
  const { page } = await open(browser, { expected: /willReadFrequently/ });
  await page.goto(`${hub.url}/p/run/timeline`);
  const row = page.getByRole("treeitem", { name: "Flaky" });
  await row.waitFor();
  const chart = await page.locator(".gantt-chart canvas").boundingBox();
  const place = await row.boundingBox();
  if (chart === null || place === null) throw new Error("nothing is drawn");
  const x = (second: number) => chart.x + (second / (300 * 1.03)) * chart.width;
  const y = place.y + place.height / 2;
  for (const [second, words] of [
    [30, "connection reset"],
    [130, "no route"],
  ] as const) {
    await page.mouse.move(x(second), y);
    await page.locator(".gantt-tip").getByText(words).waitFor();
  }
  await page.locator(".gantt-tip").getByText("attempt 2", { exact: true }).waitFor();
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/attempts-timeline.png` });
  await page.mouse.move(x(80), y);
  await page.locator(".gantt-tip").waitFor({ state: "detached" });
  await page.mouse.move(x(250), y);
  await page.locator(".gantt-tip").getByText("1 min 40 s").waitFor();
  await page.context().close();
});

it("the overview counts them", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/run/overview`);
  const again = page.getByRole("region", { name: "Tried again" });
  await again.getByText("4 attempts of 2 nodes: 1 was tried again, after 2 failures.").waitFor();
  await again.getByRole("row", { name: "Flaky ×3" }).waitFor();
  await accessible(page);
  await page.context().close();
});

it("the hub and the page keep the same, also over a restart of the hub", async () => {
  const { page } = await open(browser, { expected: /WebSocket|ERR_/ });
  await page.goto(`${hub.url}/p/run/tree`);
  await page.getByRole("treeitem", { name: "Flaky" }).getByText("×3").waitFor();
  await hub.stop();
  await hub.run();
  const { flaky } = (await hub.tree("run")) as { flaky: { ended_attempts: unknown[] } };
  expect(flaky.ended_attempts).toEqual([
    { status: "failed", started_at: at(0), ended_at: at(60), message: "connection reset" },
    { attempt: 2, status: "failed", started_at: at(100), ended_at: at(160), message: "no route" },
  ]);
  await hub.push("run", [
    node("flaky", { status: "running", attempt: 4, started_at: at(400), ended_at: null }),
  ]);
  await page.getByRole("treeitem", { name: "Flaky" }).getByText("×4").waitFor();
  const seen = await page.evaluate(() => {
    const { tasktree_rt: hub } = window as unknown as {
      tasktree_rt: { watch(id: string): { tree: { node(id: string): unknown } } };
    };
    return hub.watch("run").tree.node("flaky");
  });
  expect(seen).toEqual((await hub.tree("run")).flaky);
  await page.context().close();
});
