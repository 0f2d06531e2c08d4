/** Commands that an orchestrator announced: only these, where they fit, with a form, and asked first if dangerous. */
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

const COMMANDS = [
  {
    name: "try-again",
    description: "Try the node again, from its beginning.",
    scope: "node",
    statuses: ["failed"],
    args: {
      type: "object",
      required: ["times"],
      properties: {
        times: { type: "integer", minimum: 1, maximum: 3 },
        how: { enum: ["fast", "careful"], default: "careful" },
      },
    },
  },
  { name: "drop", scope: "node", kinds: ["llm"], dangerous: true },
  { name: "pause", description: "Begin nothing new.", scope: "project" },
];

/** Announce commands for a project, take them, and keep what came. */
function obey([project, commands]: [string, unknown]): Promise<void> {
  const socket = new WebSocket(`/ws/orchestrator?commands=${project}`);
  const got: string[] = [];
  Object.assign(window, { got, socket });
  return new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(String(data));
      if (message.type === "reply") resolve();
      if (message.type !== "command") return;
      const { name, node_id, args } = message;
      got.push(JSON.stringify({ name, node_id, args }));
      const done = {
        type: "command_result",
        command_id: message.command_id,
        status: "done",
        message: "so be it",
      };
      socket.send(JSON.stringify(done));
    };
    socket.onopen = () => socket.send(JSON.stringify({ type: "announce", id: "a", commands }));
  });
}

async function orchestrator(project: string): Promise<{ page: Page; got: () => Promise<unknown[]> }> {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/tv`);
  await page.evaluate(obey, [project, COMMANDS] as [string, unknown]);
  const got = async () =>
    (await page.evaluate(() => (window as unknown as { got: string[] }).got)).map((one) => JSON.parse(one));
  return { page, got };
}

const run = [
  node("a", { title: "Alpha", status: "failed", kind: "llm" }),
  node("b", { title: "Beta", status: "running" }),
];
const commands = (page: Page) => page.getByRole("region", { name: "Commands" });

it.each([
  ["light", 1280, 720],
  ["dark", 390, 780],
] as const)(
  "only what was announced for such a node is offered, with its form (%s, %i × %i)",
  async (scheme, width, height) => {
    const project = `announced-${scheme}`;
    await hub.push(project, run);
    const { page: serving, got } = await orchestrator(project);
    const { page, complaints } = await open(browser, { scheme, width, height });
    await page.goto(`${hub.url}/p/${project}/tree?node=b`);
    await page.getByRole("button", { name: "Commands" }).waitFor();
    expect(await commands(page).getByRole("button").count()).toBe(0);
    await page.goto(`${hub.url}/p/${project}/tree?node=a`);
    const again = commands(page).getByRole("button", { name: "Try again …" });
    await again.waitFor();
    expect(await commands(page).getByRole("button").count()).toBe(2);
    expect(await page.getByLabel("Another command").count()).toBe(0);
    await again.click();
    const form = page.getByRole("dialog", { name: "Try again" });
    await form.getByText("Try the node again, from its beginning.").waitFor();
    await form.getByLabel(/times/).fill("9");
    await form.getByRole("button", { name: "Try again" }).click();
    expect(await got()).toEqual([]);
    await accessible(page);
    await fits(page);
    await form.getByLabel(/times/).fill("2");
    await form.getByRole("button", { name: "Try again" }).click();
    await commands(page).getByText("so be it").waitFor();
    expect(await got()).toEqual([{ name: "try-again", node_id: "a", args: { times: 2, how: "careful" } }]);
    await commands(page).getByRole("button", { name: "Drop" }).click();
    await page.getByRole("group", { name: "Drop it?" }).getByRole("button", { name: "Yes" }).click();
    await expect.poll(async () => (await got()).length).toBe(2);
    await serving.context().close();
    await page.getByText("No orchestrator takes commands").waitFor();
    expect(await again.isDisabled()).toBe(true);
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it("commands for the whole run are at its head, and Retry all only where retry was announced", async () => {
  await hub.push("whole", run);
  const { page: serving, got } = await orchestrator("whole");
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/whole/failures`);
  await page.getByRole("button", { name: "Commands" }).click();
  const dialog = page.getByRole("dialog", { name: "Commands for the whole run" });
  await accessible(page);
  await dialog.getByRole("button", { name: "Pause" }).click();
  await expect.poll(got).toEqual([{ name: "pause" }]);
  await dialog.waitFor({ state: "detached" });
  expect(await page.getByRole("button", { name: /Retry all failed/ }).count()).toBe(0);
  await serving.evaluate(() => {
    const commands = [{ name: "retry" }];
    (window as unknown as { socket: WebSocket }).socket.send(JSON.stringify({ type: "announce", commands }));
  });
  await page.getByRole("button", { name: "Retry all failed (1)" }).waitFor();
  await serving.context().close();
  await page.context().close();
});
