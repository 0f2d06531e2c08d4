/** Share links: a page that watches one project until the link ends, and shows nothing else of the hub. */
import { createHmac } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

const SECRET = "s".repeat(32);

function token(claims: Record<string, unknown>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const until = Math.floor(Date.now() / 1000) + 86_400;
  const said = `${part({ alg: "HS256", typ: "JWT" })}.${part({ exp: until, ...claims })}`;
  return `${said}.${createHmac("sha256", SECRET).update(said).digest("base64url")}`;
}

const ADA = token({ sub: "ada", tasktree: { watch: ["*"], push: ["*"], command: ["*"], answer: ["*"] } });

async function call(path: string, body: unknown): Promise<Record<string, unknown>> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${ADA}` };
  const answer = await fetch(`${hub.url}/api/v1${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

beforeAll(async () => {
  hub = await HubProcess.startWith({ TASKTREE_RT_AUTH_SECRET: SECRET });
  browser = await launch();
  await call("/projects/run/events", [
    node("all", { title: "All of it", status: "running" }),
    node("step", { title: "A step", parent_id: "all", status: "failed", message: "no luck" }),
    { type: "log", data: { node_id: "step", level: "error", message: "it went wrong" } },
  ]);
  await call("/projects/secret/events", [node("x", { title: "Not for them" })]);
  await call("/prompts", {
    project_id: "run",
    node_id: "step",
    message: "Go on?",
    default: { proceed: false },
  });
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

/** Make a link in the dialog, as ada; it leads to a node. */
async function link(page: Page): Promise<string> {
  await page.goto(`${hub.url}/p/run/tree?token=${ADA}`);
  await page.getByRole("button", { name: "Share" }).click();
  const dialog = page.getByRole("dialog", { name: "Share this project" });
  await dialog.getByLabel("Valid for").selectOption("an hour");
  await dialog.getByRole("button", { name: "Make a link" }).click();
  await dialog.getByText(/Valid until/).waitFor();
  return `${await dialog.locator("pre").last().textContent()}&node=step`;
}

it.each([
  ["light", 1280, 720],
  ["dark", 390, 780],
] as const)(
  "a link shows its project, lives on over a reload, and leads nowhere else (%s, %i × %i)",
  async (scheme, width, height) => {
    const { page: mine } = await open(browser, { scheme, width, height });
    const address = await link(mine);
    await accessible(mine);
    await fits(mine);
    const { page, complaints } = await open(browser, { scheme, width, height });
    await page.goto(address);
    const panel = page.getByRole("complementary", { name: "Node" });
    await panel.getByRole("heading", { name: "A step" }).waitFor();
    expect(page.url()).not.toContain("token");
    await page.reload();
    await panel.getByRole("heading", { name: "A step" }).waitFor();
    await panel
      .getByText(/no luck|news for/)
      .first()
      .waitFor();
    for (const name of ["Projects", "Inbox", "Hub"])
      expect(await page.getByRole("link", { name }).count()).toBe(0);
    for (const name of ["Share", "Commands", "Yes, go on"])
      expect(await page.getByRole("button", { name }).count()).toBe(0);
    await accessible(page);
    await fits(page);
    await call("/projects/run/events", [node("step", { message: `news for ${scheme}` })]);
    await panel.getByText(`news for ${scheme}`).first().waitFor();
    await page.goto(`${hub.url}/p/run/events?q=wrong`);
    await page
      .getByRole("region", { name: "In the whole log" })
      .getByText("1 event", { exact: true })
      .waitFor();
    await page.goto(`${hub.url}/inbox`);
    await page.getByText("This link shows one project").waitFor();
    expect(complaints).toEqual([]);
    const kept = await page.evaluate(() => window.localStorage.getItem("tasktree_rt.token"));
    expect(kept).toBeNull();
    await page.context().close();
    await mine.context().close();
  },
);

it("a link of a branch shows the node as root, moves in and out, and nothing else of the project", async () => {
  const { page: mine } = await open(browser);
  await mine.goto(`${hub.url}/p/run/tree?token=${ADA}&node=step`);
  await mine.getByRole("button", { name: "Share" }).click();
  const dialog = mine.getByRole("dialog", { name: "Share this project" });
  await dialog.getByLabel(/Only this branch/).check();
  await accessible(mine);
  await dialog.getByRole("button", { name: "Make a link" }).click();
  await dialog.getByText(/Valid until/).waitFor();
  const address = `${await dialog.locator("pre").last().textContent()}`;
  await mine.context().close();
  const { page, complaints } = await open(browser);
  await page.goto(address);
  await page.getByRole("heading", { level: 1, name: "A step" }).waitFor();
  expect(await page.getByText("All of it").count()).toBe(0);
  await call("/projects/run/events", [node("other", { title: "From elsewhere", parent_id: "all" })]);
  await call("/projects/run/events", [node("other", { parent_id: "step" })]);
  await page.getByText("From elsewhere").first().waitFor();
  await call("/projects/run/events", [node("other", { parent_id: "all" })]);
  await page.getByText("From elsewhere").first().waitFor({ state: "detached" });
  await page.goto(`${hub.url}/p/run/events?q=wrong`);
  await page.getByText("it went wrong").first().waitFor();
  expect(await page.getByRole("region", { name: "In the whole log" }).count()).toBe(0);
  await accessible(page);
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("another project is refused, without a way to the rest of the hub", async () => {
  const { page: mine } = await open(browser);
  const address = new URL(await link(mine));
  await mine.context().close();
  const { page } = await open(browser, { expected: /403|401/ });
  await page.goto(`${hub.url}/p/secret/tree${address.search.replace("&node=step", "")}`);
  await page.getByText("You may not watch this project").waitFor();
  expect(await page.getByText("Not for them").count()).toBe(0);
  expect(await page.getByRole("link", { name: "All projects" }).count()).toBe(0);
  await page.context().close();
});

it("a link that has ended says so, and asks for no token", async () => {
  const made = await call("/projects/run/tokens", { lifetime: 3 });
  const { page } = await open(browser, { expected: /401|403|WebSocket/ });
  await page.goto(`${hub.url}/p/run/tree?token=${made.token}`);
  await page.getByText("This link is not valid any more").waitFor();
  expect(await page.getByLabel("Token").count()).toBe(0);
  await accessible(page);
  await page.context().close();
});

it("where the hub asks for no tokens the dialog says what is missing", async () => {
  const free = await HubProcess.start();
  await free.push("run", [node("a", { title: "A" })]);
  const { page, complaints } = await open(browser);
  await page.goto(`${free.url}/p/run/tree`);
  await page.getByRole("button", { name: "Share" }).click();
  const dialog = page.getByRole("dialog", { name: "Share this project" });
  await dialog.getByText("This hub asks for no tokens").waitFor();
  expect(await dialog.getByRole("button", { name: "Make a link" }).count()).toBe(0);
  await accessible(page);
  expect(complaints).toEqual([]);
  await page.context().close();
  await free.kill();
});
