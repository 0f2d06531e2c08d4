import { createHmac } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { accessible, type Browser, fits, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

const SECRET = "s".repeat(32);

let browser: Browser;
let hub: HubProcess;
let locked: HubProcess;

beforeAll(async () => {
  hub = await HubProcess.start();
  locked = await HubProcess.startWith({ TASKTREE_RT_AUTH_SECRET: SECRET });
  browser = await launch();
  await hub.push("good", [node("n", { title: "hello" })]);
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
  await locked?.kill();
});

function token(watch: string[], exp = Math.floor(Date.now() / 1000) + 86_400): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { exp, sub: "ada", tasktree: { watch, push: ["*"], answer: ["*"] } };
  const said = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${said}.${createHmac("sha256", SECRET).update(said).digest("base64url")}`;
}

const pill = (page: Page, text: string | RegExp) => page.locator(".pill").filter({ hasText: text }).waitFor();
const alert = (page: Page, text: string | RegExp) =>
  page.getByRole("alert").filter({ hasText: text }).waitFor();

/** Go to another address of the app without loading the page anew, as its links do. */
function follow(page: Page, address: string): Promise<void> {
  return page.evaluate((to) => {
    history.pushState(null, "", to);
    dispatchEvent(new PopStateEvent("popstate"));
  }, address);
}

const IMPOSSIBLE = [
  "/p/%25/tree",
  "/p/%E0%A4%A/tree",
  "/p/a%20b",
  `/p/${"a".repeat(129)}/board`,
  "/p/%40ada/tree",
];

it("an address that names no possible project says why, and every project opens, in this tab and in others", async () => {
  for (const address of IMPOSSIBLE) {
    // A browser of its own: what its first tab does decides what its shared worker begins with.
    const { page } = await open(browser, { expected: /400/ });
    await page.goto(hub.url + address);
    await alert(page, "is not a possible project id");
    await pill(page, "live");
    await follow(page, "/p/good/tree");
    await page.getByText("hello").waitFor();
    await pill(page, /live, /);
    const other = await page.context().newPage();
    await other.goto(`${hub.url}/p/good/tree`);
    await other.getByText("hello").waitFor();
    await pill(other, /live, /);
    await other.goto(hub.url + address);
    await alert(other, "is not a possible project id");
    await hub.push("good", [node("n", { message: `seen after ${address.length}` })]);
    await page.getByText(`seen after ${address.length}`).waitFor();
    const inbox = await page.context().newPage();
    await inbox.goto(`${hub.url}/inbox`);
    await inbox.getByText("Nothing waits for a person").waitFor();
    await page.context().close();
  }
});

it("words of an address that make no sense are told or left out, and the page is there", async () => {
  const { page, complaints } = await open(browser, { expected: /400|404/ });
  await page.goto(`${hub.url}/p/good/tree?at=yesterday`);
  await page.getByText("hello").waitFor();
  await page.getByText("The address names no event: at=“yesterday”").waitFor();
  for (const at of ["-1", "1e999", "NaN", "999999999999999999999", ""]) {
    await page.goto(`${hub.url}/p/good/timeline?at=${at}`);
    await page.getByText("now, after").waitFor();
  }
  await page.goto(`${hub.url}/p/good/tree?at=99999999`);
  await page.getByText("hello").waitFor();
  for (const id of ["nobody", "%00", "x".repeat(600), "%E0%A4%A"]) {
    await page.goto(`${hub.url}/p/good/tree?node=${id}`);
    await page.getByText("There is no node of this id now").waitFor();
    for (const tab of ["Log", "History"]) {
      await page.getByRole("tab", { name: tab }).click();
      await page
        .getByText(/No output yet|Nothing happened to it yet|characters/)
        .first()
        .waitFor();
    }
    await page.getByText("hello").waitFor();
  }
  await page.goto(`${hub.url}/p/good/nowhere`);
  await page.getByText("There is no such page").waitFor();
  await page.goto(`${hub.url}/tv?turn=often&project=good`);
  await page.getByText("1 / 1").waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("a project that the token does not allow says so, and the allowed ones go on, in every tab", async () => {
  await fetch(`${locked.url}/api/v1/projects/mine/events`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token(["mine"])}` },
    body: JSON.stringify([node("n", { title: "allowed" })]),
  });
  const { page } = await open(browser, { expected: /401|403/ });
  await page.goto(`${locked.url}/p/theirs/tree?token=${token(["mine"])}`);
  await page.getByText("You may not watch this project").waitFor();
  await accessible(page);
  await fits(page);
  await pill(page, "live");
  await follow(page, "/p/mine/tree");
  await page.getByText("allowed").waitFor();
  const other = await page.context().newPage();
  await other.goto(`${locked.url}/p/mine/tree`);
  await other.getByText("allowed").waitFor();
  await pill(other, /live, /);
  await follow(page, "/p/theirs/tree");
  await page.getByLabel("Token").fill(token(["*"]));
  await page.getByRole("button", { name: "Use this token" }).click();
  await page.getByText("Nothing was pushed to this project yet").waitFor();
  await other.getByText("allowed").waitFor();
  await pill(other, /live, /);
  await page.context().close();
});

it("a tab with a bad token says so on every page, and spoils neither the tabs beside it nor the next", async () => {
  const { page } = await open(browser, { expected: /401|403/ });
  await page.goto(`${locked.url}/p/mine/tree?token=${token(["*"])}`);
  await page.getByText("allowed").waitFor();
  const bad = await page.context().newPage();
  for (const path of ["/", "/p/mine/tree", "/inbox", "/hub", "/tv"]) {
    bad.once("dialog", (question) => void question.accept());
    await bad.goto(`${locked.url}${path}?token=bad`);
    await bad.getByText("This hub refuses the token").waitFor();
    await pill(bad, "the token was refused");
  }
  await pill(page, /live, /);
  await page.reload();
  await page.getByText("allowed").waitFor();
  const next = await page.context().newPage();
  await next.goto(`${locked.url}/p/mine/tree`);
  await next.getByText("allowed").waitFor();
  await page.context().close();
});

it("a link with a token asks before it replaces the one that the browser has", async () => {
  const { page } = await open(browser, { expected: /401|403/ });
  const context = page.context();
  await page.goto(`${locked.url}/?token=${token(["mine"])}`);
  await pill(page, "live");
  const kept = await page.evaluate(
    () => localStorage.getItem("tasktree_rt.token") ?? JSON.stringify(localStorage),
  );
  for (const accepts of [false, true]) {
    const other = await context.newPage();
    let asked = "";
    other.once("dialog", (question) => {
      asked = question.message();
      void (accepts ? question.accept() : question.dismiss());
    });
    await other.goto(`${locked.url}/?token=${token(["*"])}`);
    await pill(other, "live");
    expect(asked).toContain("brings a token of its own");
    expect(other.url()).not.toContain("token");
    const now = () =>
      other.evaluate(() => localStorage.getItem("tasktree_rt.token") ?? JSON.stringify(localStorage));
    if (accepts) await expect.poll(now).not.toBe(kept);
    else expect(await now()).toBe(kept);
    await other.close();
  }
  // The same token again, and no token, ask nothing.
  const quiet = await context.newPage();
  quiet.on("dialog", () => expect.fail("asked"));
  await quiet.goto(`${locked.url}/?token=${token(["*"])}`.replace(/token=.*/, ""));
  await pill(quiet, "live");
  await context.close();
});

it("without a token every page says that one is needed; a tab that gets one brings the others along", async () => {
  const { page } = await open(browser, { expected: /401|403/ });
  const other = await page.context().newPage();
  for (const path of ["/p/mine/tree", "/inbox", "/hub", "/tv", "/"]) {
    await page.goto(locked.url + path);
    await page.getByText("This hub asks for a token").waitFor();
    await pill(page, "a token is needed");
  }
  await other.goto(`${locked.url}/p/mine/tree`);
  await other.getByText("This hub asks for a token").waitFor();
  await page.getByLabel("Token").fill(token(["*"]));
  await page.getByRole("button", { name: "Use this token" }).click();
  await page.getByRole("link", { name: "mine" }).first().waitFor();
  await pill(page, "live");
  await other.getByText("allowed").waitFor();
  await pill(other, /live, /);
  await page.context().close();
});

it("a tab that is closed while it asks takes nothing from the others", async () => {
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/good/tree`);
  await page.getByText("hello").waitFor();
  for (let n = 0; n < 5; n += 1) {
    const other = await page.context().newPage();
    await other.goto(`${hub.url}/p/other-${n}/tree`, { waitUntil: "domcontentloaded" });
    await other.close();
  }
  await hub.push("good", [node("n", { message: "still here" })]);
  await page.getByText("still here").waitFor();
  await pill(page, /live, /);
  await page.context().close();
});

it("a tab that watches more projects at once than the hub takes requests gets them all, and no tab is cut off", async () => {
  const { page, complaints } = await open(browser);
  await page.goto(`${hub.url}/p/good/tree`);
  await page.getByText("hello").waitFor();
  const other = await page.context().newPage();
  await other.goto(`${hub.url}/p/good/tree`);
  await other.getByText("hello").waitFor();
  const before = await hub.call<{ connections: { connection_id: string }[] }>("GET", "/connections");
  const ready = await page.evaluate(async () => {
    type Watched = { loading: { get(): { kind: string } } };
    const { tasktree_rt } = window as unknown as { tasktree_rt: { watch(id: string): Watched } };
    const all = Array.from({ length: 500 }, (_, n) => tasktree_rt.watch(`many-${n}`));
    const waiting = () => all.filter((one) => one.loading.get().kind !== "ready").length;
    while (waiting() > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    return all.length;
  });
  expect(ready).toBe(500);
  const after = await hub.call<{ connections: { connection_id: string }[] }>("GET", "/connections");
  expect(after.connections.map((one) => one.connection_id)).toEqual(
    before.connections.map((one) => one.connection_id),
  );
  await pill(other, /live, /);
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("a token that runs out while a page is open is told on every page, whatever else is still connected", async () => {
  const { page } = await open(browser, { expected: /401|403/ });
  const soon = Math.floor(Date.now() / 1000) + 6;
  await page.goto(`${locked.url}/p/mine/tree?token=${token(["*"], soon)}`);
  await page.getByText("This hub refuses the token").waitFor();
  await pill(page, "the token was refused");
  for (const path of ["/", "/inbox", "/hub"]) {
    await follow(page, path);
    await page.getByText("This hub refuses the token").waitFor();
    await pill(page, "the token was refused");
  }
  await page.getByLabel("Token").fill(token(["*"]));
  await page.getByRole("button", { name: "Use this token" }).click();
  await pill(page, "live");
  await page.context().close();
});
