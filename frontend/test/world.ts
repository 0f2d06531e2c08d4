import type { World } from "../src/core/socket.ts";

/** A socket of the tests' own: what was sent is kept, what is said is said by the test. */
export class FakeSocket {
  static readonly all: FakeSocket[] = [];
  readyState = 1;
  readonly sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  closed = false;
  readonly url: string;
  readonly protocol: string | undefined;
  readonly protocols: readonly string[];

  constructor(url: string, protocols: string | string[] = []) {
    this.url = url;
    this.protocols = [protocols].flat();
    this.protocol = this.protocols[0];
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.closed = true;
    this.readyState = 3;
  }

  say(message: unknown): void {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  welcome(): void {
    this.say({ type: "welcome", data: { connection_id: "c", heartbeat_interval: 25 } });
  }

  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

/** A world whose clock stands still until a test moves it. */
export class FakeWorld implements World {
  at = 0;
  isOnline = true;
  readonly #due: { at: number; run: () => void }[] = [];

  open(url: string, protocols?: string | string[]): WebSocket {
    return new FakeSocket(url, protocols) as unknown as WebSocket;
  }

  now(): number {
    return this.at;
  }

  online(): boolean {
    return this.isOnline;
  }

  random(): number {
    return 0.5;
  }

  later(run: () => void, ms: number): () => void {
    const one = { at: this.at + ms, run };
    this.#due.push(one);
    return () => {
      const index = this.#due.indexOf(one);
      if (index >= 0) this.#due.splice(index, 1);
    };
  }

  advance(ms: number): void {
    const until = this.at + ms;
    for (;;) {
      const next = this.#due.filter((one) => one.at <= until).sort((one, other) => one.at - other.at)[0];
      if (next === undefined) break;
      this.#due.splice(this.#due.indexOf(next), 1);
      this.at = next.at;
      next.run();
    }
    this.at = until;
  }
}

export function newest(): FakeSocket {
  const found = FakeSocket.all.at(-1);
  if (found === undefined) throw new Error("nobody opened a socket");
  return found;
}
