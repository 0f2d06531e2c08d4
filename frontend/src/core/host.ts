/**
 * The worker's end of one connection for all tabs.
 *
 * It keeps the tree of everything that is watched, so a tab that comes later gets its state from here and the hub is not
 * asked again. A tab is sent a batch when it has taken the ones before; what comes meanwhile waits here, and when more than
 * `MOST_WAITING` messages do (the tab is frozen, or busy for long) they are dropped: when it takes again it gets one state
 * of each topic instead of a backlog.
 */
import type { Heard } from "./clock.ts";
import type { Engine, EngineEvents, Status } from "./engine.ts";
import { HubError } from "./errors.ts";
import { parseExact } from "./exact.ts";
import type { Fields } from "./json.ts";
import { LocalEngine } from "./local.ts";
import { Mirror } from "./mirror.ts";
import type { Hello, Port, ToTab, ToWorker } from "./shared.ts";
import { world } from "./socket.ts";
import type { Told } from "./told.ts";

/** Batches under way to a tab. */
const IN_FLIGHT = 2;
export const MOST_WAITING = 2_000;

type MakeEngine = (hello: Hello, events: EngineEvents) => Engine;

const makeLocal: MakeEngine = ({ url, token, exact }, events) =>
  new LocalEngine(url, token, events, world, exact ? parseExact : JSON.parse);

/** The worker's side: one line for each address and token, whatever the number of tabs. */
export class Host {
  readonly #lines = new Map<string, Line>();
  readonly #make: MakeEngine;

  constructor(make: MakeEngine = makeLocal) {
    this.#make = make;
  }

  /** Serve a tab. `gone` is called with the name of its lock, and tells when the tab has died. */
  serve(port: Port<ToTab, ToWorker>, gone: (lock: string, then: () => void) => void): void {
    let tab: Tab | null = null;
    const leave = () => {
      if (tab?.leave()) this.#drop(tab.line);
      tab = null;
    };
    port.onmessage = ({ data }) => {
      if (data.kind === "hello") {
        leave();
        tab = new Tab(this.#line(data), port);
      } else if (data.kind === "lock") gone(data.lock, leave);
      else if (data.kind === "bye") leave();
      else if (data.kind === "token") tab = tab === null ? null : this.#moved(tab, data.token);
      else if (data.kind === "refresh" && tab !== null) this.#refresh(tab, data.number, data.token);
      else tab?.received(data);
    };
  }

  /** Tabs of one address and token share a line; a tab with another token has another line. */
  #line(hello: Hello): Line {
    const key = keyOf(hello);
    let line = this.#lines.get(key);
    if (line === undefined) {
      line = new Line(hello, this.#make);
      this.#lines.set(key, line);
    }
    return line;
  }

  /**
   * Give a tab another token. What other tabs watch stays as it is: only a line of this tab alone takes the new token, and
   * goes on from its position.
   */
  #moved(tab: Tab, token: string | null): Tab {
    const { line } = tab;
    const hello = { ...line.hello, token };
    const key = keyOf(hello);
    if (key === line.key) return tab;
    if (line.tabs.size === 1 && !this.#lines.has(key)) {
      this.#lines.delete(line.key);
      this.#lines.set(key, line);
      line.hello = hello;
      line.engine.setToken(token);
      return tab;
    }
    const there = tab.movedTo(this.#line(hello));
    if (tab.leave()) this.#drop(line);
    return there;
  }

  #drop(line: Line): void {
    if (this.#lines.get(line.key) === line) this.#lines.delete(line.key);
  }

  /** Give the hub a tab's new token for a line; the hub refuses that of another user. Its other tabs go along. */
  #refresh(tab: Tab, number: number, token: string): void {
    const { line } = tab;
    tab.answer(
      number,
      line.engine.refresh(token).then(() => {
        this.#drop(line);
        line.hello = { ...line.hello, token };
        if (!this.#lines.has(line.key)) this.#lines.set(line.key, line);
        return {};
      }),
    );
  }
}

function keyOf({ url, token, exact }: Hello): string {
  return JSON.stringify([url, token === undefined ? 0 : token, exact]);
}

/** A connection and the tabs on it. */
class Line {
  hello: Hello;
  readonly engine: Engine;
  readonly tabs = new Set<Tab>();
  readonly mirrors = new Map<string, Mirror>();
  status: Status = { kind: "connecting" };
  heard: Heard | null = null;

  constructor(hello: Hello, make: MakeEngine) {
    this.hello = hello;
    this.engine = make(hello, {
      told: (batch) => this.#told(batch),
      status: (status) => {
        this.status = status;
        for (const tab of this.tabs) tab.sayStatus();
      },
      heard: (heard) => {
        this.heard = heard;
        for (const tab of this.tabs) tab.say({ kind: "heard", heard });
      },
      expiring: () => {
        for (const tab of this.tabs) tab.say({ kind: "expiring" });
      },
    });
  }

  get key(): string {
    return keyOf(this.hello);
  }

  /** It is looked at if one of its tabs is. */
  seen(): void {
    this.engine.seen([...this.tabs].some((tab) => tab.visible));
  }

  #told(batch: readonly Told[]): void {
    for (const told of batch) {
      const mirror = this.mirrors.get(told.topic);
      mirror?.take(told);
      if (told.kind === "refused") this.mirrors.delete(told.topic);
    }
    for (const tab of this.tabs) tab.tell(batch);
  }
}

/** One tab on a line. */
class Tab {
  readonly line: Line;
  visible = false;
  readonly #port: Port<ToTab, ToWorker>;
  readonly #topics = new Set<string>();
  readonly #stale = new Set<string>();
  #waiting: Told[] = [];
  #inFlight = 0;

  constructor(line: Line, port: Port<ToTab, ToWorker>) {
    this.line = line;
    this.#port = port;
    line.tabs.add(this);
    this.sayStatus();
    if (line.heard !== null) this.say({ kind: "heard", heard: line.heard });
  }

  sayStatus(): void {
    this.say({ kind: "status", status: this.line.status, now: Date.now() });
  }

  say(message: ToTab): void {
    this.#port.postMessage(message);
  }

  tell(batch: readonly Told[]): void {
    for (const told of batch) {
      if (!this.#topics.has(told.topic) || this.#stale.has(told.topic)) continue;
      if (told.kind === "refused") this.#topics.delete(told.topic);
      this.#waiting.push(told);
    }
    if (this.#waiting.length > MOST_WAITING) {
      for (const told of this.#waiting) if (told.kind !== "refused") this.#stale.add(told.topic);
      this.#waiting = this.#waiting.filter((told) => told.kind === "refused");
    }
    this.#flush();
  }

  #flush(): void {
    if (this.#waiting.length === 0 || this.#inFlight >= IN_FLIGHT) return;
    const batch = this.#waiting;
    this.#waiting = [];
    this.#inFlight += 1;
    this.say({ kind: "told", batch });
  }

  received(message: ToWorker): void {
    if (message.kind === "watch") this.#watch(message.topic);
    else if (message.kind === "unwatch") this.#unwatch(message.topic);
    else if (message.kind === "ask") this.#ask(message.number, message.request);
    else if (message.kind === "wake") this.line.engine.wake();
    else if (message.kind === "seen") this.#seen(message.visible);
    else if (message.kind === "taken") this.#taken();
  }

  /** The same tab on another line: it watches there what it watches here. */
  movedTo(line: Line): Tab {
    const there = new Tab(line, this.#port);
    there.#inFlight = this.#inFlight;
    there.#seen(this.visible);
    for (const topic of this.#topics) there.#watch(topic);
    return there;
  }

  /** Leave the line. Returns whether none is left on it. */
  leave(): boolean {
    for (const topic of this.#topics) this.#unwatch(topic);
    this.line.tabs.delete(this);
    this.line.seen();
    if (this.line.tabs.size > 0) return false;
    this.line.engine.close();
    return true;
  }

  #seen(visible: boolean): void {
    this.visible = visible;
    this.line.seen();
  }

  #watch(topic: string): void {
    if (this.#topics.has(topic)) return;
    this.#topics.add(topic);
    const mirror = this.line.mirrors.get(topic);
    if (mirror === undefined) {
      this.line.mirrors.set(topic, new Mirror(topic));
      this.line.engine.watch(topic);
    } else if (mirror.position !== null) this.tell([mirror.state()]);
  }

  #unwatch(topic: string): void {
    if (!this.#topics.delete(topic)) return;
    this.#stale.delete(topic);
    this.#waiting = this.#waiting.filter((told) => told.topic !== topic);
    for (const tab of this.line.tabs) if (tab.#topics.has(topic)) return;
    this.line.mirrors.delete(topic);
    this.line.engine.unwatch(topic);
  }

  #ask(number: number, request: Fields): void {
    this.answer(number, this.line.engine.ask(request));
  }

  /** Give the tab what comes of its request. */
  answer(number: number, asked: Promise<Fields>): void {
    asked.then(
      (reply) => this.say({ kind: "answer", number, reply }),
      (error: unknown) => {
        const code = error instanceof HubError ? error.code : "internal";
        const details = error instanceof HubError ? error.details : {};
        const message = error instanceof Error ? error.message : String(error);
        this.say({ kind: "answer", number, error: { ...details, code, message } });
      },
    );
  }

  #taken(): void {
    this.#inFlight -= 1;
    for (const topic of this.#stale) {
      const mirror = this.line.mirrors.get(topic);
      if (mirror !== undefined && mirror.position !== null) this.#waiting.push(mirror.state());
    }
    this.#stale.clear();
    this.#flush();
  }
}
