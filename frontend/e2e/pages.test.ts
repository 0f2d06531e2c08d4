import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessible, apart, type Browser, fits, launch, open } from "./browser.ts";
import { type Event, HubProcess, node } from "./hub.ts";

let hub: HubProcess;
let browser: Browser;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("run", run());
  await hub.call("POST", "/prompts", {
    project_id: "run",
    node_id: "deploy",
    message: "Deploy to production?",
    timeout: 3600,
    default: { proceed: false },
    schema: {
      type: "object",
      properties: { region: { enum: ["eu", "us"] }, canary: { type: "boolean" } },
      required: ["region"],
    },
  });
  await hub.call("POST", "/users/ada/notifications", {
    title: "Build 7 is green",
    body: "all of it",
    level: "success",
  });
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

/** A run with something of everything. */
function run(): Event[] {
  const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString();
  return [
    {
      type: "project_update",
      data: {
        changes: {
          title: "Nightly build",
          group: "ci",
          labels: ["main", "linux"],
          url: "https://example.org/7",
        },
      },
    },
    { type: "state_transition", data: { from: null, to: "running", context: {} } },
    node("build", { title: "Build", status: "running", started_at: at(0), progress: 60 }),
    node("compile", {
      title: "Compile",
      parent_id: "build",
      status: "completed",
      started_at: at(1),
      ended_at: at(9),
      progress: 100,
    }),
    node("test", {
      title: "Test",
      parent_id: "build",
      status: "failed",
      message: "3 tests failed",
      started_at: at(10),
      ended_at: at(22),
      depends_on: ["compile"],
    }),
    node("lint", {
      title: "Lint",
      parent_id: "build",
      status: "running",
      started_at: at(10),
      progress: 35,
      depends_on: ["compile"],
    }),
    node("deploy", { title: "Deploy", status: "review", started_at: at(23), depends_on: ["test"] }),
    node("clean", { title: "Clean", status: "draft" }),
    { type: "log", data: { node_id: "test", level: "info", message: "\u001b[32mok\u001b[0m 1" } },
    {
      type: "log",
      data: { node_id: "test", level: "error", message: "\u001b[1;31mFAILED\u001b[0m test_two" },
    },
  ];
}

const PAGES = [
  ["/", ".projects-card"],
  ["/p/run/tree", ".tree-row"],
  ["/p/run/tree?node=test", ".node-body .notice"],
  ["/p/run/board", ".board-card"],
  ["/p/run/graph", ".graph-node"],
  ["/p/run/graph?node=test", ".graph-node"],
  ["/p/run/timeline", ".gantt-chart canvas"],
  ["/p/run/overview", ".u-wrap"],
  ["/p/run/failures", ".failures-message"],
  ["/p/run/events", ".events-row"],
  ["/search?q=test", ".search-project"],
  ["/inbox", ".prompt"],
  ["/hub", ".u-wrap"],
  ["/tv", ".tv-counts"],
  ["/p/empty/tree", ".empty .command"],
  ["/p/run/nothing", ".empty"],
] as const;

const LOOKS = [
  { name: "a desktop, light", width: 1280, height: 800, scheme: "light" },
  { name: "a phone, dark", width: 360, height: 740, scheme: "dark", touch: true },
] as const;

describe.each(LOOKS)("on $name", (look) => {
  it.each(PAGES)("%s shows, without a complaint of browser or axe", async (path, shown) => {
    const { page, complaints } = await open(browser, look);
    await page.goto(hub.url + path);
    await page.locator(shown).first().waitFor();
    await accessible(page);
    await fits(page);
    await apart(page);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

it.each([
  ["/tv", ".tv-counts", 3840, 2160, "dark"],
  ["/p/run/tree?node=test", ".node-body .notice", 3840, 2160, "light"],
  ["/inbox", ".prompt", 1280, 800, "dark"],
  ["/p/run/timeline", ".gantt-chart canvas", 1280, 800, "dark"],
  ["/", ".projects-card", 360, 740, "light"],
  ["/p/run/board", ".board-card", 360, 740, "light"],
] as const)("%s shows (%s) at %i × %i, %s", async (path, shown, width, height, scheme) => {
  const { page, complaints } = await open(browser, { width, height, scheme });
  await page.goto(hub.url + path);
  await page.locator(shown).first().waitFor();
  await accessible(page);
  await fits(page);
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("a node's panel shows its log with colours, its history, and is closed by its button", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree?node=test`);
  await page.getByRole("tab", { name: "Log" }).click();
  await page.locator(".ansi-red").getByText("FAILED").waitFor();
  await page.getByLabel("Search the log").fill("ok");
  await expect.poll(() => page.locator(".log-line").count()).toBe(1);
  await accessible(page);
  await page.getByRole("tab", { name: "History" }).click();
  await page.locator(".moments li").first().waitFor();
  await accessible(page);
  await page.getByRole("button", { name: "Close" }).click();
  await expect.poll(() => page.url()).not.toContain("node=");
  expect(complaints).toEqual([]);
});

it("back, reload and a pasted link restore the view and the selection", async () => {
  const { page } = await open(browser);
  await page.goto(hub.url);
  await page.getByText("Nightly build").click();
  await page.getByRole("treeitem", { name: "Compile" }).click();
  await page.getByRole("link", { name: "Board" }).click();
  expect(page.url()).toBe(`${hub.url}/p/run/board?node=compile`);
  await page.reload();
  await page.getByRole("heading", { name: "Compile" }).waitFor();
  await page.goBack();
  await page.getByRole("tree").waitFor();
  expect(page.url()).toContain("/p/run/tree?node=compile");
});

it("a question is answered by its form, and who is too late is told who was quicker", async () => {
  const [one, other] = await Promise.all([open(browser), open(browser)]);
  for (const { page } of [one, other]) {
    await page.goto(`${hub.url}/inbox`);
    await page.getByLabel("region").selectOption("us");
  }
  await other.page.getByLabel("canary").check();
  await other.page.getByRole("button", { name: "Send" }).click();
  await other.page.getByText("answered yes").waitFor();
  await one.page.getByText("answered yes").waitFor();
  await one.page.getByText("Nothing waits for a person").waitFor();
  const { prompts } = await hub.call<{ prompts: { outcome: { value: unknown } }[] }>(
    "GET",
    "/prompts?project_id=run&status=settled",
  );
  expect(prompts[0]?.outcome.value).toEqual({ region: "us", canary: true });
});

it("notifications of a user show, and are read by one button", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/inbox`);
  await page.getByPlaceholder("user id").fill("ada");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("Build 7 is green").waitFor();
  await hub.call("POST", "/users/ada/notifications", { title: "Build 8 is red", level: "error" });
  await page.getByText("Build 8 is red").waitFor();
  await page.getByRole("button", { name: "All read" }).click();
  await expect.poll(() => page.getByText("new", { exact: true }).count()).toBe(0);
});

it.each([390, 1280])("a long history stays within its panel (%i wide)", async (width) => {
  const word = "w".repeat(300);
  await hub.push("wide", [
    node("a", { title: "Wide", status: "running" }),
    ...Array.from({ length: 40 }, (_, n) => node("a", { message: `${word} ${n}`, [`field-${word}`]: n })),
    { type: "state_transition", data: { node_id: "a", from: word, to: word, context: { [word]: word } } },
  ]);
  const { page } = await open(browser, { width });
  await page.goto(`${hub.url}/p/wide/tree?node=a&tab=history`);
  await page.getByText(word.slice(0, 40)).first().waitFor();
  const panel = page.getByRole("complementary", { name: "Node" });
  expect(await panel.evaluate((box) => box.scrollWidth - box.clientWidth)).toBeLessThanOrEqual(0);
  await fits(page);
  await page.context().close();
});

it("a command without an orchestrator is told so", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree?node=lint`);
  await page.getByText("No orchestrator takes commands for this project").waitFor();
  expect(await page.getByRole("button", { name: "Cancel", exact: true }).isDisabled()).toBe(true);
  expect(complaints).toEqual([]);
});

it("time travel shows the tree as it was, and leads back to now", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree?at=4`);
  await page.getByRole("button", { name: "Back to now" }).waitFor();
  await page.getByRole("treeitem", { name: "Compile" }).waitFor();
  await expect.poll(() => page.getByRole("treeitem").count()).toBe(2);
  await page.getByRole("button", { name: "One event on" }).click();
  await expect.poll(() => page.getByRole("treeitem").count()).toBe(3);
  await page.getByRole("button", { name: "Back to now" }).click();
  await expect.poll(() => page.getByRole("treeitem").count()).toBe(6);
  expect(complaints).toEqual([]);
});

it("the tree is used with the keyboard alone, as the ARIA pattern says", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree`);
  const tree = page.getByRole("tree");
  await tree.focus();
  const active = () => page.locator(".tree-row.active").textContent();
  await page.keyboard.press("Home");
  expect(await active()).toContain("Build");
  await page.keyboard.press("ArrowLeft");
  await expect.poll(() => page.getByRole("treeitem").count()).toBe(3);
  await page.keyboard.press("ArrowRight");
  await expect.poll(() => page.getByRole("treeitem").count()).toBe(6);
  await page.keyboard.press("ArrowRight");
  expect(await active()).toContain("Compile");
  await page.keyboard.press("t");
  expect(await active()).toContain("Test");
  await page.keyboard.press("ArrowLeft");
  expect(await active()).toContain("Build");
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await expect.poll(() => page.url()).toContain("node=");
});
