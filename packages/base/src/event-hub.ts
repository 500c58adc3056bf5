import { Deque } from "./deque.ts";

/** How an {@link EventHub} tells. */
export interface EventHubOptions<E extends { readonly type: string }> {
  /** The type of the event after which nothing comes. */
  readonly last: E["type"];
  /** Events that a reader may leave unread; the oldest is dropped. */
  readonly unreadCountMax: number;
}

/** The listeners and readers of one object's events. */
export class EventHub<E extends { readonly type: string }> {
  readonly #listeners = new Set<(event: E) => void>();
  readonly #readers = new Set<EventReader<E>>();
  /** Events that listeners have not been told of, in order. */
  readonly #untold = new Deque<E>();
  readonly #options: EventHubOptions<E>;
  #isTelling = false;
  #closed = false;

  constructor(options: EventHubOptions<E>) {
    this.#options = options;
  }

  /** Calls `listener` with each event until the returned function is called. */
  listen(listener: (event: E) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends E["type"]>(
    type: K,
    listener: (event: Extract<E, { readonly type: K }>) => void,
  ): () => void {
    // What it returns goes on to who tells: it may be a promise that rejects.
    return this.listen((event) => (isOfType(event, type) ? listener(event) : undefined));
  }

  /** The events from now on; ends after the last one. */
  read(): AsyncIterableIterator<E> {
    const reader = new EventReader<E>(
      this.#options.unreadCountMax,
      () => void this.#readers.delete(reader),
    );
    if (this.#closed) reader.finish();
    else this.#readers.add(reader);
    return reader;
  }

  /**
   * Tells everybody. A listener that throws hurts nobody else: its error goes to `onListenerError`, as does what the
   * promise of one with `async` rejects with, which would end the process. What a listener
   * brings about by what it calls, as `close()`, is told when everybody knows of the event before it. After the last
   * event nobody is told of anything.
   */
  emit(event: E, onListenerError: (error: unknown) => void): void {
    if (this.#closed) return;
    for (const reader of this.#readers) reader.push(event);
    if (event.type === this.#options.last) {
      this.#closed = true;
      for (const reader of this.#readers) reader.finish();
    }
    this.#untold.push(event);
    if (this.#isTelling) return;
    this.#isTelling = true;
    for (let next = this.#untold.shift(); next !== undefined; next = this.#untold.shift()) {
      this.#tellListeners(next, onListenerError);
    }
    this.#isTelling = false;
  }

  #tellListeners(event: E, onListenerError: (error: unknown) => void): void {
    // Whoever begins to listen meanwhile hears of the next event first, and whoever stops hears no more.
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue;
      try {
        const returned: unknown = listener(event);
        if (returned instanceof Promise) returned.catch(onListenerError);
      } catch (error) {
        onListenerError(error);
      }
    }
    if (event.type === this.#options.last) this.#listeners.clear();
  }
}

function isOfType<E extends { readonly type: string }, K extends E["type"]>(
  event: E,
  type: K,
): event is Extract<E, { readonly type: K }> {
  return event.type === type;
}

type Resolve<E> = (result: IteratorResult<E>) => void;

/** Hand-written: an async generator cannot be ended from outside while it waits. */
class EventReader<E> implements AsyncIterableIterator<E> {
  readonly #events = new Deque<E>();
  readonly #waiting = new Deque<Resolve<E>>();
  readonly #unreadCountMax: number;
  readonly #onReturn: () => void;
  #finished = false;

  constructor(unreadCountMax: number, onReturn: () => void) {
    this.#unreadCountMax = unreadCountMax;
    this.#onReturn = onReturn;
  }

  push(event: E): void {
    const resolve = this.#waiting.shift();
    if (resolve !== undefined) return resolve({ value: event, done: false });
    if (this.#events.length >= this.#unreadCountMax) this.#events.shift();
    this.#events.push(event);
  }

  finish(): void {
    this.#finished = true;
    for (const resolve of this.#waiting.drain()) resolve({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<E>> {
    const event = this.#events.shift();
    if (event !== undefined) return Promise.resolve({ value: event, done: false });
    if (this.#finished) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<E>> {
    this.#onReturn();
    this.#events.drain();
    this.finish();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
