import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const DONE = 20_017;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("rare", [
    node("all", { title: "all of it" }),
    ...["failed", "running", "review"].map((status) => node(status, { parent_id: "all", status })),
    ...Array.from({ length: DONE }, (_, n) => node(`n${n}`, { parent_id: "all", status: "completed" })),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

it.each([
  ["/", "main", 1280, "light"],
  ["/", "main", 390, "dark"],
  ["/p/rare/tree", "[role=treeitem][aria-level='1']", 1280, "dark"],
  ["/p/rare/tree", "[role=treeitem][aria-level='1']", 390, "light"],
  ["/p/rare/tree?node=all", "aside", 1280, "light"],
  ["/hub", "main", 1280, "light"],
  ["/tv", "main", 1280, "light"],
] as const)(
  "one failed, one running and one to be reviewed of 20,020 are seen on %s (%s, %i px, %s)",
  async (path, where, width, scheme) => {
    const { page, complaints } = await open(browser, { width, scheme });
    await page.goto(hub.url + path);
    const place = page.locator(where).first();
    for (const one of ["failed", "review", "running"]) {
      const part = place.locator(`.bar > .c-${one}`).first();
      await part.waitFor({ state: "attached" });
      expect(await part.evaluate((it) => it.getBoundingClientRect().width)).toBeGreaterThanOrEqual(4);
    }
    const bar = place.locator(".bar:has(> .c-failed)").first();
    const over = await bar.evaluate((it) => it.scrollWidth - it.clientWidth);
    expect(over).toBeLessThanOrEqual(0);
    const failed = place
      .locator(".c-failed")
      .filter({ hasText: /^1 ?failed$/ })
      .first();
    await failed.waitFor();
    await fits(page);
    await accessible(page);
    expect(complaints).toEqual([]);
    if (process.env.SHOTS)
      await page.screenshot({
        path: `${process.env.SHOTS}/counts-${path.replaceAll(/\W/g, "_")}-${width}.png`,
      });
    await page.context().close();
  },
);
