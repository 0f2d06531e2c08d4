/** Search in the whole log, which is the hub's: what the page never loaded is found, with a way there. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, apart, type Browser, fits, launch, open, SCREENS } from "./browser.ts";
import { type Event, HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const LINES = 3_000;
const said = (nodeId: string, message: string, level = "info"): Event => ({
  type: "log",
  data: { node_id: nodeId, level, message },
});

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("run", [
    node("fetch", { title: "Fetch pages", status: "running" }),
    said("fetch", "\u001b[31mlonesome\u001b[0m needle 🙂 in the first lines", "error"),
    node("other", { title: "Other", status: "failed", message: "needle was not found" }),
    ...Array.from({ length: LINES }, (_, n) => said(n % 2 ? "fetch" : "other", `line ${n}`)),
  ]);
  await hub.push("second", [
    { type: "project_update", data: { changes: { title: "Second run" } } },
    node("sew", { title: "Needle", status: "running" }),
  ]);
  const behind = async () => {
    const found = await hub.call<{ indexed_up_to: number; head: number }>("GET", "/projects/run/search?q=x");
    return found.head - found.indexed_up_to;
  };
  while ((await behind()) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

it("a search of events finds what is far back, counts it, and leads to the line", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/events?q=needle`);
  const hits = page.getByRole("region", { name: "In the whole log" });
  await hits.getByText("2 events", { exact: true }).waitFor(); // the index may be behind at first
  await accessible(page);
  await hits.getByRole("listitem").getByRole("link").filter({ hasText: "lonesome needle" }).click();
  const panel = page.getByRole("complementary", { name: "Node" });
  await panel.getByRole("heading", { name: "Fetch pages" }).waitFor();
  await panel.locator(".log-line.wanted, [aria-current]").first().waitFor();
  await expect.poll(() => new URL(page.url()).searchParams.get("line")).toBe("2");
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("a hit that is no output leads to the moment at which it happened", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/run/events?q=needle+not`);
  const hits = page.getByRole("region", { name: "In the whole log" });
  await hits.getByText("1 event", { exact: true }).waitFor();
  expect(await hits.locator("mark").allTextContents()).toEqual(["needle", "not"]);
  await hits.getByRole("listitem").getByRole("link").click();
  await expect.poll(() => new URL(page.url()).searchParams.get("at")).toBe("3");
  await page.context().close();
});

it("the search of a log finds lines before those that are loaded, and goes to them", async () => {
  const { page } = await open(browser, { width: 390 });
  await page.goto(`${hub.url}/p/run/log`);
  await page.getByLabel("Search the log").fill("lonesome");
  const hits = page.getByRole("region", { name: "In the whole log" });
  await hits.getByRole("listitem").getByRole("link").filter({ hasText: "lonesome" }).waitFor();
  await accessible(page);
  await fits(page);
  await hits.getByRole("listitem").getByRole("link").click();
  await page.getByText("lonesome needle 🙂 in the first lines").first().waitFor();
  await page.context().close();
});

it("What went wrong leads to a search for the words of a failure", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/run/failures`);
  await page.getByRole("link", { name: "Where else?" }).click();
  const hits = page.getByRole("region", { name: "In the whole log" });
  await hits.getByText("1 event", { exact: true }).waitFor();
  expect(await page.getByLabel("Search events").inputValue()).toBe("needle was not found");
  await page.context().close();
});

it("words that cannot be searched for ask nothing, and nothing found says so", async () => {
  const { page } = await open(browser, { scheme: "dark" });
  await page.goto(`${hub.url}/p/run/events?q=--`);
  const hits = page.getByRole("region", { name: "In the whole log" });
  await page.getByText(/Nothing matches/).waitFor();
  expect(await hits.count()).toBe(0);
  await page.getByLabel("Search events").fill("no such words");
  await hits.getByText("0 events", { exact: true }).waitFor();
  await page.getByLabel("Search events").fill("line 29*");
  await hits.getByText("111 events", { exact: true }).waitFor();
  await hits.getByRole("button", { name: "More" }).click();
  await expect.poll(() => hits.getByRole("listitem").getByRole("link").count()).toBe(40);
  await page.context().close();
});

it.each(SCREENS)(
  "all projects are searched at once; a hit leads to its moment (%s)",
  async (_, width, height, scheme) => {
    const { page, complaints } = await open(browser, { width, height, scheme, touch: width < 500 });
    await page.goto(`${hub.url}/p/run/events?q=needle`);
    await page.getByRole("link", { name: "In all projects" }).click();
    await page.getByRole("status").getByText("3 events", { exact: true }).waitFor();
    const other = page.getByRole("region", { name: "Second run" });
    expect(await other.locator("mark").allTextContents()).toEqual(["Needle"]);
    await accessible(page);
    await fits(page);
    await apart(page);
    await page.getByLabel("Level").selectOption("errors");
    await page.getByRole("status").getByText("1 event", { exact: true }).waitFor();
    await page.getByLabel("Level").selectOption("any level");
    await other.getByRole("link").filter({ hasText: "Needle" }).click();
    await page.getByRole("complementary", { name: "Node" }).waitFor();
    expect(new URL(page.url()).pathname).toBe("/p/second/tree");
    expect(new URL(page.url()).searchParams.get("at")).toBe("2");
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it("the palette searches all projects for its words", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/`);
  await page.getByRole("link", { name: "Second run" }).first().waitFor(); // the page hears keys
  await page.keyboard.press("Control+K");
  await page.getByRole("combobox", { name: "Jump to a project, a node or a page" }).fill("lonesome needle");
  await page.getByRole("option", { name: /Search for lonesome needle/ }).click();
  await page.getByRole("region", { name: "run", exact: true }).locator("mark").first().waitFor();
  expect(await page.getByLabel("Search all projects").inputValue()).toBe("lonesome needle");
  await page.context().close();
});
