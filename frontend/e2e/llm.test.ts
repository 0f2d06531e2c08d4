import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, type Locator, launch, open, type Page, SCREENS } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const LONG = "The quick brown fox jumps over the lazy dog. ".repeat(200);
const at = (second: number) => new Date(Date.UTC(2026, 10, 30, 12, 0, second)).toISOString();

const QUESTION = [
  { role: "system", content: "You are a careful engineer." },
  {
    role: "user",
    content: [
      { type: "text", text: "Why does **`test_resume`** fail? <img src=x onerror=alert(1)>" },
      { type: "image_url", image_url: { url: "https://pictures.invalid/shot.png" } },
      { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } },
    ],
  },
];
const ANSWER = [
  {
    role: "assistant",
    parts: [
      { type: "reasoning", content: "Look at the log first." },
      { type: "text", content: "I will read the log.\n\n- first the head\n- then the tail" },
      { type: "tool_call", id: "c1", name: "read_file", arguments: { path: "log.txt", lines: [1, 40] } },
    ],
  },
  { role: "tool", parts: [{ type: "tool_call_response", id: "c1", response: { text: LONG } }] },
];

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
  await hub.push("agent", [
    { type: "project_update", data: { changes: { title: "Mend the build" } } },
    node("agent", { title: "Engineer", kind: "agent", status: "running", started_at: at(0) }),
    node("plan", {
      parent_id: "agent",
      title: "Plan",
      kind: "llm",
      model: "large-2",
      status: "failed",
      message: "overloaded",
      started_at: at(1),
      ended_at: at(2),
      usage: { input_tokens: 1000, output_tokens: 0 },
      cost_usd: 0.003,
    }),
    node("plan", { status: "running", started_at: at(3), ended_at: null, message: null, input: QUESTION }),
    node("plan", {
      status: "completed",
      ended_at: at(9),
      usage: { input_tokens: 1200, output_tokens: 340, cache_read_input_tokens: 1000 },
      cost_usd: 0.0087,
      output: ANSWER,
    }),
    node("read", {
      parent_id: "agent",
      title: "read_file",
      kind: "tool",
      status: "completed",
      input: { path: "log.txt" },
      output: LONG,
    }),
    node("plain", { title: "No model", status: "completed" }),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

const panel = (page: Page) => page.getByRole("complementary", { name: "Node" });
const row = (page: Page, name: string) => page.getByRole("treeitem", { name });
const words = async (page: Page, name: string) =>
  (await row(page, name).locator(".spending [aria-hidden]").allTextContents()).join(" ");

it("rows, head and card tell tokens and cost, summed upwards over all attempts", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/agent/tree`);
  await row(page, "Plan").waitFor();
  expect(await words(page, "Plan")).toBe("2.54K tok $0.012");
  expect(await words(page, "Engineer")).toBe("2.54K tok $0.012");
  expect(await words(page, "No model")).toBe("");
  await row(page, "Plan").getByRole("img", { name: "llm" }).waitFor();
  await page.locator(".project-head .spending").getByText("2.54K tok").waitFor();
  await hub.push("agent", [
    node("late", { parent_id: "agent", title: "Late", usage: { total_tokens: 460 } }),
  ]);
  await page.locator(".project-head .spending").getByText("3K tok").waitFor();
  expect(await words(page, "Engineer")).toBe("3K tok $0.012");
  await hub.push("agent", [node("late", { deleted: true })]);
  await page.locator(".project-head .spending").getByText("2.54K tok").waitFor();
  const { usage } = await hub.call<{ usage: unknown }>("GET", "/projects/agent/usage?node_id=agent");
  expect(usage).toEqual({
    input_tokens: 2200,
    output_tokens: 340,
    cache_read_input_tokens: 1000,
    total_tokens: 2540,
    cost_usd: 0.0117,
  });
  await accessible(page);
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/llm-tree.png` });
  await page.goto(hub.url);
  await page.locator(".projects-card .spending").getByText("2.54K tok").waitFor();
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/llm-card.png` });
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("rows name the model; what was skipped, or has not reported itself yet, looks different", async () => {
  const { page } = await open(browser);
  await hub.push("marks", [
    node("a", { title: "Called", kind: "llm", model: "large-2", status: "completed" }),
    node("b", { title: "Left out", status: "skipped" }),
    node("c", { title: "Parent of a span", status: "running", provisional: true }),
  ]);
  await page.goto(`${hub.url}/p/marks/tree`);
  await row(page, "Called").getByText("large-2").waitFor();
  const mark = (name: string) => row(page, name).locator("svg.mark").innerHTML();
  expect(await mark("Left out")).not.toBe(await mark("Called"));
  const line = (name: string) =>
    row(page, name)
      .locator(".tree-title")
      .evaluate((it) => getComputedStyle(it).textDecorationStyle);
  expect([await line("Called"), await line("Parent of a span")]).toEqual(["solid", "dashed"]);
  await row(page, "Parent of a span").getByText("not reported itself yet").waitFor({ state: "attached" });
  await hub.push("marks", [node("c", { provisional: null })]);
  await expect.poll(() => line("Parent of a span")).toBe("solid");
  await accessible(page);
  await page.context().close();
});

it("the panel of a branch and the overview say what each model took", async () => {
  const { page, complaints } = await open(browser);
  const cells = (place: Locator) => place.locator("tbody td").allTextContents();
  await page.goto(`${hub.url}/p/agent/tree?node=agent`);
  const below = panel(page).getByRole("region", { name: "Tokens below it" });
  await below.getByText("large-2").waitFor();
  expect(await cells(below)).toEqual(["large-2", "1", "2,540", "$0.012"]);
  await accessible(page);
  await page.goto(`${hub.url}/p/agent/overview`);
  const all = page.getByRole("region", { name: "Tokens and cost by model" });
  await all.getByText("large-2").waitFor();
  expect(await cells(all)).toEqual(["large-2", "1", "2,540", "$0.012"]);
  await accessible(page);
  expect(complaints).toEqual([]);
  await page.context().close();
});

it.each(SCREENS)(
  "messages are a chat, which nothing is loaded for from elsewhere (%s)",
  async (name, width, height, scheme) => {
    const { page, complaints } = await open(browser, { width, height, scheme });
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(`${hub.url}/p/agent/tree?node=plan`);
    const side = panel(page);
    await side.getByText("large-2").waitFor();
    await side.getByText("user", { exact: true }).waitFor();
    await side.getByText("You are a careful engineer.").waitFor();
    expect(await side.locator("strong code").textContent()).toBe("test_resume");
    expect(await side.locator("img[onerror]").count()).toBe(0);
    expect(await side.getByText("<img src=x onerror=alert(1)>").count()).toBe(1);
    await side.getByRole("link", { name: "https://pictures.invalid/shot.png" }).waitFor();
    expect(await side.locator("img.chat-picture").evaluate((one: HTMLImageElement) => one.naturalWidth)).toBe(
      1,
    );
    expect(asked.filter((one) => one.includes("pictures.invalid"))).toEqual([]);
    // The answer is large: the page shows its size, and fetches it when it is opened.
    expect(asked.filter((one) => one.includes("/field?"))).toEqual([]);
    await side.getByText(/^9\.\d* KiB$/).waitFor();
    await side.getByRole("heading", { name: "Output" }).click();
    await side.getByText("read_file", { exact: true }).waitFor();
    await side.getByText("I will read the log.").waitFor();
    expect(await side.locator(".chat-assistant li").allTextContents()).toEqual([
      "first the head",
      "then the tail",
    ]);
    expect(asked.filter((one) => one.includes("/field?"))).toHaveLength(1);
    await side.getByText("9,000 characters").click();
    await accessible(page);
    await fits(page);
    if (process.env.SHOTS) {
      await page.screenshot({ path: `${process.env.SHOTS}/llm-${name}-output.png` });
      await side.getByRole("heading", { name: "Input" }).scrollIntoViewIfNeeded();
      await page.screenshot({ path: `${process.env.SHOTS}/llm-${name}-input.png` });
    }
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

it("in the past it is the value of then; a value that is gone says so", async () => {
  const { page } = await open(browser, { expected: /404/ });
  await hub.push("then", [
    node("n", { title: "N", kind: "llm", output: `first ${LONG}` }),
    node("n", { output: `second ${LONG}` }),
  ]);
  await page.goto(`${hub.url}/p/then/tree?node=n`);
  const side = panel(page);
  await side.getByRole("heading", { name: "Output" }).click();
  await side.getByText("second The quick").waitFor();
  await page.goto(`${hub.url}/p/then/tree?node=n&at=1`);
  await side.getByRole("heading", { name: "Output" }).click();
  await side.getByText("first The quick").waitFor();
  await page.context().close();
});

it("the state of the page and of the hub are the same, with a marker in place of what is large", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/agent/tree`);
  await row(page, "Plan").waitFor();
  const seen = await page.evaluate(() => {
    const { tasktree_rt: hub } = window as unknown as {
      tasktree_rt: { watch(id: string): { tree: { node(id: string): unknown } } };
    };
    const { tree } = hub.watch("agent");
    return { plan: tree.node("plan"), read: tree.node("read") };
  });
  const { plan, read } = await hub.tree("agent");
  expect(seen).toEqual({ plan, read });
  expect(read).toHaveProperty("output.$large.bytes", LONG.length + 2);
  await page.context().close();
});
