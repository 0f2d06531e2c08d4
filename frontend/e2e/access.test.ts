import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, launch, open } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("run", [node("a", { title: "Alpha", status: "running" })]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

it("makes an API key that is shown once, lists it, and revokes it", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/hub`);
  const keys = page.getByRole("region", { name: "API keys" });
  await keys.getByLabel("Name of the key").fill("ci");
  await keys.getByLabel("Projects to push to").fill("build-*, run");
  await keys.getByLabel("Days it is valid").fill("90");
  await keys.getByRole("button", { name: "Make a key" }).click();
  const shown = await keys.locator("code").textContent();
  expect(shown).toMatch(/^ttk_[0-9a-f]{16}_[0-9a-f]{64}$/);
  await keys.getByText("push build-*, run").waitFor();
  await accessible(page);
  await page.reload();
  await keys.getByText("push build-*, run").waitFor();
  expect(await page.content()).not.toContain(shown?.split("_")[2]);
  await keys.getByRole("button", { name: "Revoke" }).click();
  await keys.getByRole("button", { name: "Yes" }).click();
  await keys.getByText(/^revoked/).waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("filters connections and ends one of them", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/hub`);
  const closed = await page.evaluateHandle(async () => {
    const watching = new WebSocket(`ws://${location.host}/ws/updates?project_id=run`);
    const code = new Promise<number>((resolve) => {
      watching.onclose = (event) => resolve(event.code);
    });
    await new Promise((resolve) => {
      watching.onopen = resolve;
    });
    return { code };
  });
  const all = page.getByRole("region", { name: "Connections" });
  await all.getByLabel("Language of connections").fill("plain");
  await all.getByText("1 open").waitFor();
  await all.getByRole("button", { name: "Disconnect", exact: true }).click();
  await all.getByRole("button", { name: "Yes" }).click();
  expect(await closed.evaluate(({ code }) => code)).toBe(4010);
  await all.getByText("0 open").waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("revokes the tokens of a user", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/hub`);
  const revoked = page.getByRole("region", { name: "Revocations" });
  await revoked.getByText("Nothing is revoked.").waitFor();
  await revoked.getByLabel("User or token id").fill("ada");
  await revoked.getByRole("button", { name: "Revoke now" }).click();
  await revoked.getByRole("button", { name: "Yes" }).click();
  await revoked.getByText("user ada").waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});
