import { Deque } from "@everhold/base";
import type { RequestWait } from "../session/request.ts";
import type { StandingWatcher } from "./standing-watches.ts";
import type { WatchNotice } from "./watch-request.ts";
import type { StandingWatch, Watches } from "./watches.ts";

/** Which watch to open. */
export interface WatchStreamOptions {
  /** The path on the server, chroot included. */
  readonly path: string;
  /** Whether to hear of everything below the path, too. */
  readonly recursive: boolean;
  /** The path that the application knows for one on the server. */
  readonly toPath: (serverPath: string) => string;
  /** Notices that may be left unread. Of more, all are dropped for one `gap`. */
  readonly unreadCountMax: number;
}

/**
 * A watch that stays: its notices in order, from the time it was opened. Leaving a `for await` loop over it, `close`
 * and the client's end close it.
 */
export class WatchStream implements AsyncIterableIterator<WatchNotice> {
  /** The path as the application knows it. */
  readonly path: string;
  /** Whether it hears of everything below the path, too; of children that come and go then, not of `childrenChanged`. */
  readonly recursive: boolean;
  readonly #options: WatchStreamOptions;
  readonly #unread = new Deque<WatchNotice>();
  readonly #waiting = new Deque<(result: IteratorResult<WatchNotice>) => void>();
  #watch: StandingWatch | undefined;
  #isClosed = false;

  private constructor(options: WatchStreamOptions) {
    this.path = options.toPath(options.path);
    this.recursive = options.recursive;
    this.#options = options;
  }

  /** Begins to watch. @throws what {@link Watches.add} throws */
  static async open(
    watches: Watches,
    options: WatchStreamOptions,
    wait: RequestWait,
  ): Promise<WatchStream> {
    const stream = new WatchStream(options);
    const watcher: StandingWatcher = {
      path: options.path,
      shownPath: stream.path,
      recursive: options.recursive,
      onNotice: (notice) => stream.#push(notice),
      onEnd: () => stream.close(),
    };
    stream.#watch = await watches.add(watcher, wait);
    if (stream.#isClosed) stream.#watch.close();
    return stream;
  }

  /** Whether it is closed; notices that came before can still be read. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /** The next notice; done when the watch is closed and nothing is left to read. */
  next(): Promise<IteratorResult<WatchNotice>> {
    const notice = this.#unread.shift();
    if (notice !== undefined) return Promise.resolve({ value: notice, done: false });
    if (this.#isClosed) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Closes the watch and drops what nobody has read: what leaving a loop does. */
  return(): Promise<IteratorResult<WatchNotice>> {
    this.close();
    this.#unread.drain();
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Ends the watch. The server is told in the background. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch?.close();
    for (const resolve of this.#waiting.drain()) resolve({ value: undefined, done: true });
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #push(notice: WatchNotice): void {
    if (this.#isClosed) return;
    const shown = { ...notice, path: this.#options.toPath(notice.path) };
    const resolve = this.#waiting.shift();
    if (resolve !== undefined) return resolve({ value: shown, done: false });
    if (this.#unread.length < this.#options.unreadCountMax) return this.#unread.push(shown);
    this.#unread.drain();
    this.#unread.push({ type: "gap", path: this.path, reason: "overflow" });
  }
}
