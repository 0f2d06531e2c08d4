import { useCallback, useEffect, useRef, useState } from "react";
import { bearer, TOKEN } from "../core/socket.ts";
import { type TokenSource, Tokens } from "../core/tokens.ts";

/** An event as a connection without a subprotocol tells it. */
export interface WebSocketMessage {
  readonly type: string;
  readonly project_id: string | null;
  readonly data: unknown;
  readonly timestamp: string;
}

export interface UseWebSocketOptions {
  /** For a hub with authentication: the token, or a function that gives one and is asked again when the hub refuses it. */
  readonly token?: TokenSource;
  readonly onMessage?: (message: WebSocketMessage) => void;
  readonly onConnect?: () => void;
  readonly onDisconnect?: () => void;
  readonly onError?: (error: Event) => void;
  /** Default: true. */
  readonly autoReconnect?: boolean;
}

export interface UseWebSocketResult {
  readonly isConnected: boolean;
  readonly lastMessage: WebSocketMessage | null;
  readonly sendMessage: (message: unknown) => void;
  readonly disconnect: () => void;
  readonly reconnect: () => void;
}

/**
 * A plain WebSocket as a hook: events as they come, without a tree. It resumes nothing (`useProject` does) and never stops
 * trying. TaskTree's hook of this name, with another signature, is in `tasktree-rt/tasktree`.
 */
export function useWebSocket(url = "/ws/updates", options: UseWebSocketOptions = {}): UseWebSocketResult {
  const [isConnected, setConnected] = useState(false);
  const [lastMessage, setLastMessage] = useState<WebSocketMessage | null>(null);
  const [life, setLife] = useState(0);
  const socket = useRef<WebSocket | null>(null);
  const latest = useRef(options);
  latest.current = options;

  // biome-ignore lint/correctness/useExhaustiveDependencies: another life is another connection
  useEffect(() => {
    let ended = false;
    let attempt = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tokens = new Tokens(latest.current.token ?? null);
    const again = () => {
      timer = setTimeout(connect, Math.random() * Math.min(30_000, 1000 * 2 ** attempt));
      attempt += 1;
    };
    let refused: string | null = null;
    const connect = () => {
      const known = tokens.current;
      if (!tokens.renewable || (known !== null && known !== refused)) open(known);
      else tokens.other(refused).then(open, again);
    };
    const open = (token: string | null) => {
      if (ended) return;
      const opened = new WebSocket(address(url), token === null ? [] : [bearer(token)]);
      socket.current = opened;
      opened.onopen = () => {
        attempt = 0;
        setConnected(true);
        latest.current.onConnect?.();
      };
      opened.onmessage = ({ data }) => {
        const message = JSON.parse(String(data)) as WebSocketMessage;
        setLastMessage(message);
        latest.current.onMessage?.(message);
      };
      opened.onerror = (event) => latest.current.onError?.(event);
      opened.onclose = ({ code }) => {
        if (TOKEN.has(code)) refused = token;
        setConnected(false);
        if (ended) return;
        latest.current.onDisconnect?.();
        if (latest.current.autoReconnect === false) return;
        again();
      };
    };
    connect();
    return () => {
      ended = true;
      clearTimeout(timer);
      socket.current?.close();
    };
  }, [url, life]);

  const sendMessage = useCallback((message: unknown) => {
    if (socket.current?.readyState === WebSocket.OPEN) socket.current.send(JSON.stringify(message));
  }, []);
  const disconnect = useCallback(() => {
    latest.current = { ...latest.current, autoReconnect: false };
    socket.current?.close();
  }, []);
  const reconnect = useCallback(() => setLife((one) => one + 1), []);
  return { isConnected, lastMessage, sendMessage, disconnect, reconnect };
}

function address(url: string): string {
  const found = new URL(url, globalThis.location?.href);
  if (found.protocol === "http:") found.protocol = "ws:";
  if (found.protocol === "https:") found.protocol = "wss:";
  return found.href;
}
