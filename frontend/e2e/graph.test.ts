import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, launch, open } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("run", [
    node("all", { title: "all of it" }),
    ...Array.from({ length: 40 }, (_, n) =>
      node(`n${n}`, { parent_id: "all", title: `tests/integration/test_users.py::case_${n}` }),
    ),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

it("a cluster opens on a click and by the keyboard, until every node is reached", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/run/graph`);
  await page.getByText("9 of 41 nodes are drawn").waitFor();
  await accessible(page);
  await page.getByRole("button", { name: "32 more" }).click();
  await page.getByText("25 of 41 nodes are drawn").waitFor();
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/graph.png` });
  await page.getByRole("button", { name: "16 more" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("41 of 41 nodes are drawn").waitFor();
  await page.getByText("tests/in…::case_39").waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});
