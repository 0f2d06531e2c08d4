import { afterAll, beforeAll, expect, it } from "vitest";
import { type Browser, launch, open, type Page } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

let browser: Browser;
let hub: HubProcess;

beforeAll(async () => {
  hub = await HubProcess.start();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await hub?.kill();
});

/** The tree that a page holds of a project. */
function shown(page: Page, project: string): Promise<Record<string, unknown>> {
  return page.evaluate((id) => {
    const { tasktree_rt } = window as unknown as {
      tasktree_rt: {
        watch(id: string): { tree: { get(): { nodes: Map<string, unknown> } } };
        release(id: string): void;
      };
    };
    const { nodes } = tasktree_rt.watch(id).tree.get();
    tasktree_rt.release(id);
    return Object.fromEntries(nodes);
  }, project);
}

it("what is pushed shows at once, in every tab, over one connection", async () => {
  const context = await browser.newContext();
  const [one, other] = [await context.newPage(), await context.newPage()];
  for (const page of [one, other]) await page.goto(`${hub.url}/p/shared/tree`);
  await hub.push("shared", [node("a", { title: "Alpha", status: "running" })]);
  for (const page of [one, other]) await page.getByText("Alpha").waitFor();
  const { connections } = await hub.call<{ connections: { dialect: string; subscriptions: string[] }[] }>(
    "GET",
    "/connections",
  );
  expect(connections.filter((it) => it.subscriptions.includes("shared"))).toHaveLength(1);
  await context.close();
});

it("a hub that is killed and comes back: the page says so, comes back by itself and ends at the hub's exact tree", async () => {
  const { page } = await open(browser, { expected: /ERR_|WebSocket|fetch/ });
  await page.goto(`${hub.url}/p/crash/tree`);
  await hub.push("crash", [node("a", { title: "Before", status: "running" }), node("b", { parent_id: "a" })]);
  await page.getByText("Before").waitFor();
  await hub.kill();
  await page
    .getByRole("status")
    .filter({ hasText: /reconnecting|stale since/ })
    .waitFor();
  await page.getByText("Before").waitFor();
  await hub.run();
  await hub.push("crash", [
    node("b", { deleted: true }),
    node("a", { title: "After", progress: 50 }),
    node("c", {}),
  ]);
  await page.getByText("After", { exact: true }).waitFor({ timeout: 40_000 });
  await page.getByRole("status").filter({ hasText: "live" }).waitFor();
  await expect.poll(() => shown(page, "crash")).toEqual(await hub.tree("crash"));
  await page.context().close();
});

it("names and values of any kind are shown as text, and never run", async () => {
  const evil = `"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`;
  const { page, complaints } = await open(browser);
  await hub.push("evil", [
    {
      type: "project_update",
      data: { changes: { title: evil, group: evil, labels: [evil], url: "javascript:window.hacked=1" } },
    },
    { type: "orchestrator_started", data: { status: evil } },
    { type: "coordination_update", data: { active_agents: 1, agents: { [evil]: { status: evil } } } },
    { type: "state_transition", data: { from: evil, to: evil, context: { [evil]: evil } } },
    node("evil", {
      title: evil,
      status: evil,
      message: evil,
      kind: evil,
      [evil]: evil,
      depends_on: ["evil"],
      started_at: evil,
      progress: 5,
    }),
    node("rtl", { title: "\u202eمرحبا بالعالم\u202c 👩‍👩‍👧‍👦", status: "running", message: "שלום עולם" }),
    node("long", { title: "x".repeat(500), message: "y ".repeat(900), status: "failed" }),
    { type: "log", data: { node_id: "evil", level: evil, message: `\u001b]0;${evil}\u0007${evil}` } },
    { type: evil, data: { [evil]: evil } },
  ]);
  await hub.call("POST", "/prompts", {
    project_id: "evil",
    node_id: "evil",
    message: evil,
    timeout: 600,
    default: { proceed: false },
    options: [{ id: "x", label: evil }],
  });
  const views = [
    "tree?node=evil",
    "tree?node=long",
    "tree?node=rtl",
    "board",
    "graph",
    "timeline",
    "overview",
    "events",
  ];
  for (const path of [...views.map((one) => `/p/evil/${one}`), "/", "/inbox", "/tv?project=evil", "/hub"]) {
    await page.goto(hub.url + path);
    await page
      .getByText(/onerror|xxxx|مرحبا|Largest/)
      .filter({ visible: true })
      .first()
      .waitFor();
    expect(await page.evaluate(() => "hacked" in window)).toBe(false);
    expect(
      await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth),
    ).toBeLessThanOrEqual(0);
  }
  await page.goto(`${hub.url}/p/evil/tree?node=evil`);
  await page.getByRole("tab", { name: "Log" }).click();
  await page.locator(".log-line").first().waitFor();
  await page.getByRole("tab", { name: "History" }).click();
  await page.locator(".moments li").first().waitFor();
  expect(await page.locator('a[href^="javascript:"]').count()).toBe(0);
  expect(await page.evaluate(() => "hacked" in window)).toBe(false);
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("a project of a hundred thousand nodes is shown by a few rows, and goes on living", async () => {
  const all = Array.from({ length: 100_000 }, (_, n) =>
    node(
      `n${n}`,
      n < 100
        ? { title: `Branch ${n}` }
        : { parent_id: `n${n % 100}`, title: `Leaf ${n}`, status: n % 3 ? "completed" : "running" },
    ),
  );
  await hub.push("large", all);
  const { page, complaints } = await open(browser);
  page.setDefaultTimeout(45_000);
  await page.goto(`${hub.url}/p/large/tree`);
  await page.getByText("Branch 0", { exact: true }).waitFor();
  expect(await page.getByRole("treeitem").count()).toBeLessThan(80);
  await hub.push("large", [node("n0", { title: "Branch zero" })]);
  await page.getByText("Branch zero").waitFor();
  await page.getByLabel("Search the tree").fill("leaf 99999");
  await page.getByText("Leaf 99999").waitFor();
  await expect.poll(() => page.getByRole("treeitem").count()).toBe(2);
  for (const view of ["Board", "Graph", "Timeline", "Overview"]) {
    await page.getByRole("link", { name: view, exact: true }).click();
    await page.locator(".board-card, .graph-node, .empty, .plot").first().waitFor();
    expect(await page.locator("*").count()).toBeLessThan(5_000);
  }
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("of a hundred changes in a frame a hundred rows are drawn again, and nothing else", async () => {
  await hub.push(
    "rows",
    Array.from({ length: 1000 }, (_, n) => node(`n${String(n).padStart(4, "0")}`, { title: `Row ${n}` })),
  );
  const { page } = await open(browser);
  await page.goto(`${hub.url}/p/rows/tree`);
  await page.getByText("Row 3", { exact: true }).waitFor();
  await page.evaluate(() => {
    const changed = new Set<Element>();
    Object.assign(window, { changed });
    new MutationObserver((all) => {
      for (const { target } of all) {
        const row = (target instanceof Element ? target : target.parentElement)?.closest(".tree-row");
        if (row) changed.add(row);
      }
    }).observe(document.querySelector(".tree") as Element, {
      subtree: true,
      childList: true,
      characterData: true,
      attributes: true,
    });
  });
  await hub.push("rows", [
    node("n0003", { title: "Row three" }),
    ...Array.from({ length: 99 }, (_, n) => node(`n0${900 + n}`, { title: "far away" })),
  ]);
  await page.getByText("Row three").waitFor();
  expect(await page.evaluate(() => (window as unknown as { changed: Set<Element> }).changed.size)).toBe(1);
  await page.context().close();
});

it("a project that is deleted empties the page, and a new life fills it again", async () => {
  const { page } = await open(browser);
  await hub.push("reborn", [node("old", { title: "Old life" })]);
  await page.goto(`${hub.url}/p/reborn/tree`);
  await page.getByText("Old life").waitFor();
  await hub.call("DELETE", "/projects/reborn");
  await expect.poll(() => page.getByText("Old life").count()).toBe(0);
  await hub.push("reborn", [node("new", { title: "New life" })]);
  await page.getByText("New life").waitFor();
  await expect.poll(() => shown(page, "reborn")).toEqual(await hub.tree("reborn"));
  await page.context().close();
});
