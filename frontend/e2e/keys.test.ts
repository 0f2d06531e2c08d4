import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  const leaf = (n: number) =>
    node(`leaf-${n}`, {
      title: `Leaf ${n}`,
      parent_id: "top",
      order: n,
      status: n === 30 ? "failed" : "completed",
    });
  await hub.push("shop", [
    { type: "project_update", data: { changes: { title: "Shop: release 4.2" } } },
    node("top", { title: "Top", status: "running" }),
    ...Array.from({ length: 60 }, (_, n) => leaf(n)),
  ]);
  await hub.push("nightly", [node("a", { title: "Alpha", status: "completed" })]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

const panel = (page: Page) => page.getByRole("complementary", { name: "Node" });
const chosen = (page: Page) => panel(page).getByRole("heading", { level: 2 }).textContent();
const focused = (page: Page) => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? "");

it.each(["tree", "board", "events", "overview"])("/ leads to the search of the %s", async (view) => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/shop/${view}`);
  await page.getByLabel(/^Search (the tree|events)$/).waitFor();
  await page.keyboard.press("/");
  expect(await focused(page)).toMatch(/^Search (the tree|events)$/);
  await page.keyboard.type("leaf 3/");
  expect(new URL(page.url()).searchParams.get("q")).toBe("leaf 3/");
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("? lists the keys that do something here; Escape closes the list and nothing else", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/shop/tree?node=leaf-3`);
  await panel(page).waitFor();
  await page.keyboard.press("?");
  const keys = page.getByRole("dialog", { name: "Keys" });
  await keys.getByText("the next failed node").waitFor();
  await keys.getByText("jump to a project, a node or a page").waitFor();
  await accessible(page);
  // The list has the keys for itself.
  await page.keyboard.press("n");
  await page.keyboard.press("Escape");
  await keys.waitFor({ state: "detached" });
  expect(await chosen(page)).toBe("Leaf 3");
  await page.goto(`${hub.url}/`);
  await page.getByRole("link", { name: "Shop" }).waitFor();
  await page.keyboard.press("?");
  await keys.getByText("search", { exact: true }).waitFor();
  expect(await keys.getByText("failed node").count()).toBe(0);
  expect(complaints).toEqual([]);
  await page.context().close();
});

it.each([
  ["light", 1280, 720],
  ["dark", 360, 740],
] as const)(
  "Ctrl+K jumps to a node, a view, a project, a page (%s, %i × %i)",
  async (scheme, width, height) => {
    const { page, complaints } = await open(browser, { scheme, width, height });
    await page.goto(`${hub.url}/p/shop/board?status=failed`);
    await page.locator(".board-card").waitFor();
    const jump = async (words: string, first: string) => {
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox", { name: "Jump to" }).fill(words);
      await page.getByRole("option", { selected: true }).filter({ hasText: first }).waitFor();
      await accessible(page);
      await fits(page);
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    };
    await jump("leaf 42", "Leaf 42");
    await expect.poll(() => chosen(page)).toBe("Leaf 42");
    expect(new URL(page.url()).search).toBe("?status=failed&node=leaf-42");
    await jump("overv", "Overview");
    expect(new URL(page.url()).pathname).toBe("/p/shop/overview");
    await jump("nightly", "nightly");
    await page.getByText("Alpha").waitFor();
    await jump("inbox", "Inbox");
    await page.getByRole("heading", { name: "Inbox" }).waitFor();
    await page.getByRole("button", { name: "Jump to a project, a node or a page" }).click();
    await page.keyboard.type("shop");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Shop: release 4.2" }).waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it("j and k go through the rows; beside an open panel it shows each", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/shop/tree`);
  await page.getByText("Leaf 0").waitFor();
  const active = () => page.locator(".tree-row.active .tree-title").textContent();
  await page.keyboard.press("j");
  await expect.poll(active).toBe("Top");
  await page.keyboard.press("j");
  await expect.poll(active).toBe("Leaf 0");
  await page.keyboard.press("Enter");
  await expect.poll(() => chosen(page)).toBe("Leaf 0");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await expect.poll(() => chosen(page)).toBe("Leaf 1");
  await page.goto(`${hub.url}/`);
  await page.getByRole("link", { name: "Shop" }).waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Shop: release 4.2", level: 1 }).waitFor();
  await page.context().close();
});

it("the first stop of the tab key leads past the head of the page", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/shop/tree`);
  await page.getByText("Leaf 0").waitFor();
  await page.keyboard.press("Tab");
  const skip = page.getByRole("button", { name: "Skip to the content" });
  expect(await skip.evaluate((one) => one.getBoundingClientRect().top)).toBeGreaterThanOrEqual(0);
  await page.keyboard.press("Enter");
  expect(await focused(page)).toBe("Nodes");
  await page.context().close();
});

/** What can be pressed and is smaller than a finger; links within text may be. */
const small = (page: Page) =>
  page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>("button, a[href], input, select, summary, [role=treeitem]")]
      .filter((one) => one.offsetParent !== null && one.closest("p, .skip, .react-flow, label") === null)
      .filter((one) => one.checkVisibility({ visibilityProperty: true }))
      .map((one) => ({ one, box: one.getBoundingClientRect() }))
      .filter(({ box }) => box.width > 0 && (box.height < 44 || box.width < 44))
      .map(({ one, box }) => `${one.outerHTML.slice(0, 90)} ${box.width} × ${box.height}`),
  );

it.each([
  "/",
  "/p/shop/tree",
  "/p/shop/tree?status=failed&node=leaf-30",
  "/p/shop/board",
  "/p/shop/overview",
  "/p/shop/failures",
  "/p/shop/graph",
  "/p/shop/timeline",
  "/p/shop/log",
  "/p/shop/tree?node=leaf-30&tab=log",
  "/p/shop/tree?node=leaf-30&tab=history",
  "/search?q=leaf",
  "/hub",
  "/p/shop/events",
  "/p/shop/tree?at=5",
  "/inbox",
])("on a phone everything that can be pressed at %s is as wide as a finger", async (path) => {
  const { page, complaints } = await open(browser, { width: 390, height: 780, touch: true });
  await page.goto(hub.url + path);
  await page.getByRole("main").locator("button, a").first().waitFor();
  await expect.poll(() => small(page)).toEqual([]);
  await fits(page);
  expect(complaints).toEqual([]);
  await page.context().close();
});
