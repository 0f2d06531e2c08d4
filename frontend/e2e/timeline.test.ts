import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const BEGUN = Date.UTC(2026, 0, 1, 12);
const at = (second: number) => new Date(BEGUN + second * 1000).toISOString();
const ran = (from: number, to: number, more: Record<string, unknown> = {}) => ({
  status: "completed",
  started_at: at(from),
  ended_at: at(to),
  ...more,
});
const END = 200;
const STEPS = 20_000;
/** What the browser says of a test that looks at single pixels. */
const READING = { expected: /willReadFrequently/ };

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("run", [
    node("build", ran(0, 80, { title: "Build", order: 1 })),
    node("compile", ran(0, 60, { title: "Compile", parent_id: "build" })),
    node("link", ran(60, 80, { title: "Link", parent_id: "build", depends_on: ["compile"] })),
    node("test", ran(80, END, { title: "Test", order: 2, status: "failed", depends_on: ["build"] })),
    ...Array.from({ length: 20 }, (_, n) =>
      node(`unit${n}`, ran(80, 90 + n, { title: `Unit ${n}`, kind: "unit", parent_id: "test" })),
    ),
    node(
      "slow",
      ran(100, 180, {
        title: "Slow",
        parent_id: "test",
        kind: "unit",
        status: "failed",
        message: "timed out",
      }),
    ),
    node("last", ran(180, END, { title: "Last", parent_id: "test" })),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

async function shown(page: Page, path: string): Promise<void> {
  await page.goto(`${hub.url}/p/run/timeline${path}`);
  await page.locator(".gantt-chart canvas").waitFor();
  await page.getByRole("treeitem").first().waitFor();
}

/** Where a second of the run is in the row of a node, in pixels of the page; all of the run is shown. */
async function spot(page: Page, title: string, second: number): Promise<{ x: number; y: number }> {
  const row = await page.getByRole("treeitem", { name: title }).first().boundingBox();
  const chart = await page.locator(".gantt-chart canvas").boundingBox();
  if (row === null || chart === null) throw new Error("nothing is drawn");
  return { x: chart.x + (second / (END * 1.03)) * chart.width, y: row.y + row.height / 2 };
}

/** The colour that is drawn at a place of the page, or of a custom property, as `r,g,b`; empty: nothing is drawn there. */
function colour(page: Page, what: { x: number; y: number } | string): Promise<string> {
  return page.evaluate((given) => {
    const canvas = document.querySelector<HTMLCanvasElement>(".gantt-chart canvas");
    const pen =
      typeof given === "string"
        ? document.createElement("canvas").getContext("2d")
        : canvas?.getContext("2d");
    if (canvas == null || pen == null) return "";
    const corner = canvas.getBoundingClientRect();
    let [x, y] = [0, 0];
    if (typeof given === "string") {
      pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(given);
      pen.fillRect(0, 0, 1, 1);
    } else [x, y] = [given.x - corner.left, given.y - corner.top];
    const [r, g, b, alpha] = pen.getImageData(Math.round(x), Math.round(y), 1, 1).data;
    return alpha === 0 ? "" : `${r},${g},${b}`;
  }, what);
}

const range = (page: Page) => new URL(page.url()).searchParams.get("range");
const tip = (page: Page) => page.locator(".gantt-tip");

it("each bar is beside its row, where its times are, and says what it is", async () => {
  const { page, complaints } = await open(browser, READING);
  await shown(page, "");
  const soft = await colour(page, "--done-soft");
  for (const [title, from, to] of [
    ["Compile", 0, 60],
    ["Link", 60, 80],
    ["Unit 10", 80, 100],
  ] as const) {
    await expect.poll(async () => colour(page, await spot(page, title, (from + to) / 2))).toBe(soft);
    expect(await colour(page, await spot(page, title, to + 73))).toBe("");
    const { x, y } = await spot(page, title, to - 1);
    await page.mouse.move(x, y);
    await tip(page).getByText(title, { exact: true }).waitFor();
  }
  const { x, y } = await spot(page, "Slow", 150);
  expect(await colour(page, { x, y })).toBe(await colour(page, "--failed"));
  await page.mouse.move(x, y);
  await tip(page).getByText("timed out").waitFor();
  await tip(page).getByText("of its kind half take 19 s, 95 % at most 28 s").waitFor();
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/timeline.png` });
  await page.mouse.click(x, y);
  await page.getByRole("complementary", { name: "Node" }).getByRole("heading", { name: "Slow" }).waitFor();
  await page.getByRole("treeitem", { name: "Slow", selected: true }).waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("the critical path goes through stages, and each of its rows says so", async () => {
  const { page } = await open(browser);
  await shown(page, "");
  await page.getByText("3 on the critical path").waitFor();
  const marked = page.getByRole("treeitem", { name: "on the critical path" });
  await expect.poll(() => marked.count()).toBe(3);
  expect((await marked.allTextContents()).map((one) => /Compile|Link|Last/.exec(one)?.[0])).toEqual([
    "Compile",
    "Link",
    "Last",
  ]);
  await page.getByRole("button", { name: "Critical path" }).click();
  await expect.poll(() => marked.count()).toBe(0);
  await page.context().close();
});

it("shows the rows of the tree: the same filter, order and collapsed branches", async () => {
  const { page } = await open(browser);
  const titles = () => page.locator(".tree-title").allTextContents();
  for (const query of ["?q=unit+1", "?status=failed", "?sort=duration", "?q=l&sort=title"]) {
    await page.goto(`${hub.url}/p/run/tree${query}`);
    await page.getByRole("treeitem").first().waitFor();
    const there = await titles();
    await page.getByRole("link", { name: "Timeline" }).click();
    await page.locator(".gantt").waitFor();
    await expect.poll(titles).toEqual(there);
  }
  await shown(page, "");
  await page.getByRole("treeitem", { name: "Test" }).locator(".tree-twist").click();
  await expect.poll(() => page.getByRole("treeitem").count()).toBe(4);
  await page.getByRole("link", { name: "Tree", exact: true }).click();
  await expect.poll(() => page.getByRole("treeitem").count()).toBe(4);
  await page.context().close();
});

it("a collapsed branch sums up what is below, failed on top; a click on that leads there", async () => {
  const { page } = await open(browser);
  await shown(page, "");
  await page.getByRole("button", { name: "Collapse all" }).click();
  await expect.poll(() => page.getByRole("treeitem").count()).toBe(2);
  const failed = await colour(page, "--failed");
  const done = await colour(page, "--done");
  await expect.poll(async () => colour(page, await spot(page, "Test", 105))).toBe(failed);
  expect(await colour(page, await spot(page, "Test", 85))).toBe(done);
  expect(await colour(page, await spot(page, "Test", 190))).toBe(done);
  expect(await colour(page, await spot(page, "Build", 30))).toBe(done);
  expect(await colour(page, await spot(page, "Build", 127))).toBe("");
  const { x, y } = await spot(page, "Test", 170);
  await page.mouse.click(x, y);
  await page.getByRole("treeitem", { name: "Slow", selected: true }).waitFor();
  await page.context().close();
});

it("a drag zooms to that stretch, the address keeps it, and keys and buttons lead back", async () => {
  const { page } = await open(browser);
  await shown(page, "");
  const [from, to] = [await spot(page, "Build", 100), await spot(page, "Build", 180)];
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(to.x, to.y + 50, { steps: 4 });
  await page.mouse.up();
  await expect.poll(() => range(page)).not.toBeNull();
  const [first = 0, last = 0] = (range(page) ?? "").split("-").map((one) => (Number(one) - BEGUN) / 1000);
  expect(first).toBeCloseTo(100, 0);
  expect(last).toBeCloseTo(180, 0);
  expect(await page.getByRole("complementary", { name: "Node" }).count()).toBe(0);
  await page.reload();
  const soft = await colour(page, "--done-soft");
  const whole = page.getByRole("button", { name: "Whole run" });
  await expect.poll(() => whole.isEnabled()).toBe(true);
  await page.getByText("Build", { exact: true }).click();
  await page.keyboard.press("0");
  await expect.poll(() => range(page)).toBeNull();
  await page.keyboard.press("+");
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Shift+ArrowLeft");
  await expect.poll(() => range(page)).not.toBeNull();
  await page.getByRole("button", { name: "Whole run" }).click();
  await expect.poll(() => range(page)).toBeNull();
  await page.getByRole("button", { name: "Close" }).click();
  await expect.poll(async () => colour(page, await spot(page, "Compile", 30))).toBe(soft);
  await page.context().close();
});

it("the small picture of the run chooses a stretch, and moves it", async () => {
  const { page } = await open(browser);
  await shown(page, "");
  const box = await page.locator(".gantt-minimap").boundingBox();
  if (box === null) throw new Error("no minimap");
  const drag = async (from: number, to: number) => {
    await page.mouse.move(box.x + box.width * from, box.y + 10);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * to, box.y + 10, { steps: 4 });
    await page.mouse.up();
  };
  const seconds = () => (range(page) ?? "").split("-").map((one) => Math.round((Number(one) - BEGUN) / 1000));
  await drag(0.2, 0.4);
  await expect.poll(seconds).toEqual([41, 82]);
  await drag(0.3, 0.5);
  await expect.poll(seconds).toEqual([82, 124]);
  await page.mouse.dblclick(box.x + box.width * 0.9, box.y + 10);
  await expect.poll(() => range(page)).toBeNull();
  await page.context().close();
});

it("what runs goes on to the line of now", async () => {
  await hub.push("going", [
    node("one", { title: "One", status: "running", started_at: new Date(Date.now() - 60_000).toISOString() }),
  ]);
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/going/timeline`);
  await page.getByRole("treeitem", { name: "One" }).waitFor();
  const chart = page.locator(".gantt-chart canvas");
  const near = async (name: string) => {
    const { x, y, width } = (await chart.boundingBox()) ?? { x: 0, y: 0, width: 0 };
    const found = [];
    for (let left = Math.round(width / 1.03) - 8; left < width; left += 1)
      found.push(await colour(page, { x: x + left, y: y + 2 }));
    return found.includes(await colour(page, name));
  };
  await expect.poll(() => near("--failed")).toBe(true);
  await page.context().close();
});

describe("twenty thousand nodes", () => {
  beforeAll(async () => {
    const steps = Array.from({ length: STEPS }, (_, n) =>
      node(
        `n${n}`,
        n < 100 ? { title: `Group ${n}` } : ran(n % 3_600, (n % 3_600) + 5, { parent_id: `n${n % 100}` }),
      ),
    );
    await hub.push("large", steps);
  });

  it("are a few elements, and to zoom draws no row again", async () => {
    const { page, complaints } = await open(browser);
    await page.goto(`${hub.url}/p/large/timeline`);
    await page.getByText("1 h 00 min in all").waitFor();
    expect(await page.locator("*").count()).toBeLessThan(1_000);
    await page.evaluate(() => {
      const seen = { rows: 0 };
      Object.assign(window, { seen });
      const watch = new MutationObserver((all) => {
        seen.rows += all.filter(({ target }) => target.parentElement?.closest(".tree-row")).length;
      });
      const tree = document.querySelector(".tree");
      if (tree !== null)
        watch.observe(tree, { subtree: true, childList: true, characterData: true, attributes: true });
    });
    await page.mouse.move(900, 500);
    await page.keyboard.down("Control");
    for (let turn = 0; turn < 30; turn += 1) await page.mouse.wheel(0, turn < 20 ? -120 : 120);
    await page.keyboard.up("Control");
    await expect.poll(() => range(page)).not.toBeNull();
    expect(await page.evaluate(() => (window as unknown as { seen: { rows: number } }).seen.rows)).toBe(0);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

it.each([
  ["phone-dark", 390, 780, "dark"],
  ["zoomed", 640, 360, "light"],
  ["small", 1280, 720, "light"],
] as const)(
  "shows on %s (%i × %i), with bars in view, clean for axe",
  async (name, width, height, scheme) => {
    const { page, complaints } = await open(browser, { width, height, scheme, ...READING });
    await shown(page, "?node=slow");
    if (width > 900) await page.getByRole("complementary", { name: "Node" }).waitFor();
    else await page.getByRole("button", { name: "Close" }).click();
    const soft = await colour(page, "--done-soft");
    await expect.poll(async () => colour(page, await spot(page, "Last", 190))).toBe(soft);
    await accessible(page);
    await fits(page);
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/timeline-${name}.png` });
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);
