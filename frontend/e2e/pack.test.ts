import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { preview } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Browser, launch, open } from "./browser.ts";
import { HubProcess, node } from "./hub.ts";

const FRONTEND = fileURLToPath(new URL("..", import.meta.url));
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser?.close());

function versions(...names: string[]): Record<string, string> {
  const { devDependencies } = JSON.parse(readFileSync(join(FRONTEND, "package.json"), "utf8"));
  return Object.fromEntries(names.map((name) => [name, devDependencies[name]]));
}

const SOURCE = `
import { createRoot } from "react-dom/client";
import { createElement as h, useState } from "react";
import { HubProvider, useConnection, useNode, useTree } from "tasktree-rt/react";
import { classOf } from "tasktree-rt";
import { connectTo, useWebSocket } from "tasktree-rt/tasktree";

function Row({ id }: { id: string }) {
  const node = useNode("packed", id);
  return h("li", null, \`\${node?.fields.title}: \${classOf(node?.fields.status)}\`);
}
function List() {
  const { shape } = useTree("packed");
  const status = useConnection();
  return h("ul", { title: status.kind }, shape.roots.map((id) => h(Row, { key: id, id })));
}
// TaskTree's page: its hook, with a handler of its own type.
interface WebSocketMessage { type: string; project_id?: string; data: any; timestamp: string }
const heard: string[] = [];
function Board() {
  const [count, setCount] = useState(0);
  const { send } = useWebSocket((message: WebSocketMessage) => {
    heard.push(message.type + " " + message.project_id + " " + message.data.n);
    setCount(heard.length);
  });
  return h("p", { onClick: () => send({ type: "ping" }), title: heard.join() }, "heard " + count);
}
const url = new URL(location.href).searchParams.get("hub")!;
connectTo(url);
createRoot(document.getElementById("app")!).render(h(HubProvider, { url, children: [h(List, { key: 1 }), h(Board, { key: 2 })] }));
`;

/** A Vite app as somebody else would make it, with the package as it is published. */
function app(): string {
  const folder = mkdtempSync(join(tmpdir(), "packed-"));
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], {
    cwd: FRONTEND,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const packed = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  mkdirSync(join(folder, "src"));
  const dependencies = { "tasktree-rt": `file:${packed}`, ...versions("react", "react-dom") };
  const devDependencies = versions("vite", "typescript", "@types/react", "@types/react-dom");
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name: "other", private: true, type: "module", dependencies, devDependencies }),
  );
  const compilerOptions = {
    strict: true,
    module: "ESNext",
    moduleResolution: "bundler",
    target: "ES2022",
    lib: ["ES2023", "DOM"],
    noEmit: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
  writeFileSync(
    join(folder, "index.html"),
    '<!doctype html><link rel="icon" href="data:,"><div id="app"></div><script type="module" src="/src/main.ts"></script>',
  );
  writeFileSync(join(folder, "src", "main.ts"), SOURCE);
  for (const [command, ...args] of [
    ["npm", "install", "--no-audit", "--no-fund"],
    ["npx", "tsc"],
    ["npx", "vite", "build"],
  ]) {
    execFileSync(command as string, args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  }
  return folder;
}

/** TaskTree's hook over a restart of the hub: 64 events, every eighth of a project that is new, some with odd names. */
async function restartWhileEventsFlow(hub: HubProcess, page: Page, setting: string): Promise<void> {
  const before = Number((await page.getByText(/^heard \d+$/).textContent())?.slice(6));
  const names = (n: number) => (n % 8 === 0 ? `tt~~E9~A1~B9-${n}` : "board");
  for (let n = 0; n < 64; n += 1) {
    if (n === 20) {
      await hub.kill();
      await hub.run("--set", setting);
    }
    await hub.push(names(n), [{ type: "step", data: { n } }]);
  }
  const list = page.getByText(`heard ${before + 64}`);
  await list.waitFor();
  const told = (await list.getAttribute("title"))?.split(",").filter((one) => one.startsWith("step "));
  const wanted = Array.from({ length: 64 }, (_, n) => `step ${n % 8 === 0 ? `项-${n}` : "board"} ${n}`);
  expect(told?.toSorted()).toEqual(wanted.toSorted());
}

it("the package installs into a fresh Vite app, has its types, builds, and shows a hub's tree", {
  timeout: 180_000,
}, async () => {
  const folder = app();
  const server = await preview({ root: folder, preview: { port: 0, host: "127.0.0.1" }, logLevel: "silent" });
  const origin = (server.resolvedUrls?.local[0] ?? "").replace(/\/$/, "");
  const hub = await HubProcess.start("--set", `cors_origins=${origin}`);
  try {
    await hub.push("packed", [node("a", { title: "Alpha", status: "running" })]);
    const { page, complaints } = await open(browser);
    await page.goto(`${origin}/?hub=${encodeURIComponent(hub.url)}`);
    await page.getByText("Alpha: running").waitFor();
    await hub.push("packed", [node("a", { status: "merged" })]);
    await page.getByText("Alpha: done").waitFor();
    expect(complaints).toEqual([]);
    await restartWhileEventsFlow(hub, page, `cors_origins=${origin}`);
  } finally {
    await server.close();
    await hub.kill();
  }
});
