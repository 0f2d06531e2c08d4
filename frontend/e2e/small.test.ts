import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("run", [
    {
      type: "project_update",
      data: { changes: { title: "A run with a long name", group: "ci", labels: ["main", "linux"] } },
    },
    node("top", { title: "Top", status: "running", started_at: new Date().toISOString() }),
    ...Array.from({ length: 40 }, (_, n) =>
      node(`leaf-${n}`, { title: `Leaf ${n}`, parent_id: "top", status: n === 7 ? "failed" : "completed" }),
    ),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

const SMALL = [
  [360, 740],
  [640, 360],
] as const;

const highest = (page: Page) =>
  page.evaluate(() =>
    Math.max(...[...document.querySelectorAll(".toolbar")].map((one) => one.getBoundingClientRect().height)),
  );

it.each(
  SMALL.flatMap(([width, height]) =>
    ["tree", "board", "graph", "timeline", "overview"].map((view) => [view, width, height] as const),
  ),
)("the toolbar of the %s is short, with the rest in a sheet (%i × %i)", async (view, width, height) => {
  const { page, complaints } = await open(browser, { width, height });
  await page.goto(`${hub.url}/p/run/${view}`);
  const more = page.locator(".toolbar").getByRole("button", { name: /^More/ });
  await more.waitFor();
  expect(await highest(page)).toBeLessThanOrEqual(view === "graph" || view === "timeline" ? 150 : 100);
  await more.click();
  const sheet = page.getByRole("dialog", { name: "Filter and order" });
  await sheet.getByRole("button", { name: "Only failed" }).click();
  await accessible(page);
  await fits(page);
  await sheet.getByRole("button", { name: "Done", exact: true }).click();
  await page.getByText("1 of 41", { exact: true }).waitFor();
  await page.locator(".toolbar").getByRole("button", { name: "More (1)" }).waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

it.each(SMALL)(
  "at %i × %i half of the page and more is the tree's, once it is scrolled to",
  async (width, height) => {
    const { page } = await open(browser, { width, height });
    await page.goto(`${hub.url}/p/run/tree`);
    await page.getByText("Leaf 0").waitFor();
    const share = await page.evaluate(() => {
      const tree = document.querySelector("[role=tree]");
      tree?.scrollIntoView();
      const { top = 0, bottom = 0 } = tree?.getBoundingClientRect() ?? {};
      return (Math.min(bottom, window.innerHeight) - Math.max(0, top)) / window.innerHeight;
    });
    expect(share).toBeGreaterThanOrEqual(0.5);
    await page.context().close();
  },
);

it("beside an open panel the toolbar is one line where there is little room", async () => {
  const { page } = await open(browser, { width: 960, height: 540 });
  await page.goto(`${hub.url}/p/run/tree?node=leaf-7`);
  await page.locator(".toolbar").getByRole("button", { name: /^More/ }).waitFor();
  expect(await highest(page)).toBeLessThanOrEqual(60);
  await page.getByRole("complementary", { name: "Node" }).getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Only failed" }).waitFor();
  await page.context().close();
});
