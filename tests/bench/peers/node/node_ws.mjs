// Node's `ws`: `socket.send` to each watcher in turn.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
const watchers = new Set();

function produce(socket, text) {
  const request = JSON.parse(text);
  for (const event of request.events) {
    const message = JSON.stringify(event);
    for (const watcher of watchers) watcher.send(message);
  }
  socket.send(JSON.stringify({ type: "ack", id: request.id }));
}

server.on("connection", (socket, request) => {
  if (request.url.startsWith("/ws/orchestrator")) {
    socket.on("message", (text) => produce(socket, text));
    return;
  }
  watchers.add(socket);
  socket.on("close", () => watchers.delete(socket));
  socket.on("error", () => watchers.delete(socket));
});

http.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => console.log("ready", http.address().port));
