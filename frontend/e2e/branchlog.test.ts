import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const line = (node_id: string | null, message: string, level = "info") => ({
  type: "log",
  data: { ...(node_id === null ? {} : { node_id }), level, message },
});
const EARLY = 2_500;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("run", [
    node("build", { title: "Build" }),
    node("compile", { title: "Compile", parent_id: "build" }),
    node("gcc", { title: "gcc", parent_id: "compile" }),
    node("other", { title: "Elsewhere" }),
    line(null, "of the run itself"),
    line("build", "build begins"),
    line("gcc", "::group::Headers"),
    line("gcc", "reading stdio.h"),
    line("compile", "compile waits"),
    line("gcc", "reading \u001b[31mstd\u001b[0mlib.h"),
    line("gcc", "::endgroup::"),
    line("other", "not of the branch"),
    line("gcc", "a warning of gcc", "warning"),
    line("gcc", "main.c: broken", "error"),
    line("build", "a very long line: ".repeat(40)),
    line("compile", "compile: broken too", "error"),
    line("build", "build ends"),
  ]);
  await hub.push("long", [
    node("all", { title: "All" }),
    node("some", { title: "Some", parent_id: "all" }),
    line("some", "the first error", "error"),
    ...Array.from({ length: EARLY }, (_, n) => line(n % 2 ? "some" : "all", `line ${n}`)),
    line("some", "the last error", "error"),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

const lines = (page: Page) => page.locator(".log-line");
const said = (page: Page) => page.locator(".log-said").allTextContents();

async function shown(page: Page, address: string): Promise<void> {
  await page.goto(hub.url + address);
  await lines(page).first().waitFor();
}

it("a parent's log is that of everything below, in order, each line with its node", async () => {
  const { page, complaints } = await open(browser);
  await shown(page, "/p/run/tree?node=build&tab=log");
  await page.getByText("build ends").waitFor();
  const names = async () => (await page.locator(".log-node").allTextContents()).slice(0, 3);
  expect(await names()).toEqual(["Build", "gcc", "Compile"]);
  expect((await said(page)).slice(0, 2)).toEqual(["build begins", "compile waits"]);
  expect(await page.getByText("not of the branch").count()).toBe(0);
  await accessible(page);
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/branchlog.png` });
  await hub.push("run", [
    node("late", { title: "Late one", parent_id: "compile" }),
    line("late", "a line that comes with its node"),
    line("other", "still not of it"),
  ]);
  await lines(page).filter({ hasText: "a line that comes with its node" }).getByText("Late one").waitFor();
  expect(await page.getByText("still not of it").count()).toBe(0);
  await page.getByRole("button", { name: "Only its own" }).click();
  await expect.poll(async () => (await said(page)).length).toBe(3);
  await page.getByRole("button", { name: "Only its own" }).click();
  await lines(page).filter({ hasText: "compile waits" }).getByRole("button", { name: "Compile" }).click();
  await page.getByRole("complementary", { name: "Node" }).getByRole("heading", { name: "Compile" }).waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("the run has a log of its own: all lines, also those of no node", async () => {
  const { page, complaints } = await open(browser);
  await shown(page, "/p/run/log");
  await page.getByText("of the run itself").waitFor();
  await page.getByText("not of the branch").waitFor();
  await accessible(page);
  await page.getByRole("button", { name: "Elsewhere" }).first().click();
  await page
    .getByRole("complementary", { name: "Node" })
    .getByRole("heading", { name: "Elsewhere" })
    .waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("groups fold, and open for the line that the address names", async () => {
  const { page } = await open(browser);
  await shown(page, "/p/run/tree?node=gcc&tab=log");
  const group = page.getByRole("button", { name: "Headers 2 lines" });
  expect(await group.getAttribute("aria-expanded")).toBe("false");
  expect(await page.getByText("reading stdio.h").count()).toBe(0);
  await group.click();
  await page.getByText("reading stdio.h").waitFor();
  const { seq } = await hub.call<{ seq: number }>("GET", "/projects/run/state");
  const { events } = await hub.call<{ events: { seq: number; data: { message?: string } }[] }>(
    "GET",
    `/projects/run/events?since=:0&type=log&limit=${seq}`,
  );
  const wanted = events.find((one) => one.data.message === "reading stdio.h")?.seq;
  await shown(page, `/p/run/tree?node=build&tab=log&line=${wanted}`);
  await page.locator(".log-line[aria-current]").filter({ hasText: "reading stdio.h" }).waitFor();
  await page.context().close();
});

it("levels filter; errors are jumped to, the first one from however far back", async () => {
  const { page } = await open(browser);
  await shown(page, "/p/run/tree?node=build&tab=log");
  await page.getByLabel("Levels").selectOption("warning");
  await expect.poll(() => said(page)).toEqual(["a warning of gcc", "main.c: broken", "compile: broken too"]);
  await page.getByLabel("Levels").selectOption("error");
  await expect.poll(() => said(page)).toEqual(["main.c: broken", "compile: broken too"]);
  await page.getByLabel("Levels").selectOption("all");
  const current = page.locator(".log-line[aria-current]");
  await page.getByRole("button", { name: "First error" }).click();
  await current.getByText("main.c: broken").waitFor();
  await page.getByRole("button", { name: "Next error" }).click();
  await current.getByText("compile: broken too").waitFor();
  expect(page.url()).toContain("line=");

  await shown(page, "/p/long/tree?node=all&tab=log");
  await page.getByText("the last error").waitFor();
  await page.getByRole("button", { name: "First error" }).click();
  await current.getByText("the first error").waitFor();
  await page.context().close();
});

it("what is searched for is marked, over the borders of colours", async () => {
  const { page } = await open(browser);
  await shown(page, "/p/run/tree?node=build&tab=log");
  await page.getByLabel("Search the log").fill("STDLIB");
  await expect.poll(() => lines(page).count()).toBe(1);
  expect(await page.locator(".log mark").allTextContents()).toEqual(["std", "lib"]);
  await accessible(page);
  await page.context().close();
});

it("lines wrap or do not, as the person likes it, also at the next visit", async () => {
  const { page } = await open(browser);
  await shown(page, "/p/run/tree?node=build&tab=log");
  const long = lines(page).filter({ hasText: "a very long line" });
  const height = async () => (await long.boundingBox())?.height ?? 0;
  await expect.poll(height).toBeGreaterThan(60);
  await page.getByRole("button", { name: "Wrap" }).click();
  await expect.poll(height).toBeLessThan(50);
  await page.reload();
  await expect.poll(height).toBeLessThan(50);
  await fits(page);
  await page.context().close();
});

it("all of a log is saved, not only what is shown", async () => {
  const { page } = await open(browser);
  await shown(page, "/p/long/tree?node=all&tab=log");
  await page.getByText("the last error").waitFor();
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const saved = (await readFile(await (await saving).path(), "utf8")).trimEnd().split("\n");
  expect(saved).toHaveLength(EARLY + 2);
  expect(saved[0]).toMatch(/^\S+Z error {3}some: the first error$/);
  expect(saved[1]).toMatch(/^\S+Z info {4}all: line 0$/);
  await page.context().close();
});

it.each([
  ["phone-dark", 390, 780, "dark", "/p/run/tree?node=build&tab=log"],
  ["zoomed", 640, 360, "light", "/p/run/log"],
  ["small", 1280, 720, "light", "/p/run/log"],
] as const)("shows on %s (%i × %i), clean for axe", async (name, width, height, scheme, path) => {
  const { page, complaints } = await open(browser, { width, height, scheme });
  await shown(page, path);
  await page.getByText("compile: broken too").waitFor();
  await accessible(page);
  await fits(page);
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/log-${name}.png` });
  expect(complaints).toEqual([]);
  await page.context().close();
});
