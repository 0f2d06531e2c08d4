import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { type Event, HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const TRACEBACK = `Traceback (most recent call last):
  File "/srv/app/steps.py", line 88, in pay
    charge(card)
  File "/usr/lib/python3.12/site-packages/httpx/_client.py", line 1768, in get
    return self.request(url)
  File "/usr/lib/python3.12/site-packages/httpx/_api.py", line 100, in request
    raise TimeoutError
TimeoutError: no answer`;

/** Lines after the first fault, more than a panel shows. */
const AFTER = 400;

function at(second: number): string {
  return new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString();
}

function run(): Event[] {
  const log = (level: string, message: string) => ({ type: "log", data: { node_id: "pay", level, message } });
  const failed = (second: number, message: string) => ({
    status: "failed",
    started_at: at(second - 5),
    ended_at: at(second),
    message,
  });
  return [
    node("shop", { title: "Shop", ...failed(60, "2 of 3 failed") }),
    node("pay", { title: "Pay", parent_id: "shop", ...failed(20, "no answer after 10 s") }),
    node("refund", { title: "Refund", parent_id: "shop", ...failed(30, "no answer after 12 s") }),
    node("cart", { title: "Cart", parent_id: "shop", status: "completed" }),
    node("disk", { title: "Backup", ...failed(40, "disk full") }),
    node("ship", { title: "Ship", status: "blocked", depends_on: ["pay"] }),
    node("report", { title: "Report", status: "draft", depends_on: ["ship"] }),
    log("info", "before it"),
    log("warning", "again in 2 s"),
    log("error", TRACEBACK),
    ...Array.from({ length: AFTER }, (_, n) => log("info", `clean up ${n}`)),
  ];
}

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("run", run());
  await hub.push("well", [node("a", { title: "A", status: "completed" })]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

const panel = (page: Page) => page.getByRole("complementary", { name: "Node" });
const why = (page: Page) => panel(page).getByRole("region", { name: "Why it failed" });

it.each([
  ["light", 1280, 720],
  ["dark", 390, 780],
] as const)(
  "a failed node opens with its message, its own frames and its log at the first error (%s, %i × %i)",
  async (scheme, width, height) => {
    const { page, complaints } = await open(browser, { scheme, width, height });
    await page.goto(`${hub.url}/p/run/tree?node=pay`);
    await why(page).getByText("no answer after 10 s").waitFor();
    await why(page).getByText('File "/srv/app/steps.py"').waitFor();
    await why(page).getByText("again in 2 s").waitFor();
    await why(page).getByText("clean up 1", { exact: true }).waitFor();
    expect(await why(page).getByText("clean up 2", { exact: true }).count()).toBe(0);
    const foreign = why(page).getByText("_client.py");
    expect(await foreign.isVisible()).toBe(false);
    await accessible(page);
    await fits(page);
    await why(page).getByText("2 frames of httpx").click();
    await expect.poll(() => foreign.isVisible()).toBe(true);
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it.each([
  ["the link", (page: Page) => why(page).getByRole("link", { name: "Open the log there" }).click()],
  ["the tab", (page: Page) => page.getByRole("tab", { name: "Log" }).click()],
])("%s opens the log at the first error, 400 lines before its end", async (_, act) => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree?node=pay`);
  await why(page).getByText("again in 2 s").waitFor();
  await act(page);
  const line = page.locator(".log-line[aria-current]");
  await line.filter({ hasText: "TimeoutError: no answer" }).waitFor();
  expect(
    await page
      .locator(".log-line")
      .getByText(`clean up ${AFTER - 1}`)
      .count(),
  ).toBe(0);
  await page.context().close();
});

it("a parent names what failed below it, the first one first", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/run/tree?node=shop`);
  const below = panel(page).getByRole("region", { name: "Failed below it" });
  await expect.poll(() => below.getByRole("button").allTextContents()).toEqual(["Pay", "Refund"]);
  await below.getByRole("button", { name: "Refund" }).click();
  await panel(page).getByRole("heading", { name: "Refund", level: 2 }).waitFor();
  await page.context().close();
});

it.each([
  ["light", 1280, 720],
  ["dark", 360, 740],
  ["light", 640, 360],
] as const)(
  "the page of failures tells what began it and what it holds up (%s, %i × %i)",
  async (scheme, width, height) => {
    const { page, complaints } = await open(browser, { scheme, width, height });
    await page.goto(`${hub.url}/p/run/failures`);
    await page.getByText("It began with").waitFor();
    await page.getByText("3 failures in 2 groups, and 1 branch above.").waitFor();
    const groups = page.getByRole("group", { name: "What went wrong" }).getByRole("region");
    await expect.poll(() => groups.count()).toBe(2);
    const first = groups.first();
    expect(await first.getByText("no answer after 10 s").count()).toBe(1);
    expect(await first.getByRole("button").allTextContents()).toEqual([
      "Shop / Pay",
      "Shop / Refund",
      "Ship",
      "Report",
    ]);
    await first.getByText("waits (blocked)").waitFor();
    await accessible(page);
    await fits(page);
    await first.getByRole("button", { name: "Report" }).click();
    await panel(page).getByRole("heading", { name: "Report" }).waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it("the page says so where nothing has failed, and follows what fails", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/well/failures`);
  await page.getByText("Nothing has failed.").waitFor();
  await hub.push("well", [node("a", { status: "failed", message: "in the end" })]);
  await page.getByText("in the end").waitFor();
  await page.context().close();
});
