import { useCallback, useEffect, useRef } from "react";
import type { TokenSource } from "../core/tokens.ts";
import type { WebSocketMessage } from "./message.ts";
import { Stream, world } from "./stream.ts";

export { RELOAD } from "./course.ts";
export type { WebSocketMessage } from "./message.ts";

let url: string | null = null;
let token: TokenSource = null;
let stream: Stream | null = null;
const handlers = new Set<(message: WebSocketMessage) => void>();

/**
 * Say where the hub is (`https://hub.example.org`), before the first `useWebSocket`. By default it is where the page came from,
 * as in TaskTree. `source`: the token where the hub asks for one, or a function that gives it and is asked again for the next.
 */
export function connectTo(hub: string, source: TokenSource = null): void {
  const found = new URL("/ws/updates", hub);
  found.protocol = found.protocol.replace("http", "ws");
  token = source;
  url = found.href;
  disconnect();
  if (handlers.size > 0) connect();
}

/** Let go of the connection; the next `useWebSocket` makes a new one. */
export function disconnect(): void {
  stream?.close();
  stream = null;
}

/**
 * TaskTree's hook by its name and signature: `handler` is called for every message, over one connection for all
 * components. Unlike the original it never stops trying, and at a hub nothing is lost in a break.
 */
export function useWebSocket(handler: (message: WebSocketMessage) => void): {
  send: (message: unknown) => void;
} {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => {
    const call = (message: WebSocketMessage) => latest.current(message);
    handlers.add(call);
    connect();
    return () => {
      handlers.delete(call);
    };
  }, []);
  const send = useCallback((message: unknown) => {
    if (stream?.send(message) !== true) console.warn("WebSocket not connected");
  }, []);
  return { send };
}

function connect(): void {
  const told = (message: WebSocketMessage) => {
    for (const handler of [...handlers]) handler(message);
  };
  stream ??= new Stream(url ?? ownAddress(), told, world, token);
}

function ownAddress(): string {
  const { protocol, host } = window.location;
  return `${protocol === "https:" ? "wss:" : "ws:"}//${host}/ws/updates`;
}
