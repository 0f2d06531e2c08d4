import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import cases from "../../tests/cases/log_text.json";
import { type Browser, fits, launch, open } from "./browser.ts";
import { COMMAND, HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

interface Case {
  readonly name: string;
  readonly message: string;
  readonly lines: string[];
  readonly trailing_blanks?: boolean;
}

/** What the hub takes: half a surrogate pair is no JSON for it. */
const all = (cases as unknown as Case[]).filter((one) => !/\p{Surrogate}/u.test(one.message));

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  const log = (message: string) => ({ type: "log", data: { node_id: "n", level: "info", message } });
  await hub.push("lines", [
    node("n", { title: "N", status: "running" }),
    ...all.map((one) => log(one.message)),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

/** What the page has on its screen of each line; an empty one has no height of its own there. */
const same = (text: string, { lines, trailing_blanks }: Case) =>
  (trailing_blanks ? text.replaceAll(/ +$/gm, "") : text) === lines.join("\n");

it("view, search, download and the command line show the same of every output", async () => {
  const { page, complaints } = await open(browser, { height: 1400 });
  await page.goto(`${hub.url}/p/lines/tree?node=n`);
  await page.getByRole("tab", { name: "Log" }).click();
  const panel = page.getByRole("tabpanel");
  await panel.getByRole("button", { name: "Follow" }).click();
  const seen = new Map<number, string>();
  const look = async () => {
    const found = await panel.locator(".log").evaluate((box) => {
      const lines = [...box.querySelectorAll<HTMLElement>(".log-line")];
      const texts = lines.map((one) => [Number(one.dataset.index), one.querySelector("span")?.textContent]);
      const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 1;
      box.scrollTo(0, atEnd ? 0 : box.scrollTop + box.clientHeight / 2);
      return texts as [number, string][];
    });
    for (const [at, text] of found) seen.set(at, text);
    return seen.size;
  };
  await expect.poll(look, { interval: 20 }).toBe(all.length);
  const wrong = all.filter((one, at) => !same(seen.get(at) ?? "(no line)", one)).map((one) => one.name);
  expect(wrong).toEqual([]);

  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const saved = await readFile(await (await saving).path(), "utf8");
  const { stdout } = await promisify(execFile)(COMMAND, [
    "logs",
    "lines",
    "n",
    "-n",
    "1000",
    "--hub",
    hub.url,
  ]);
  expect(saved).toBe(stdout);

  const search = page.getByLabel("Search the log");
  await search.fill("step 2: 100%");
  await expect.poll(() => page.locator(".log-line").count()).toBe(1);
  await search.fill("see the docs now");
  await expect.poll(() => page.locator(".log-line").count()).toBe(1);
  await search.fill("10%\r");
  await search.fill("step 2: 10%");
  await page.getByText("No line matches.").waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("a progress bar's colours show, and long lines stay in the panel of a phone", async () => {
  const { page } = await open(browser, { width: 390, height: 800, scheme: "dark" });
  await page.goto(`${hub.url}/p/lines/tree?node=n`);
  await page.getByRole("tab", { name: "Log" }).click();
  await page.getByLabel("Search the log").fill("Compiling c v0.1.0");
  await page.locator(".log-line .ansi-green").first().waitFor();
  await fits(page);
  await page.context().close();
});
