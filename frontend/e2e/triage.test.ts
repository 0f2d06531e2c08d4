import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const GROUPS = 20;
const EACH = 50;
/** Deep in the tree, where nobody sees them without being led there. */
const FAILED = ["g7-33", "g18-4"];

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  const leaf = (group: number, n: number) => {
    const id = `g${group}-${n}`;
    const status = FAILED.includes(id) ? "failed" : id === "g12-0" ? "review" : "completed";
    return node(id, { title: `leaf ${group}.${n}`, parent_id: `g${group}`, status });
  };
  const all = Array.from({ length: GROUPS }, (_, group) => [
    node(`g${group}`, {
      order: group,
      title: `group ${group}`,
      status: group === 3 ? "running" : "completed",
    }),
    ...Array.from({ length: EACH }, (_, n) => leaf(group, n)),
  ]).flat();
  await hub.push("run", all);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

const TOTAL = (GROUPS * (EACH + 1)).toLocaleString("en-US");
const triage = (page: Page) => page.getByRole("group", { name: "Nodes to look at" });
const chosen = (page: Page) => page.getByRole("complementary", { name: "Node" }).getByRole("heading");

it.each([
  ["light", 1280, 720],
  ["dark", 360, 740],
  ["light", 640, 360],
] as const)(
  "the head says what failed, waits and runs; each is a filter (%s, %i × %i)",
  async (scheme, width, height) => {
    const { page, complaints } = await open(browser, { scheme, width, height });
    await page.goto(`${hub.url}/p/run/tree`);
    await triage(page).getByRole("button", { name: "1 waiting" }).waitFor();
    await triage(page).getByRole("button", { name: "1 running" }).waitFor();
    await triage(page).getByRole("button", { name: "2 failed" }).click();
    await expect.poll(() => page.getByRole("treeitem").count()).toBe(4);
    await page.getByText(`2 of ${TOTAL}`, { exact: true }).waitFor();
    await accessible(page);
    await fits(page);
    await page.getByRole("link", { name: "Board", exact: true }).click();
    await expect.poll(() => page.locator(".board-card").count()).toBe(2);
    await page.getByText(`2 of ${TOTAL}`, { exact: true }).waitFor();
    await page.getByRole("link", { name: "Events", exact: true }).click();
    await page.getByText("1 of the newest 500 events").waitFor();
    await page.getByRole("button", { name: "Search earlier events" }).click();
    await page.getByRole("button", { name: "Search earlier events" }).click();
    await page.getByText(`2 of all ${TOTAL} events`).waitFor();
    await page.getByRole("link", { name: "Overview", exact: true }).click();
    await page.getByText(`2 of ${TOTAL}`, { exact: true }).waitFor();
    await triage(page).getByRole("button", { name: "2 failed" }).click();
    expect(new URL(page.url()).search).toBe("");
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it("n and p lead from one failed node to the next, wherever it is", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree`);
  await triage(page).getByRole("button", { name: "2 failed" }).waitFor();
  await page.keyboard.press("n");
  await expect.poll(() => chosen(page).textContent()).toBe("leaf 7.33");
  await page.getByRole("treeitem", { name: "leaf 7.33", selected: true }).waitFor();
  await page.getByRole("tree").focus();
  await triage(page).getByText("1 of 2").waitFor();
  await page.keyboard.press("n");
  await expect.poll(() => chosen(page).textContent()).toBe("leaf 18.4");
  await page.keyboard.press("n");
  await expect.poll(() => chosen(page).textContent()).toBe("leaf 7.33");
  await page.keyboard.press("p");
  await expect.poll(() => chosen(page).textContent()).toBe("leaf 18.4");
  await accessible(page);
  await triage(page).getByRole("button", { name: "1 waiting" }).click();
  await triage(page).getByRole("button", { name: "Next review node" }).click();
  await expect.poll(() => chosen(page).textContent()).toBe("leaf 12.0");
  // Whoever writes means letters.
  await page.getByLabel("Search the tree").fill("");
  await page.getByLabel("Search the tree").press("n");
  expect(await page.getByLabel("Search the tree").inputValue()).toBe("n");
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("the counts follow what happens", async () => {
  const { page } = await open(browser);
  await hub.push("live", [node("a", { title: "A", status: "running" })]);
  await page.goto(`${hub.url}/p/live/tree`);
  await triage(page).getByRole("button", { name: "1 running" }).waitFor();
  await hub.push("live", [node("a", { status: "failed" }), node("b", { status: "running" })]);
  await triage(page).getByRole("button", { name: "1 failed" }).waitFor();
  await triage(page).getByRole("button", { name: "1 running" }).waitFor();
  await page.context().close();
});
