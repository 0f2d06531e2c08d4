import { Backoff } from "./backoff.ts";

/** A token, or a function that gives one and is asked again for the next; null: the hub asks for none. */
export type TokenSource = string | null | (() => string | Promise<string>);

/** What is done with a token of an open connection, and what keeps the time. */
export interface TokenUse {
  /** Connect anew with this token. */
  use(token: string | null): void;
  /** Give the hub this token over the present connection. Rejects with the hub's refusal. */
  refresh(token: string): Promise<void>;
  later(run: () => void, ms: number): () => void;
  random(): number;
}

/**
 * The token of a hub: kept, asked for, renewed. Where it is a function, that is asked when the first token is needed, when the
 * hub warns that the present one expires, and when the hub refuses it; once for all who wait. What fails is tried again.
 */
export class Tokens {
  #source: (() => string | Promise<string>) | null = null;
  #current: string | null = null;
  #asking: Promise<string> | null = null;
  #use: TokenUse | null = null;
  #backoff: Backoff | null = null;
  #cancel: () => void = () => {};
  #closed = false;

  constructor(source: TokenSource) {
    if (typeof source === "function") this.#source = source;
    else this.#current = source;
  }

  /** The present token; null: there is none, or none yet. */
  get current(): string | null {
    return this.#current;
  }

  /** Whether a function gives the tokens. */
  get renewable(): boolean {
    return this.#source !== null;
  }

  /** The connection's side. With a function the first token is asked for now. */
  attach(use: TokenUse): void {
    this.#use = use;
    this.#backoff = new Backoff(use.random);
    if (this.#source !== null) this.#again((token) => use.use(token), null);
  }

  /** Use another token, or function, from now on. */
  set(source: TokenSource): void {
    if (source !== null && source === this.#source) return;
    this.#cancel();
    this.#asking = null;
    this.#source = typeof source === "function" ? source : null;
    if (typeof source !== "function") {
      this.#current = source;
      this.#use?.use(source);
      return;
    }
    this.#current = null;
    this.#again((token) => this.#use?.use(token), null);
  }

  /** The token for a request. */
  get(): Promise<string | null> {
    return this.#source === null || this.#current !== null
      ? Promise.resolve(this.#current)
      : this.other(null);
  }

  /** A token in place of `old`: that which is there by now, or a new one. */
  async other(old: string | null): Promise<string | null> {
    const source = this.#source;
    if (source === null || this.#current !== old) return this.#current;
    this.#asking ??= asked(source).finally(() => {
      this.#asking = null;
    });
    const given = await this.#asking;
    if (source !== this.#source) return this.#current;
    if (given === old) throw new Error("the function for tokens gave the old one again");
    this.#current = given;
    return given;
  }

  /** The hub warns: the connection's token, which is `shown`, expires soon. */
  expiring(shown: string | null): void {
    if (this.#source === null) return;
    this.#again((token) => this.#refresh(token), shown);
  }

  /** The hub refused `shown` to the connection. */
  refused(shown: string | null): void {
    if (this.#source === null) return;
    this.#cancel();
    const wait = this.#backoff?.next() ?? 0;
    const retry = () => this.#again((token) => this.#use?.use(token), shown);
    this.#cancel = this.#use?.later(retry, wait) ?? (() => {});
  }

  /** The hub accepted the connection. */
  accepted(): void {
    this.#backoff?.reset();
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #refresh(token: string): void {
    this.#use?.refresh(token).catch((error: { code?: unknown }) => {
      if (error.code === "unauthorized") this.refused(token);
      // It is another subject's, for whom there is a connection anew. Without a connection the next one has it.
      else if (error.code === "forbidden") this.#use?.use(token);
    });
  }

  /** Ask until there is a token other than `old`. */
  #again(then: (token: string) => void, old: string | null): void {
    this.#cancel();
    let left = false;
    this.#cancel = () => {
      left = true;
    };
    this.other(old).then(
      (token) => {
        if (!left && !this.#closed && token !== null) then(token);
      },
      () => {
        if (left || this.#closed || this.#use === null) return;
        this.#cancel = this.#use.later(() => this.#again(then, old), this.#backoff?.next() ?? 0);
      },
    );
  }
}

async function asked(source: () => string | Promise<string>): Promise<string> {
  const given: unknown = await source();
  if (typeof given !== "string" || given === "") throw new Error("the function for tokens gave no token");
  return given.trim();
}
