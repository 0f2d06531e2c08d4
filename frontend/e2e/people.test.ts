import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, launch, open } from "./browser.ts";
import { COMMAND, HubProcess, node } from "./hub.ts";

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser?.close());

const SECRET = "s".repeat(32);

/** A token of the hub's: HS256. */
function token(claims: Record<string, unknown>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const said = `${part({ alg: "HS256", typ: "JWT" })}.${part({ exp: Math.floor(Date.now() / 1000) + 86_400, ...claims })}`;
  return `${said}.${createHmac("sha256", SECRET).update(said).digest("base64url")}`;
}

it("a hub with tokens asks for one, takes it, and keeps it in this browser", async () => {
  const hub = await HubProcess.startWith({ TASKTREE_RT_AUTH_SECRET: SECRET });
  const { page } = await open(browser, { expected: /401|403/ });
  await page.goto(`${hub.url}/`);
  await page.getByText("This hub asks for a token").waitFor();
  await accessible(page);
  await page.getByLabel("Token").fill(token({ sub: "ada", tasktree: { watch: ["*"] } }));
  await page.getByRole("button", { name: "Use this token" }).click();
  await page.getByText("No project yet").waitFor();
  await page.reload();
  await page.getByText("No project yet").waitFor();
  const { page: other } = await open(browser);
  await other.goto(`${hub.url}/p/x/tree?token=${token({ sub: "ada", tasktree: { watch: ["*"] } })}`);
  await other.getByText("Nothing was pushed to this project yet").waitFor();
  expect(other.url()).toBe(`${hub.url}/p/x/tree`);
  await hub.kill();
});

it("a hub that stops says when to come back, and the page tells", async () => {
  const hub = await HubProcess.start();
  await hub.push("p", [node("a", { title: "Alpha" })]);
  const { page } = await open(browser, { expected: /ERR_|WebSocket|fetch/ });
  await page.goto(`${hub.url}/p/p/tree`);
  await page.getByText("Alpha").waitFor();
  await hub.stop();
  await page.getByRole("status").filter({ hasText: "reconnecting in" }).waitFor();
  await hub.run();
  await page
    .getByRole("button", { name: "now" })
    .click()
    .catch(() => {});
  await page.getByRole("status").filter({ hasText: "live" }).waitFor({ timeout: 20_000 });
  await hub.kill();
});

it("a failed file of the demo is mended on disk and tried again by the button", async () => {
  const hub = await HubProcess.start();
  const folder = mkdtempSync(join(tmpdir(), "work-"));
  writeFileSync(join(folder, "broken.py"), "def broken(:\n");
  const demo = spawn(COMMAND, ["demo", folder, "--hub", hub.url], { stdio: "ignore" });
  const { page } = await open(browser);
  await page.goto(hub.url);
  await page.locator(".projects-card").click();
  await page.getByText("broken.py").click();
  await page.getByRole("button", { name: "Retry" }).waitFor();
  writeFileSync(join(folder, "broken.py"), "print('mended')\n");
  await page.getByRole("button", { name: "Retry" }).click();
  await page.locator(".node-body").getByText("completed").first().waitFor();
  demo.kill();
  await hub.kill();
});

it("a tab of its own tells by its title that something waits, once it was asked to", async () => {
  const hub = await HubProcess.start();
  const { page } = await open(browser);
  await page.goto(hub.url);
  await page.getByRole("button", { name: "Tell me when something fails" }).click();
  await hub.call("POST", "/prompts", {
    project_id: "p",
    message: "Go on?",
    timeout: 600,
    default: { proceed: false },
  });
  await expect.poll(() => page.title()).toMatch(/^\(1\) /);
  await page.getByRole("link", { name: "Inbox 1 waiting" }).waitFor();
  await hub.kill();
});

/** How often the tree was drawn anew, and where it stands. */
function versionOf(): { version: number; seq: number } {
  type Tree = { get(): { version: number; position: { seq: number } | null } };
  const { tasktree_rt } = window as unknown as { tasktree_rt: { watch(id: string): { tree: Tree } } };
  const { version, position } = tasktree_rt.watch("p").tree.get();
  return { version, seq: position?.seq ?? 0 };
}

it("a page that was frozen is where the hub is in one step", async () => {
  const hub = await HubProcess.start();
  const all = Array.from({ length: 200 }, (_, n) => node(`n${n}`, { title: `Node ${n}`, progress: 0 }));
  await hub.push("p", all);
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/p/tree`);
  await page.getByText("Node 0", { exact: true }).waitFor();
  // The page's own thread stands still: nothing is taken meanwhile.
  const before = await page.evaluate(versionOf);
  const stands = page.evaluate(() => {
    const until = performance.now() + 3000;
    while (performance.now() < until);
  });
  for (let round = 1; round <= 20; round += 1) {
    await hub.push(
      "p",
      all.map(({ data }) => node(String(data.node_id), { progress: round })),
    );
  }
  await stands;
  await expect.poll(async () => (await page.evaluate(versionOf)).seq).toBe(4200);
  // 4,000 changes came; they were drawn in a few steps, however long they took to be pushed.
  expect((await page.evaluate(versionOf)).version - before.version).toBeLessThan(400);
  await hub.kill();
});
