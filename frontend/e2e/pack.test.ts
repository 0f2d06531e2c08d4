import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
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
import { createElement as h } from "react";
import { HubProvider, useConnection, useNode, useTree } from "tasktree-rt/react";
import { classOf } from "tasktree-rt";

function Row({ id }: { id: string }) {
  const node = useNode("packed", id);
  return h("li", null, \`\${node?.fields.title}: \${classOf(node?.fields.status)}\`);
}
function List() {
  const { shape } = useTree("packed");
  const status = useConnection();
  return h("ul", { title: status.kind }, shape.roots.map((id) => h(Row, { key: id, id })));
}
const url = new URL(location.href).searchParams.get("hub")!;
createRoot(document.getElementById("app")!).render(h(HubProvider, { url, children: h(List) }));
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
  } finally {
    await server.close();
    await hub.kill();
  }
});
