import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Browser, launch, open } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

const BIG = "9007199254740993";
const HUGE = "-123456789012345678901234567890";

let browser: Browser;
let hub: HubProcess;

/** JSON as it stands: what this machine's numbers cannot hold comes through as it is written. */
async function post(path: string, body: string): Promise<string> {
  const answer = await fetch(`${hub.url}/api/v1${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer.text();
}

const changes = (fields: string) =>
  `{"type":"node_update","data":{"node_id":"n","changes":{"title":"N",${fields}}}}`;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("big", [node("m", { title: "M" })]);
  await post("/projects/big/events", changes(`"bytes":${BIG},"deep":{"all":[${HUGE},1.5]},"words":"${BIG}"`));
  await post(
    "/projects/big/events",
    `{"type":"log","data":{"node_id":"n","level":"info","message":"x","offset":${BIG}}}`,
  );
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

it("an integer that a browser's number would round is shown and saved digit for digit", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/big/tree?node=n`);
  const panel = page.getByRole("tabpanel");
  await panel.getByText(BIG, { exact: true }).first().waitFor();
  await panel.getByText(HUGE).waitFor();
  // A change that comes live, in a second tab also from the shared worker's tree.
  await post("/projects/big/events", changes(`"bytes":${BIG}1`));
  await panel.getByText(`${BIG}1`, { exact: true }).waitFor();
  const other = await page.context().newPage();
  await other.goto(`${hub.url}/p/big/tree?node=n`);
  await other.getByText(`${BIG}1`, { exact: true }).waitFor();
  await page.getByRole("tab", { name: "History" }).click();
  await panel.getByText(`"bytes":${BIG}1`).waitFor();

  await page.goto(`${hub.url}/p/big/events`);
  await page.getByText(`"offset":${BIG}`).click();
  await page
    .locator(".events-raw")
    .filter({ hasText: `"offset": ${BIG}` })
    .waitFor();
  await page.getByLabel("Search events").fill(HUGE);
  await page.getByText(/^1 of /).waitFor();
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download NDJSON" }).click();
  expect(await readFile(await (await saving).path(), "utf8")).toContain(
    `"deep":{"all":[${HUGE},1.5]},"words":"${BIG}"`,
  );

  await page.goto(`${hub.url}/p/big/tree?node=n&at=2`);
  await page.getByText(HUGE).waitFor();
  for (const view of ["board", "graph", "timeline", "overview"]) {
    await page.goto(`${hub.url}/p/big/${view}`);
    await page.locator(".board-card, .graph-node, .empty, .plot").first().waitFor();
  }
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("a question with such an integer is answered with exactly it", async () => {
  const asked = await post(
    "/prompts",
    `{"project_id":"big","message":"Which?","timeout":600,"default":{"proceed":false},"schema":{"type":"object","required":["id","other"],` +
      `"properties":{"id":{"enum":[${BIG},${BIG}1]},"other":{"type":"integer","default":${BIG}2}}}}`,
  );
  const id = /"prompt_id":"([^"]+)"/.exec(asked)?.[1];
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/inbox`);
  await page.getByLabel("id").selectOption({ label: `${BIG}1` });
  await page.getByLabel("other").fill(`${BIG}3`);
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("Settled, the newest first").waitFor();
  const settled = await (await fetch(`${hub.url}/api/v1/prompts/${id}`)).text();
  expect(settled).toContain(`"value":{"id":${BIG}1,"other":${BIG}3}`);
  await page.getByText(`${BIG}3`).waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});
