import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const GROUPS = 100;
const EACH = 200;
const LINES = 1_300;

/** `groups` branches of `each` leaves: `g7` and, below it, `g7-3`. */
function grown(groups: number, each: number) {
  const all = [];
  for (let group = 0; group < groups; group += 1) {
    all.push(node(`g${group}`, { title: `group ${group}` }));
    for (let n = 0; n < each; n += 1)
      all.push(node(`g${group}-${n}`, { title: `leaf ${group}.${n}`, parent_id: `g${group}` }));
  }
  return all;
}

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("large", grown(GROUPS, EACH));
  await hub.push("small", grown(3, 9));
  const line = (n: number) => ({
    type: "log",
    data: { node_id: "g1-1", level: "info", message: `line ${n} of it` },
  });
  await hub.push(
    "small",
    Array.from({ length: LINES }, (_, n) => line(n)),
  );
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

/** How far the chosen row is from the middle of the tree, in rows; null: there is none. */
const fromMiddle = (page: Page) =>
  page.evaluate(() => {
    const row = document.querySelector("[role=treeitem][aria-selected=true]")?.getBoundingClientRect();
    const tree = document.querySelector("[role=tree]")?.getBoundingClientRect();
    if (row === undefined || tree === undefined) return null;
    return Math.abs(row.top + row.height / 2 - tree.top - tree.height / 2) / row.height;
  });

const panel = (page: Page) => page.getByRole("complementary", { name: "Node" });

it.each([
  ["large", "g57-123", 1280],
  ["large", "g57-123", 390],
  ["small", "g1-8", 1280],
])(
  "a link into %s leads to %s: its row is marked, in the middle (%i px wide)",
  async (project, id, width) => {
    const { page, complaints } = await open(browser, { width, height: 500 });
    await page.goto(`${hub.url}/p/${project}/tree?node=${id}`);
    await panel(page).getByRole("heading").waitFor();
    await expect.poll(() => fromMiddle(page)).toBeLessThanOrEqual(1);
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it("a node chosen elsewhere is shown below ancestors that were collapsed", async () => {
  const { page } = await open(browser, { height: 500 });
  await page.goto(`${hub.url}/p/large/tree`);
  await page.getByRole("button", { name: "Collapse all" }).click();
  await page.getByText("leaf 0.0", { exact: true }).waitFor({ state: "detached" });
  await page.evaluate(() => {
    history.pushState(null, "", "?node=g80-7");
    dispatchEvent(new PopStateEvent("popstate"));
  });
  await page.getByRole("treeitem", { name: "leaf 80.7", selected: true }).waitFor();
  await expect.poll(() => fromMiddle(page)).toBeLessThanOrEqual(1);
  expect(await page.getByText("leaf 79.0", { exact: true }).count()).toBe(0);
  await page.context().close();
});

it("the tab and a line of the log are in the address; the link that is copied leads there", async () => {
  const { page, complaints } = await open(browser);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(`${hub.url}/p/small/tree?node=g1-1`);
  await page.getByRole("tab", { name: "Log" }).click();
  await page.getByText(`line ${LINES - 1} of it`).waitFor();
  const seq = (await hub.call<{ seq: number }>("GET", "/projects/small/state")).seq - LINES + 40;
  await page.goto(`${hub.url}/p/small/board?node=g1-1&tab=log&line=${seq}`);
  const line = page.locator(".log-line[aria-current]");
  await line.filter({ hasText: "line 39 of it" }).waitFor();
  await accessible(page);
  await page.getByRole("link", { name: "Tree", exact: true }).click();
  await line.filter({ hasText: "line 39 of it" }).waitFor();
  await page.locator(".log-line").filter({ hasText: "line 41 of it" }).getByRole("button").click();
  await line.filter({ hasText: "line 41 of it" }).waitFor();
  await page.getByRole("button", { name: "Copy link" }).click();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(link).toBe(`${hub.url}/p/small/tree?node=g1-1&tab=log&line=${seq + 2}`);
  await page.goto(`${hub.url}/p/small/tree?node=g1-1&tab=log&line=3`);
  await page.getByText("Line 3 is not here").waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("the panel keeps its node and its tab over all views", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/small/tree`);
  await page.getByText("leaf 0.0", { exact: true }).click();
  await panel(page).getByRole("tab", { name: "Log" }).click();
  for (const view of ["Board", "Graph", "Timeline", "Overview", "Failures", "Events", "Tree"]) {
    await page.getByRole("link", { name: view, exact: true }).click();
    await panel(page).getByRole("heading", { name: "leaf 0.0" }).waitFor();
    expect(await panel(page).getByRole("tab", { name: "Log" }).getAttribute("aria-selected")).toBe("true");
  }
  await page.context().close();
});

it.each([1280, 390])(
  "Back goes through what was chosen and closes the panel last (%i px wide)",
  async (width) => {
    const { page } = await open(browser, { width });
    await page.goto(`${hub.url}/`);
    await page.getByRole("link", { name: "small" }).first().click();
    await page.getByText("leaf 0.0", { exact: true }).click();
    await panel(page).getByRole("heading", { name: "leaf 0.0" }).waitFor();
    await panel(page).getByRole("button", { name: "group 0" }).click();
    await panel(page).getByRole("heading", { name: "group 0" }).waitFor();
    await page.goBack();
    await panel(page).getByRole("heading", { name: "leaf 0.0" }).waitFor();
    await fits(page);
    await page.goBack();
    await panel(page).waitFor({ state: "detached" });
    expect(new URL(page.url()).pathname).toBe("/p/small/tree");
    await page.goBack();
    await page.getByRole("heading", { name: "Projects" }).waitFor();
    await page.context().close();
  },
);

it("Escape and the cross close the panel; after them Back does not open it again", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/`);
  await page.getByRole("link", { name: "small" }).first().click();
  const close = [
    () => page.keyboard.press("Escape"),
    () => panel(page).getByRole("button", { name: "Close" }).click(),
  ];
  for (const act of close) {
    await page.getByText("leaf 0.0", { exact: true }).click();
    await panel(page).waitFor();
    await act();
    await panel(page).waitFor({ state: "detached" });
  }
  await page.goBack();
  await page.getByRole("heading", { name: "Projects" }).waitFor();
  await page.context().close();
});

it("Escape in a search that says something clears that, and the panel stays", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/small/tree?node=g0`);
  await page.getByLabel("Search the tree").fill("leaf");
  await page.keyboard.press("Escape");
  await expect.poll(() => page.getByLabel("Search the tree").inputValue()).toBe("");
  await panel(page).waitFor();
  await page.keyboard.press("Escape");
  await panel(page).waitFor({ state: "detached" });
  await page.context().close();
});
