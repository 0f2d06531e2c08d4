// The dashboard in a real browser, beside a plain list of the same data: `node bench/ui.mjs [--minutes 5] [--rounds 5]`;
// `--only timeline`: the timeline alone. Prints the figures as a table for docs/dashboard.md.
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { build, preview } from "vite";

const { values: flags } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: "" },
  },
});
const MINUTES = Number(flags.minutes);
const ROUNDS = Number(flags.rounds);
const NODES = 10_000;
const OWN = fileURLToPath(new URL("../../.venv/bin/tasktree-rt", import.meta.url));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (all) => [...all].sort((one, other) => one - other)[Math.floor(all.length / 2)];

async function plainPage() {
  const root = fileURLToPath(new URL("./plain", import.meta.url));
  const outDir = mkdtempSync(join(tmpdir(), "plain-"));
  await build({ root, configFile: false, logLevel: "silent", build: { outDir, emptyOutDir: true } });
  const server = await preview({
    root,
    configFile: false,
    build: { outDir },
    preview: { port: 0, host: "127.0.0.1" },
  });
  return { server, origin: server.resolvedUrls.local[0].replace(/\/$/, "") };
}

async function startHub(origin) {
  const folder = mkdtempSync(join(tmpdir(), "hub-"));
  const child = spawn(
    process.env.TASKTREE_RT ?? OWN,
    [
      "serve",
      "--bind",
      "127.0.0.1:0",
      "--store",
      `sqlite:${join(folder, "hub.db")}`,
      "--set",
      `cors_origins=${origin}`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const url = await new Promise((resolve) => {
    child.stdout.on("data", (text) => {
      const match = /http:\/\/[^,\s]+/.exec(String(text));
      if (match !== null) resolve(match[0].replace(/\/$/, ""));
    });
  });
  return { child, url };
}

async function push(url, project, events) {
  const answer = await fetch(`${url}/api/v1/projects/${project}/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events),
  });
  if (!answer.ok) throw new Error(await answer.text());
}

const update = (id, changes) => ({ type: "node_update", data: { node_id: id, changes } });

async function fill(url, project) {
  const all = Array.from({ length: NODES }, (_, n) =>
    update(
      `n${n}`,
      n < 100
        ? { title: `Branch ${n}`, status: "running" }
        : {
            title: `Task ${n}`,
            parent_id: `n${n % 100}`,
            status: "ready",
            progress: 0,
            started_at: "2026-01-01T00:00:00Z",
          },
    ),
  );
  for (let at = 0; at < all.length; at += 500) await push(url, project, all.slice(at, at + 500));
}

const SPANS = 20_000;

/** A run of the past day: groups of steps that began and ended, some of which failed and some of which still run. */
async function fillSpans(url, project) {
  const begun = Date.now() - 3_600_000;
  const at = (ms) => new Date(begun + ms).toISOString();
  const all = Array.from({ length: SPANS }, (_, n) => {
    if (n < 200)
      return update(`n${n}`, { title: `Group ${n}`, status: "running", started_at: at(n * 15_000) });
    const from = (n % 200) * 15_000 + Math.floor(n / 200) * 2_000;
    const long = 500 + ((n * 7_919) % 9_000);
    const status = n % 500 === 499 ? "failed" : n % 1000 === 0 ? "running" : "completed";
    const ended = status === "running" ? {} : { ended_at: at(from + long) };
    const waits = n >= 400 ? { depends_on: [`n${n - 200}`] } : {};
    return update(`n${n}`, {
      title: `Step ${n}`,
      parent_id: `n${n % 200}`,
      kind: `kind ${n % 7}`,
      status,
      progress: 50,
      started_at: at(from),
      ...ended,
      ...waits,
    });
  });
  for (let n = 0; n < all.length; n += 500) await push(url, project, all.slice(n, n + 500));
}

/** Updates of random nodes until told to stop; returns how many there were. */
function load(url, project, perSecond) {
  let going = true;
  let sent = 0;
  const run = async () => {
    const begun = performance.now();
    while (going) {
      const due = Math.floor(((performance.now() - begun) / 1000) * perSecond) - sent;
      const events = Array.from({ length: Math.min(500, due) }, () =>
        update(`n${100 + Math.floor(Math.random() * (NODES - 100))}`, {
          progress: Math.floor(Math.random() * 100),
          status: "running",
        }),
      );
      if (events.length > 0) await push(url, project, events);
      sent += events.length;
      await sleep(20);
    }
    return sent;
  };
  const done = run();
  return async () => {
    going = false;
    return done;
  };
}

/** From the navigation to the first row on the screen, ms. */
async function opening(browser, address) {
  const page = await browser.newPage();
  await page.addInitScript(() => {
    const look = () => {
      if (document.querySelector(".tree-row") === null) return requestAnimationFrame(look);
      requestAnimationFrame(() => {
        window.shown = performance.now();
      });
    };
    requestAnimationFrame(look);
  });
  await page.goto(address);
  await page.waitForFunction(() => window.shown !== undefined, null, { timeout: 120_000 });
  const ms = await page.evaluate(() => window.shown);
  await page.close();
  return ms;
}

/** Ten seconds of the wheel, which scrolls; see `wheeling`. */
async function scrolling(page) {
  await page.mouse.move(600, 500);
  return wheeling(page, (turn) => page.mouse.wheel(0, turn % 80 < 40 ? 240 : -240));
}

/** Ten seconds of the wheel with Ctrl, which zooms in and out of a timeline; see `wheeling`. */
async function zooming(page) {
  await page.mouse.move(900, 500);
  await page.keyboard.down("Control");
  const found = await wheeling(page, (turn) => page.mouse.wheel(0, turn % 40 < 20 ? -120 : 120));
  await page.keyboard.up("Control");
  return found;
}

/** Seconds that the processor worked for the page's main thread, whatever else ran on the machine. */
async function worked(session) {
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "ThreadTime").value;
}

/**
 * Ten seconds of something; the share of frames that took longer than 33 ms, how many frames there were, and the share of
 * the time in which the page's main thread worked.
 */
async function wheeling(page, turned) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const before = await worked(session);
  await page.evaluate(() => {
    window.frames_ = [];
    let last = performance.now();
    const frame = (now) => {
      window.frames_.push(now - last);
      last = now;
      window.framing = requestAnimationFrame(frame);
    };
    window.framing = requestAnimationFrame(frame);
  });
  const until = performance.now() + 10_000;
  for (let turn = 0; performance.now() < until; turn += 1) {
    await turned(turn);
    await sleep(16);
  }
  const frames = await page.evaluate(() => {
    cancelAnimationFrame(window.framing);
    return window.frames_.slice(2);
  });
  const busy = 10 * ((await worked(session)) - before);
  await session.detach();
  return {
    over: (100 * frames.filter((ms) => ms > 33.4).length) / frames.length,
    perSecond: frames.length / 10,
    busy,
  };
}

async function heap(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  return usedSize;
}

/** From the publish to the second frame after the change shows, ms. */
async function latencies(page, url, project, count) {
  const found = [];
  for (let n = 0; n < count; n += 1) {
    const title = `Seen ${project} ${n} ${Math.random()}`;
    const seen = page.evaluate(
      (text) =>
        new Promise((resolve) => {
          const look = () => {
            if (!document.body.textContent.includes(text)) return false;
            observer.disconnect();
            requestAnimationFrame(() =>
              requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now())),
            );
            return true;
          };
          const observer = new MutationObserver(look);
          observer.observe(document.body, { subtree: true, childList: true, characterData: true });
          look();
        }),
      title,
    );
    await sleep(30 + Math.random() * 300);
    const begun = performance.timeOrigin + performance.now();
    await push(url, project, [update("n0", { title })]);
    found.push((await seen) - begun);
  }
  return found;
}

/**
 * A tab whose thread stands still under load: how long it then takes to be where the hub is, and in how many steps.
 * (A browser without a window does not freeze a page when it is told to: a loop that does nothing is as good.)
 */
async function frozen(page, url, project, seconds) {
  const stop = load(url, project, 1000);
  const at = () =>
    page.evaluate((id) => {
      const { version, position } = window.tasktree_rt.watch(id).tree.get();
      return { version, seq: position.seq };
    }, project);
  const before = await at();
  await page.evaluate((ms) => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  }, seconds * 1000);
  const begun = performance.now();
  const back = await at();
  await page.waitForFunction(
    ([id, seq]) => window.tasktree_rt.watch(id).tree.get().position.seq >= seq,
    [project, before.seq + seconds * 900],
    { timeout: 60_000 },
  );
  const ms = performance.now() - begun;
  const after = await at();
  await stop();
  return { missed: after.seq - before.seq, ms, steps: after.version - back.version };
}

/** The same ten seconds of a page of plain lines that is connected to nothing: what the machine itself costs now. */
async function empty(browser) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.setContent(`<main>${"<p>line</p>".repeat(500)}</main>`);
  await page.bringToFront();
  const found = await scrolling(page);
  await page.close();
  return `empty page at that time ${shown(found)}`;
}

const shown = ({ over, perSecond, busy }) =>
  `${over.toFixed(1)} % (${Math.round(perSecond)} frames/s; main thread ${busy.toFixed(0)} % at work)`;

/** The timeline of 20,000 nodes: zooming and scrolling while nothing happens, then under load. */
async function timeline(browser, url) {
  await fillSpans(url, "spans");
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(`${url}/p/spans/timeline`);
  await page.waitForSelector(".timeline, .gantt");
  await sleep(1500);
  const buttons = await page.evaluate(() => document.querySelectorAll("*").length);
  note("timeline of 20,000 nodes: elements of the page", buttons.toLocaleString("en"), "–");
  note("zooming it for 10 s: frames over 33 ms", shown(await zooming(page)), "–");
  const stop = load(url, "spans", 1000);
  await sleep(1000);
  note("the same under 1,000 updates/s", shown(await zooming(page)), await empty(browser));
  await page.bringToFront();
  note("1,000 updates/s, 10 s of the wheel in the timeline", shown(await scrolling(page)), "–");
  await stop();
  const collapse = page.getByRole("button", { name: "Collapse all" });
  if ((await collapse.count()) > 0) {
    await collapse.click();
    await sleep(500);
    note("zooming it, all branches collapsed and summarised", shown(await zooming(page)), "–");
  }
  await page.close();
}

const TIMELINE_ONLY = flags.only === "timeline";
const { server, origin } = await plainPage();
const { child, url } = await startHub(origin);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const rows = [];
const note = (figure, ours, beside) => {
  rows.push(`| ${figure} | ${ours} | ${beside} |`);
  console.error(rows.at(-1));
};

async function everything() {
  await fill(url, "large");
  const plain = (more = "") => `${origin}/?hub=${encodeURIComponent(url)}&project=large${more}`;
  const ours = [];
  const list = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(await opening(browser, `${url}/p/large/tree`));
    list.push(await opening(browser, plain()));
  }
  note(
    "10,000 nodes: navigation to tree visible, median",
    `${Math.round(median(ours))} ms`,
    `plain list ${Math.round(median(list))} ms`,
  );

  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(`${url}/p/large/tree`);
  await page.waitForSelector(".tree-row");
  const other = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await other.goto(plain("&poll=2000"));
  await other.waitForSelector(".tree-row");
  await page.bringToFront();
  const live = await latencies(page, url, "large", 40);
  await other.bringToFront();
  const polled = await latencies(other, url, "large", 10);
  note(
    "publish → second frame after the change, median (worst)",
    `${Math.round(median(live))} ms (${Math.round(Math.max(...live))})`,
    `page that polls every 2 s: ${Math.round(median(polled))} ms (${Math.round(Math.max(...polled))})`,
  );
  await other.close();

  await page.bringToFront();
  const stop = load(url, "large", 1000);
  await sleep(1000);
  const wheel = await scrolling(page);
  note("1,000 updates/s, 10 s of the wheel: frames over 33 ms", shown(wheel), await empty(browser));
  await page.bringToFront();
  if (MINUTES > 1) {
    await sleep(60_000);
    const first = await heap(page);
    await sleep((MINUTES - 1) * 60_000);
    const last = await heap(page);
    note(
      `heap after a forced collection, minute ${MINUTES} ÷ minute 1`,
      (last / first).toFixed(2),
      `${(first / 2 ** 20).toFixed(1)} → ${(last / 2 ** 20).toFixed(1)} MiB`,
    );
  }
  await stop();

  const list2 = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await list2.goto(plain());
  await list2.waitForSelector(".tree-row");
  await list2.bringToFront();
  const stop2 = load(url, "large", 1000);
  const plainWheel = await scrolling(list2);
  await stop2();
  await list2.close();
  note("the same of the plain list", "–", shown(plainWheel));

  await page.bringToFront();
  const back = await frozen(page, url, "large", Math.min(60, MINUTES * 12));
  note(
    "stood still for a while under load, then back at the hub's position",
    `${Math.round(back.ms)} ms in ${back.steps} step(s), ${back.missed} events missed`,
    "–",
  );
}

try {
  if (!TIMELINE_ONLY) await everything();
  await timeline(browser, url);
} finally {
  await browser.close();
  await server.close();
  child.kill("SIGTERM");
}
console.log(`${cpus().length} cores, ${cpus()[0].model.trim()}, node ${process.version}\n`);
console.log("| figure | dashboard | beside it |\n|---|---|---|");
console.log(rows.join("\n"));
