import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("forms", [node("n", { title: "Draft", status: "review" })]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

/** Ask, and open the page on which it can be answered. */
async function asked(properties: Record<string, unknown>, required: string[], look = {}) {
  const schema = { type: "object", properties, required };
  const body = { project_id: "forms", node_id: "n", message: "How?", timeout: 1800, schema };
  const { prompt_id } = await hub.call<{ prompt_id: string }>("POST", "/prompts", {
    ...body,
    default: { proceed: false },
  });
  const { page, complaints } = await open(browser, look);
  await page.goto(`${hub.url}/p/forms/tree?node=n`);
  const form = page.getByRole("form", { name: "How?" });
  await form.waitFor();
  const answer = async () => {
    const { outcome } = await hub.call<{ outcome?: { value?: unknown } }>("GET", `/prompts/${prompt_id}`);
    return outcome?.value;
  };
  const send = () => form.getByRole("button", { name: "Send" }).click();
  return { page, form, complaints, answer, send };
}

/** Nothing goes out: the browser names the field, and the question stays open. */
async function refused(page: Page, send: () => Promise<void>, at: RegExp): Promise<void> {
  const sent: string[] = [];
  const note = (request: { method(): string; url(): string }) => {
    if (request.method() === "POST") sent.push(request.url());
  };
  page.on("request", note);
  await send();
  await expect
    .poll(() => page.evaluate(() => document.activeElement?.closest(".stack")?.textContent))
    .toMatch(at);
  page.off("request", note);
  expect(sent).toEqual([]);
}

it("lists are written one item a line, and everything that is proposed is shown and sent", async () => {
  const { page, form, complaints, answer, send } = await asked(
    {
      sections: { type: "array", items: { type: "string" } },
      words: { type: "integer", default: 900 },
      tone: { enum: ["formal", "casual"], default: "casual" },
      layout: { type: "object", properties: { columns: { type: "integer", default: 2 } } },
      left: { type: "string" },
    },
    ["sections"],
  );
  expect(await form.getByLabel("words").inputValue()).toBe("900");
  expect(await form.getByLabel("columns").inputValue()).toBe("2");
  await form.getByLabel("sections").fill("Intro, Results\nDiscussion");
  await accessible(page);
  await send();
  await form.waitFor({ state: "detached" });
  expect(await answer()).toEqual({
    sections: ["Intro, Results", "Discussion"],
    words: 900,
    tone: "casual",
    layout: { columns: 2 },
  });
  expect(complaints).toEqual([]);
  await page.context().close();
});

it.each([
  [1280, "light"],
  [390, "dark"],
] as const)(
  "nothing is sent while a field is wrong, and the field is marked (%i px, %s)",
  async (width, scheme) => {
    const { page, form, answer, send } = await asked(
      { any: {}, sizes: { type: "array", items: { type: "integer" } }, at: { type: "number", maximum: 5 } },
      [],
      { width, scheme },
    );
    await form.getByLabel("any (JSON)").fill("Intro, Results");
    await form.locator("[aria-invalid=true]").waitFor();
    await refused(page, send, /any.*This is no JSON yet/);
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/form-${width}.png` });
    await accessible(page);
    await fits(page);
    await form.getByLabel("any (JSON)").fill('["Intro", "Results"]');
    await form.getByLabel("sizes").fill("1, 2");
    await refused(page, send, /sizes.*“1, 2” is no number/);
    await form.getByLabel("sizes").fill("1\n2");
    await form.getByLabel("at").fill("6");
    await refused(page, send, /at.*At most 5/);
    await form.getByLabel("at").fill("4");
    expect(await form.locator("[aria-invalid=true]").count()).toBe(0);
    await send();
    await form.waitFor({ state: "detached" });
    expect(await answer()).toEqual({ any: ["Intro", "Results"], sizes: [1, 2], at: 4 });
    await page.context().close();
  },
);

it("a required choice is made by a person", async () => {
  const { page, form, answer, send } = await asked({ region: { enum: ["eu", "us"] } }, ["region"]);
  await refused(page, send, /region/);
  await form.getByLabel("region").selectOption("us");
  await send();
  await form.waitFor({ state: "detached" });
  expect(await answer()).toEqual({ region: "us" });
  await page.context().close();
});

it.each([{}, { scheme: "dark", width: 390 }] as const)(
  "of several shapes one is chosen first: without a choice nothing is sent (%j)",
  async (look) => {
    const card = { title: "By card", properties: { kind: { const: "card" }, owner: { type: "string" } } };
    const bill = { properties: { kind: { const: "bill" }, days: { type: "integer", default: 14 } } };
    const oneOf = [
      { type: "object", required: ["kind", "owner"], ...card },
      { type: "object", required: ["kind"], ...bill },
    ];
    const { page, form, complaints, answer, send } = await asked({ pay: { oneOf } }, ["pay"], look);
    await refused(page, send, /^pay/);
    await form.getByLabel("pay").selectOption("By card");
    await refused(page, send, /^owner/);
    await form.getByLabel("owner").fill("Ada");
    await accessible(page);
    await form.getByLabel("pay").selectOption("bill");
    expect(await form.getByLabel("days").inputValue()).toBe("14");
    await send();
    await form.waitFor({ state: "detached" });
    expect(await answer()).toEqual({ pay: { kind: "bill", days: 14 } });
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);
