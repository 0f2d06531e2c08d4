// Pictures of every page for the documents, of a real hub and the real demo: `node scripts/screenshots.mjs [NAME…]`.
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OWN = join(ROOT, ".venv/bin/tasktree-rt");
const COMMAND = process.env.TASKTREE_RT ?? OWN;
const OUT = join(ROOT, "docs/images");
/** Only these pictures; none: all of them. */
const WANTED = new Set(process.argv.slice(2));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const folder = await mkdtemp(join(tmpdir(), "shots-"));
await mkdir(OUT, { recursive: true });
// A file that cannot be compiled, so that something fails as in life.
await writeFile(join(folder, "broken.py"), "def broken(:\n");

function start(...args) {
  const child = spawn(COMMAND, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, XDG_STATE_HOME: folder },
  });
  const url = new Promise((resolve) => {
    child.stdout.on("data", (text) => {
      const match = /http:\/\/[^,\s]+/.exec(String(text));
      if (match !== null) resolve(match[0].replace(/\/$/, ""));
    });
  });
  return { child, url };
}

const hub = start("serve", "--bind", "127.0.0.1:0", "--store", "memory:");
const url = await hub.url;
const call = async (path, body) => {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${url}/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
};

const TRACE = `Error: expected 200, got 503
    at pay (/srv/shop/tests/checkout.test.ts:41:9)
    at Client.request (/srv/shop/node_modules/undici/lib/client.js:118:13)
    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)
    at checkout (/srv/shop/tests/helpers.ts:12:3)`;

/** A pipeline with dependencies, beside the demo's folders. */
async function pipeline() {
  const begun = Date.now() - 95_000;
  const at = (second) => new Date(begun + second * 1000).toISOString();
  const steps = [
    ["prepare", "Prepare", "completed", 0, 21, [], null],
    ["checkout", "Check out", "completed", 0, 4, [], "prepare"],
    ["install", "Install", "completed", 4, 21, ["checkout"], "prepare"],
    ["check", "Check", "failed", 21, 78, ["prepare"], null],
    ["lint", "Lint", "completed", 21, 33, [], "check"],
    ["types", "Types", "completed", 21, 40, [], "check"],
    ["unit", "Unit tests", "completed", 21, 52, [], "check"],
    ["browser", "Browser tests", "failed", 52, 61, ["unit"], "check"],
    ["ship", "Ship", "running", 52, null, ["unit", "lint", "types"], null],
    ["wheel", "Wheel", "completed", 52, 60, [], "ship"],
    ["image", "Container image", "running", 60, null, ["wheel"], "ship"],
    ["stage", "Stage", "review", 80, null, ["wheel"], "ship"],
    ["deploy", "Deploy to production", "draft", null, null, ["stage", "image"], "ship"],
  ];
  await call("/projects/shop/events", [
    {
      type: "project_update",
      data: { changes: { title: "Shop: release 4.2", group: "release", labels: ["main", "linux"] } },
    },
    { type: "state_transition", data: { from: null, to: "running", context: {} } },
    ...steps.map(([id, title, status, from, to, depends_on, parent_id], order) => ({
      type: "node_update",
      data: {
        node_id: id,
        changes: {
          title,
          status,
          order,
          depends_on,
          parent_id,
          ...(from === null ? {} : { started_at: at(from) }),
          ...(to === null ? {} : { ended_at: at(to) }),
          ...(status === "running" ? { progress: 64, message: "layer 9 of 14" } : {}),
          ...(status === "failed" ? { message: "2 of 143 tests failed" } : {}),
        },
      },
    })),
    {
      type: "node_update",
      data: {
        node_id: "browser",
        changes: { status: "running", attempt: 2, started_at: at(66), ended_at: null, message: null },
      },
    },
    {
      type: "node_update",
      data: {
        node_id: "browser",
        changes: { status: "failed", ended_at: at(78), message: "2 of 143 tests failed" },
      },
    },
    ...["::group::Resolve", "locked: 61 packages", "::endgroup::", "installed in 16.2 s"].map((message) => ({
      type: "log",
      data: { node_id: "install", level: "info", message },
    })),
    ...["compiling shop.cart", "compiling shop.pay"].map((message) => ({
      type: "log",
      data: { node_id: "wheel", level: "info", message },
    })),
    ...[
      "\u001b[1mbrowser tests\u001b[0m, 143 in all",
      "\u001b[32m✓\u001b[0m signs in",
      "\u001b[32m✓\u001b[0m puts into the cart",
      "\u001b[31m✗ pays: expected 200, got 503\u001b[0m",
      "\u001b[31m✗ refunds\u001b[0m",
      "\u001b[33m2 failed\u001b[0m, 141 passed",
    ].map((message) => ({
      type: "log",
      data: { node_id: "browser", level: message.includes("✗") ? "error" : "info", message },
    })),
    { type: "log", data: { node_id: "browser", level: "error", message: TRACE } },
  ]);
  await call("/prompts", {
    project_id: "shop",
    node_id: "stage",
    message: "Release 4.2 is staged. Deploy it to production?",
    timeout: 3600,
    default: { proceed: false },
    schema: {
      type: "object",
      properties: {
        region: { enum: ["eu-west", "us-east"], title: "Region first" },
        canary: {
          type: "integer",
          minimum: 1,
          maximum: 100,
          default: 5,
          title: "Canary",
          description: "per cent of the traffic",
        },
      },
      required: ["region", "canary"],
    },
  });
  await call("/users/ada/notifications", {
    title: "Release 4.2 waits for you",
    body: "staged an hour ago",
    level: "warning",
  });
}

await pipeline();
const run = (...args) => spawn(COMMAND, ["demo", ...args, "--hub", url], { stdio: "ignore" });
const agent = run(join(ROOT, "tasktree_rt"), "--agent");
const broken = run(folder, "--once");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

async function shot(name, path, { width = 1280, height = 760, scheme = "light", before } = {}) {
  if (WANTED.size > 0 && !WANTED.has(name)) return;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  await page.addInitScript(() => localStorage.setItem("tasktree_rt.user", "ada"));
  await page.goto(url + path);
  await sleep(2_500);
  await before?.(page);
  await page.screenshot({ path: join(OUT, `${name}.png`) });
  await context.close();
}

/** The project of the agent's run. */
async function agentProject() {
  for (;;) {
    const { projects } = await (await fetch(`${url}/api/v1/projects`)).json();
    const found = projects.find((one) => one.series === "demo-agent");
    if (found !== undefined) return found.project_id;
    await sleep(200);
  }
}

const [WIDTH, HEIGHT] = [960, 540];
/** Seconds that each frame is shown. */
const EACH = 0.6;

/**
 * A run like an agent's, as a picture that moves: calls of a model and of tools, one of which fails and is tried again,
 * tokens, a question that a person answers. Frames one after the other in an SVG.
 */
async function moving(project) {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: HEIGHT } });
  const frames = [];
  const take = async (count, pause) => {
    for (let n = 0; n < count; n += 1) {
      frames.push((await page.screenshot({ type: "jpeg", quality: 60 })).toString("base64"));
      await sleep(pause);
    }
  };
  await page.goto(`${url}/p/${encodeURIComponent(project)}/tree`);
  const row = (title) => page.getByRole("treeitem", { name: title });
  const shown = (title) => row(title).first().waitFor({ timeout: 120_000 });
  await shown("list_files");
  await take(2, 500);
  await shown("read_file");
  await take(2, 400);
  await row("read_file").locator(".tree-tries").waitFor({ timeout: 120_000 });
  await take(2, 500);
  const question = page.getByRole("link", { name: /open question/ });
  await question.waitFor({ timeout: 120_000 });
  await take(1, 500);
  await row("Look after the folder").click();
  await page.getByRole("button", { name: "Yes, go on" }).waitFor();
  await take(3, 300);
  await page.getByRole("button", { name: "Yes, go on" }).click();
  await page.getByRole("button", { name: "Close" }).click();
  await shown("count_lines");
  await take(5, 1_500);
  await row("Count the lines").locator(".tree-twist").click();
  await take(2, 1_500);
  await shown("Answer");
  await row("Answer").click();
  await take(3, 500);
  await page.close();
  const total = frames.length * EACH;
  const images = frames.map(
    (data, n) =>
      `<image class="f" style="animation-delay:${(n * EACH).toFixed(2)}s" width="${WIDTH}" height="${HEIGHT}" href="data:image/jpeg;base64,${data}"/>`,
  );
  const style = `.f{opacity:0;animation:f ${total.toFixed(2)}s steps(1) infinite}@keyframes f{0%{opacity:1}${(100 / frames.length).toFixed(3)}%{opacity:0}}`;
  await writeFile(
    join(OUT, "moving.svg"),
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}"><style>${style}</style>${images.join("")}</svg>\n`,
  );
}

try {
  const project = await agentProject();
  if (WANTED.size === 0 || WANTED.has("moving")) await moving(project);
  await shot("agent", `/p/${project}/tree?node=llm-1`);
  await shot("projects", "/");
  await shot("tree", "/p/shop/tree?node=browser", {
    before: (page) => page.getByRole("tab", { name: "Log" }).click(),
  });
  await shot("tree-dark", "/p/shop/tree?node=stage", { scheme: "dark" });
  await shot("board", "/p/shop/board");
  await shot("graph", "/p/shop/graph?node=wheel");
  await shot("timeline", "/p/shop/timeline");
  await shot("log", "/p/shop/log");
  await shot("overview", "/p/shop/overview");
  await shot("failed", "/p/shop/tree?node=browser");
  await shot("failures", "/p/shop/failures");
  await shot("events", "/p/shop/events");
  await shot("search", "/search?q=tests+failed");
  await shot("inbox", "/inbox");
  await shot("hub", "/hub", { before: () => sleep(6_000) });
  await shot("travel", "/p/shop/tree?at=8");
  await shot("tv", "/tv?project=shop", { width: 1920, height: 1080, scheme: "dark" });
  await shot("phone", "/p/shop/tree", { width: 390, height: 780, scheme: "dark" });
} finally {
  await browser.close();
  for (const one of [agent, broken]) one.kill();
  hub.child.kill("SIGTERM");
}
