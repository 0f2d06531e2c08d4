// A k6 script for `tasktree.v1`: watchers that check every position, for teams whose pipeline is built on k6.
//
//   HUB=ws://127.0.0.1:8000 PROJECT=build-7 k6 run --vus 200 --duration 30s examples/k6_tasktree.js
//
// Something else publishes to the project meanwhile, such as `tasktree-rt push`. `tasktree-rt load` does both, and
// reconciles merged messages and whole states too; this script counts them.
import { check } from "k6";
import { Counter, Rate } from "k6/metrics";
import ws from "k6/ws";

const HUB = __ENV.HUB || "ws://127.0.0.1:8000";
const PROJECT = __ENV.PROJECT || "load";
const SECONDS = Number(__ENV.SECONDS || 30);

const delivered = new Counter("tasktree_delivered");
const merged = new Counter("tasktree_merged");
const inOrder = new Rate("tasktree_in_order");

export const options = {
  thresholds: { tasktree_in_order: ["rate==1"], checks: ["rate==1"] },
};

export default function () {
  const address = `${HUB}/ws/updates?project_id=${encodeURIComponent(PROJECT)}`;
  const headers = { "Sec-WebSocket-Protocol": "tasktree.v1" };
  if (__ENV.TASKTREE_RT_TOKEN) headers.Authorization = `Bearer ${__ENV.TASKTREE_RT_TOKEN}`;

  let epoch = null;
  let seq = null;
  const response = ws.connect(address, { headers }, (socket) => {
    socket.on("message", (text) => {
      const message = JSON.parse(text);
      if ("seq" in message && "timestamp" in message) {
        // An event: the next position of the same epoch, or the first of a new one.
        inOrder.add(message.epoch === epoch ? message.seq === seq + 1 : message.seq === 1);
        delivered.add(1);
      } else if (message.type === "conflated") {
        inOrder.add(message.epoch === epoch && message.after === seq);
        merged.add(1);
      } else if (message.type === "error") {
        check(message, { "no error": () => false });
      } else if (message.type !== "subscribed" && message.type !== "project_state") {
        return; // welcome, heartbeat, draining
      }
      if (message.type !== "project_state" || message.part === message.parts) {
        epoch = message.epoch;
        seq = message.seq;
      }
    });
    socket.setTimeout(() => socket.close(), SECONDS * 1000);
  });
  check(response, { "the hub opens the WebSocket": (one) => one && one.status === 101 });
}
