/** Something that has a value and says when it is another one: what `useSyncExternalStore` asks for. */
export interface Readable<T> {
  get(): T;
  subscribe(listener: () => void): () => void;
}

/** Who wants to be told. A listener that throws is reported and keeps nobody else from being told. */
export class Listeners<A extends unknown[] = []> {
  readonly #all = new Set<(...args: A) => void>();

  add(listener: (...args: A) => void): () => void {
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  }

  get size(): number {
    return this.#all.size;
  }

  tell(...args: A): void {
    for (const listener of [...this.#all]) {
      try {
        listener(...args);
      } catch (error) {
        reportError(error);
      }
    }
  }
}

/** A value that can be set. Setting the same value calls no listener. */
export class Cell<T> implements Readable<T> {
  #value: T;
  readonly #listeners = new Listeners();

  constructor(value: T) {
    this.#value = value;
  }

  get = (): T => this.#value;

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    this.#listeners.tell();
  }

  subscribe = (listener: () => void): (() => void) => this.#listeners.add(listener);
}
