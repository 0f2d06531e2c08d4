import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, SCREENS } from "./browser.ts";
import { HubProcess } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;
let built = false;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  built = (await (await fetch(`${hub.url}/docs/manual/`)).text()).includes("md-search");
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

const PAGES = ["index", "operating", "protocol", "reference", "faq", "when-not-to-use", "migrate/fastapi"];

it.each(SCREENS)(
  "the manual's main pages have no fault that axe finds: %s",
  async (_, width, height, scheme) => {
    if (!built) return; // `just docs` has not run: nothing to look at
    for (const name of PAGES) {
      const { page, complaints } = await open(browser, { width, height, scheme });
      await page.goto(`${hub.url}/docs/manual/${name}.html`);
      await page.locator("h1").first().waitFor();
      await accessible(page);
      await fits(page);
      expect(complaints).toEqual([]);
      await page.close();
    }
  },
);

it("the manual's search finds a word, from the hub alone", async () => {
  if (!built) return;
  const { page } = await open(browser);
  const elsewhere: string[] = [];
  page.on("request", (one) => {
    if (!one.url().startsWith(hub.url) && !one.url().startsWith("data:")) elsewhere.push(one.url());
  });
  await page.goto(`${hub.url}/docs/manual/index.html`);
  await page.locator("[data-md-component=search-query]").first().fill("subscription token");
  await page.locator(".md-search-result__link").first().waitFor();
  expect(elsewhere).toEqual([]);
  await page.close();
});
