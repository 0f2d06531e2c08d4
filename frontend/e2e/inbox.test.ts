import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

/** A project of its own for each test: a question is everybody's. */
async function project(id: string): Promise<void> {
  const log = (message: string) => ({ type: "log", data: { node_id: "deploy", level: "info", message } });
  await hub.push(id, [
    { type: "project_update", data: { changes: { title: `Release of ${id}` } } },
    node("ship", { title: "Ship" }),
    node("deploy", { title: "Deploy", parent_id: "ship", status: "review", message: "14 checks passed" }),
    log("image pushed"),
    log("\u001b[32mready\u001b[0m"),
  ]);
}

async function ask(id: string, message: string, more: Record<string, unknown> = {}): Promise<string> {
  const body = {
    project_id: id,
    node_id: "deploy",
    message,
    timeout: 3600,
    default: { proceed: false },
    ...more,
  };
  return (await hub.call<{ prompt_id: string }>("POST", "/prompts", body)).prompt_id;
}

const form = (page: Page, name: string) => page.getByRole("form", { name });
const outcome = async (id: string) =>
  (await hub.call<{ outcome?: Record<string, unknown> }>("GET", `/prompts/${id}`)).outcome;

it.each([
  ["light", 1280, 720],
  ["dark", 390, 780],
] as const)(
  "a question says where it comes from, and what its node says (%s, %i × %i)",
  async (scheme, width, height) => {
    const id = `shop-${scheme}`;
    await project(id);
    const asked = await ask(id, `Deploy ${id}?`);
    await ask(id, "**Mind** the `canary`:\n\n- first\n- [then](https://example.org)");
    const { page, complaints } = await open(browser, { scheme, width, height });
    await page.goto(`${hub.url}/inbox`);
    await page
      .getByRole("link", { name: `Release of ${id} / Ship / Deploy` })
      .first()
      .waitFor();
    await page.getByText("14 checks passed").first().waitFor();
    await page.getByText("ready").first().waitFor();
    const marked = page.getByRole("form", { name: "Mind" });
    await marked.locator("strong").getByText("Mind").waitFor();
    await marked.getByRole("link", { name: "then" }).waitFor();
    await accessible(page);
    await fits(page);
    await form(page, `Deploy ${id}?`).getByRole("button", { name: "Yes, go on" }).click();
    await form(page, `Deploy ${id}?`).waitFor({ state: "detached" });
    expect(await outcome(asked)).toMatchObject({ how: "answered", proceed: true });
    await marked.getByRole("button", { name: "No" }).click();
    await marked.waitFor({ state: "detached" });
    await page.reload();
    const settled = page
      .getByRole("region", { name: "Settled" })
      .locator(".card")
      .filter({ hasText: `Deploy ${id}?` });
    await settled.getByText(`Deploy ${id}?`).waitFor();
    await settled.getByText("answered yes by a person without a token, just now").waitFor();
    await settled.getByRole("link", { name: `Release of ${id} / deploy` }).waitFor();
    await accessible(page);
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it("several questions are answered at once", async () => {
  await project("many");
  const ids = [await ask("many", "First?"), await ask("many", "Second?"), await ask("many", "Third?")];
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/inbox`);
  await page.getByRole("checkbox", { name: "Choose: First?" }).check();
  await page.getByRole("checkbox", { name: "Choose: Third?" }).check();
  await page.getByRole("button", { name: "Yes to 2" }).click();
  await form(page, "First?").waitFor({ state: "detached" });
  await form(page, "Second?").waitFor();
  expect(await outcome(ids[0] ?? "")).toMatchObject({ proceed: true });
  expect(await outcome(ids[1] ?? "")).toBeUndefined();
  expect(await outcome(ids[2] ?? "")).toMatchObject({ proceed: true });
  await form(page, "Second?").getByRole("button", { name: "No" }).click();
  await form(page, "Second?").waitFor({ state: "detached" });
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("keys answer the question that has the focus, and no other", async () => {
  await project("keys");
  const options = [
    { id: "now", label: "Now" },
    { id: "later", label: "Tomorrow" },
  ];
  const [choice, plain] = [await ask("keys", "When?", { options }), await ask("keys", "At all?")];
  const { page } = await open(browser);
  await page.goto(`${hub.url}/inbox`);
  await form(page, "At all?").waitFor();
  await page.keyboard.press("y");
  await page.keyboard.press("j");
  await page.keyboard.press("2");
  await form(page, "When?").waitFor({ state: "detached" });
  expect(await outcome(choice)).toMatchObject({ proceed: true, value: "later" });
  expect(await outcome(plain)).toBeUndefined();
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await form(page, "At all?").waitFor({ state: "detached" });
  expect(await outcome(plain)).toMatchObject({ proceed: false });
  await page.context().close();
});

it("without an orchestrator commands say so, and can be sent as soon as one listens", async () => {
  await hub.push("deaf", [node("a", { title: "Alpha", status: "failed" })]);
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/deaf/tree?node=a`);
  const retry = page.getByRole("button", { name: "Retry", exact: true });
  await page.getByText("No orchestrator takes commands").waitFor();
  expect(await retry.isDisabled()).toBe(true);
  await accessible(page);
  const { page: orchestrator } = await open(browser);
  await orchestrator.goto(`${hub.url}/p/deaf/tree`);
  await orchestrator.evaluate(obey, "deaf");
  await expect.poll(() => retry.isEnabled()).toBe(true);
  await page.getByLabel("Another command").waitFor();
  await orchestrator.context().close();
  await page.getByText("No orchestrator takes commands").waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

/** Take the commands for a project, in a page, and keep them. */
function obey(project: string): Promise<void> {
  const socket = new WebSocket(`/ws/orchestrator?producer_id=p&commands=${project}`);
  const got: string[] = [];
  Object.assign(window, { got });
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data));
    if (message.type === "command") got.push(`${message.name} ${message.node_id}`);
  };
  return new Promise((resolve) => {
    socket.onopen = () => resolve();
  });
}

it("what cannot be taken back is asked first; all failed nodes are tried again at once", async () => {
  await hub.push("jobs", [
    node("a", { title: "Alpha", status: "running" }),
    node("b", { title: "Beta", status: "failed" }),
    node("c", { title: "Gamma", status: "failed" }),
  ]);
  const { page: orchestrator } = await open(browser);
  await orchestrator.goto(`${hub.url}/p/jobs/tree`);
  await orchestrator.evaluate(obey, "jobs");
  const commands = () => orchestrator.evaluate(() => (window as unknown as { got: string[] }).got);
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/jobs/tree?node=a`);
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("group", { name: "Cancel it?" }).getByRole("button", { name: "No" }).click();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("group", { name: "Cancel it?" }).getByRole("button", { name: "Yes" }).click();
  await expect.poll(commands).toEqual(["cancel a"]);
  await page.goto(`${hub.url}/p/jobs/failures`);
  await page.getByRole("button", { name: "Retry all failed (2)" }).click();
  await accessible(page);
  await page.getByRole("group", { name: "Try 2 nodes again?" }).getByRole("button", { name: "Yes" }).click();
  await page.getByText("2 of 2 sent").waitFor();
  await expect.poll(async () => (await commands()).slice(1).sort()).toEqual(["retry b", "retry c"]);
  expect(complaints).toEqual([]);
  await page.context().close();
});
