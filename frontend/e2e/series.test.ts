import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, SCREENS } from "./browser.ts";
import { type Event, HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const RUNS = 34;
const NODES = ["Checkout", "Build", "Unit tests", "End to end", "Package"];
const at = (run: number, minute: number) =>
  new Date(Date.UTC(2026, 10, 1, run, 0, Math.round(minute * 60))).toISOString();

/** Run 20 is flaky as run 25 and the last one are; the last one has a failure that is new. */
function nightly(run: number): Event[] {
  const last = run === RUNS;
  const flaky = run === 20 || run === 25 || last;
  const events: Event[] = [
    {
      type: "project_update",
      data: { changes: { title: `Nightly ${run}`, series: "nightly/main", run, group: "ci" } },
    },
  ];
  let minute = 0;
  for (const [place, title] of NODES.entries()) {
    if (title === "Package" && run < 10) continue;
    const took = (place + 1) * (last ? 2 : 1);
    const broken = flaky && title === "End to end";
    events.push(
      node(`n${place}`, {
        title,
        order: place,
        status: broken ? "failed" : "completed",
        started_at: at(run, minute),
        ended_at: at(run, minute + took),
        message: broken ? `timeout after ${run} s` : "fine",
      }),
    );
    minute += took;
  }
  if (last) {
    events.push(
      node("n1/lint", {
        parent_id: "n1",
        title: "Lint",
        status: "failed",
        message: "no module named frobnicate",
        ended_at: at(run, 2),
      }),
      node("docs", { title: "Docs", order: 9, status: "running", started_at: at(run, minute) }),
    );
  }
  events.push({ type: "state_transition", data: { to: flaky ? "failed" : "completed" } });
  return events;
}

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  for (let run = 1; run <= RUNS; run += 1) await hub.push(`nightly-${run}`, nightly(run));
  await hub.push("weekly-1", [
    { type: "project_update", data: { changes: { title: "Weekly", series: "weekly" } } },
    node("n", { title: "Only", status: "running", started_at: at(1, 0) }),
  ]);
  await hub.push("alone", [node("n", { title: "Alone", status: "completed" })]);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

it("a project's head leads to its series, and the list of projects to all of them", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/alone/tree`);
  await page.getByRole("treeitem", { name: "Alone" }).waitFor();
  expect(await page.getByRole("link", { name: "nightly/main" }).count()).toBe(0);
  await page.goto(`${hub.url}/p/nightly-25/tree`);
  await page.getByRole("link", { name: "nightly/main #25" }).click();
  await page.getByRole("heading", { level: 1, name: "nightly/main" }).waitFor();
  await page.getByRole("heading", { level: 2, name: "#25" }).waitFor();
  await page.goto(hub.url);
  await page.getByRole("link", { name: "Series" }).click();
  await page.getByRole("link", { name: "nightly/main 34 runs" }).waitFor();
  await page.getByRole("link", { name: "weekly 1 run" }).waitFor();
  await accessible(page);
  expect(complaints).toEqual([]);
  await page.context().close();
});

it.each(SCREENS)(
  "the grid shows the newest 30 runs and what is new in a failure (%s)",
  async (name, width, height, scheme) => {
    const { page, complaints } = await open(browser, { width, height, scheme });
    await page.goto(`${hub.url}/series?name=nightly%2Fmain`);
    const grid = page.getByRole("table", { name: "Runs and their nodes" });
    await grid.waitFor();
    expect(await grid.getByRole("row").first().getByRole("button").count()).toBe(30);
    expect(await grid.getByRole("rowheader").allTextContents()).toEqual(["run", ...NODES, "Docs"]);
    await page.getByText("the newest 30 of 34 runs, 27 ended well, usually in 15 min 00 s").waitFor();
    // The newest failed: it is the one that is looked at.
    await page.getByRole("heading", { level: 2, name: "#34" }).waitFor();
    const fresh = page.getByRole("region", { name: "What is new in this failure" });
    const items = await fresh.getByRole("listitem").allTextContents();
    expect(items).toEqual([
      "new: not in the 10 runs beforeLintno module named frobnicate",
      expect.stringMatching(/^in 1 of the 10 runs before tooEnd to endtimeout after 34 s$/),
    ]);
    await fresh.getByText("The last that ended well: #33.").waitFor();
    await fresh.getByText("New since:").waitFor();
    await fresh.getByRole("link", { name: "Docs" }).waitFor();
    await accessible(page);
    await fits(page);
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/series-${name}.png` });
    await page.getByText("Compared with another run").click();
    const table = page.getByRole("group", { name: "Differences" });
    await table.getByRole("row", { name: /Lint/ }).waitFor();
    expect(await table.getByRole("row").allTextContents()).toEqual([
      "Node#33#34What",
      "End to endcompleted4 min 00 sfinefailed8 min 00 stimeout after 34 sstatus; message; slower",
      "Lintnot therefailedno module named frobnicatenew",
      "Docsnot thererunningnew",
    ]);
    await page.getByLabel("What is compared").selectOption("times");
    await table
      .getByRole("row", { name: /^Build/ })
      .getByText("slower")
      .waitFor();
    await page.getByLabel("The other run").selectOption("nightly-25");
    await page.waitForURL(/with=nightly-25/);
    await table.getByRole("columnheader", { name: "#25" }).waitFor();
    await accessible(page);
    await fits(page);
    if (process.env.SHOTS) {
      await table.scrollIntoViewIfNeeded();
      await page.screenshot({ path: `${process.env.SHOTS}/series-${name}-diff.png` });
    }
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it("the arrow keys go through the grid, Enter chooses a run and opens a node", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/series?name=nightly%2Fmain`);
  const newest = page.getByRole("button", { name: /^#34, failed/ });
  await newest.focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 2, name: "#33" }).waitFor();
  expect(page.url()).toContain("run=nightly-33");
  expect(await page.getByRole("region", { name: "What is new in this failure" }).count()).toBe(0);
  await page.keyboard.press("End");
  for (let row = 0; row < 4; row += 1) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/p\/nightly-34\/tree\?node=n3/);
  await page.getByRole("complementary", { name: "Node" }).getByText("timeout after 34 s").first().waitFor();
  await page.goBack();
  await page.getByRole("heading", { level: 2, name: "#33" }).waitFor();
  await page.context().close();
});

it("a run that goes on is asked for again, and a series that is not there says so", async () => {
  const { page } = await open(browser, { expected: /404/ });
  await page.clock.install();
  await page.goto(`${hub.url}/series?name=weekly`);
  await page.getByRole("button", { name: /^Weekly, running/ }).waitFor();
  await hub.push("weekly-1", [
    node("n", { status: "failed", ended_at: at(1, 5), message: "disk full" }),
    { type: "state_transition", data: { to: "failed" } },
  ]);
  await page.clock.runFor(11_000);
  await page.getByRole("region", { name: "What is new in this failure" }).getByText("disk full").waitFor();
  await page.goto(`${hub.url}/series?name=none`);
  await page.getByRole("heading", { name: "There is no such series" }).waitFor();
  await page.context().close();
});

it("the runs are the same after a restart of the hub", async () => {
  const { page } = await open(browser, { expected: /WebSocket|ERR_/ });
  await hub.stop();
  await hub.run();
  await page.goto(`${hub.url}/series?name=nightly%2Fmain`);
  await page.getByText("the newest 30 of 34 runs").waitFor();
  await page.getByRole("region", { name: "What is new in this failure" }).getByText("frobnicate").waitFor();
  await page.context().close();
});
