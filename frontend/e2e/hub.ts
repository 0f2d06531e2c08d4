/** A real hub in a process of its own, and what a test pushes into it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const OWN = fileURLToPath(new URL("../../.venv/bin/tasktree-rt", import.meta.url));
/** The hub's command: this checkout's, or another installed one. */
export const COMMAND = process.env.TASKTREE_RT ?? (existsSync(OWN) ? OWN : "tasktree-rt");

/**
 * A hub of before, which takes in events and broadcasts that are called like messages of the hub's own: what
 * `tasktree-rt` runs, without what refuses them.
 */
const OF_BEFORE = `
import sys
from tasktree_rt.cli.main import main
import tasktree_rt.hub.hub
for module in [one for name, one in sys.modules.items() if name.startswith("tasktree_rt.")]:
    for name in ("refuse_reserved", "refuse_message_name"):
        if hasattr(module, name):
            setattr(module, name, lambda *_: None)
main()
`;

export type Event = { type: string; data: Record<string, unknown>; timestamp?: string };

export class HubProcess {
  readonly url: string;
  readonly port: number;
  /** Of the hub's environment, beside what this process has. */
  readonly env: Record<string, string> = {};
  /** The program and its first arguments. */
  command: readonly string[] = [COMMAND];
  readonly #folder: string;
  #process: ChildProcess | null = null;

  constructor(port: number) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#folder = mkdtempSync(join(process.env.HUBS ?? tmpdir(), "hub-"));
  }

  static async start(...flags: string[]): Promise<HubProcess> {
    return HubProcess.startWith({}, ...flags);
  }

  static async startWith(env: Record<string, string>, ...flags: string[]): Promise<HubProcess> {
    const hub = new HubProcess(await freePort());
    Object.assign(hub.env, env);
    await hub.run(...flags);
    return hub;
  }

  /** One that refuses no name of an event. */
  static async startOfBefore(...flags: string[]): Promise<HubProcess> {
    const hub = new HubProcess(await freePort());
    hub.command = [join(dirname(COMMAND), "python"), "-c", OF_BEFORE];
    await hub.run(...flags);
    return hub;
  }

  async run(...flags: string[]): Promise<void> {
    const store = `sqlite:${join(this.#folder, "hub.db")}`;
    const [program = COMMAND, ...first] = this.command;
    const args = [...first, "serve", "--bind", `127.0.0.1:${this.port}`, "--store", store, ...flags];
    this.#process = spawn(program, args, {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...this.env, XDG_STATE_HOME: this.#folder },
    });
    await this.ready();
  }

  async ready(): Promise<void> {
    for (let attempt = 0; attempt < 1200; attempt += 1) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => null);
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("the hub did not start");
  }

  /** End it politely. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (process === null) return;
    const gone = new Promise((resolve) => process.once("exit", resolve));
    process.kill("SIGTERM");
    await gone;
  }

  /** Let it stand still, as a debugger or a machine without memory does; and let it go on. */
  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  /** End it as a crash does. */
  async kill(): Promise<void> {
    const process = this.#process;
    if (process === null || process.exitCode !== null) return;
    const gone = new Promise((resolve) => process.once("exit", resolve));
    process.kill("SIGKILL");
    await gone;
  }

  async call<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (answer.status === 204 ? null : await answer.json()) as T;
  }

  async push(project: string, events: readonly Event[]): Promise<void> {
    for (let at = 0; at < events.length; at += 500) {
      await this.call("POST", `/projects/${project}/events`, events.slice(at, at + 500));
    }
  }

  async tree(project: string): Promise<Record<string, unknown>> {
    const { data } = await this.call<{ data: { nodes: Record<string, unknown>[] } }>(
      "GET",
      `/projects/${project}/state`,
    );
    return Object.fromEntries(data.nodes.map(({ node_id, ...fields }) => [String(node_id), fields]));
  }
}

export function node(id: string, changes: Record<string, unknown>): Event {
  return { type: "node_update", data: { node_id: id, changes } };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
