/** The SharedWorker: `new SharedWorker(new URL("./worker.ts", import.meta.url), { type: "module" })`. */
import { Host } from "./host.ts";
import type { Port, ToTab, ToWorker } from "./shared.ts";

declare const self: { onconnect: ((event: MessageEvent) => void) | null };

const host = new Host();

/** A tab holds a lock of its own for as long as it lives: to get it means that the tab is gone. */
function gone(lock: string, then: () => void): void {
  void navigator.locks.request(lock, then);
}

self.onconnect = ({ ports }) => {
  const port = ports[0];
  if (port !== undefined) host.serve(port as unknown as Port<ToTab, ToWorker>, gone);
};
