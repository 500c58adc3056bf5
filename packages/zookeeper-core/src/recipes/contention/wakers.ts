import type { WatchEvent } from "../../watches/watch-request.ts";

/**
 * Who waits for a change of which node. All watches of it are one function: so a node that is watched again and again,
 * by whoever gives up and comes back, is watched once.
 */
export class Wakers {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** The watch for each read of a node that somebody waits for. */
  readonly watch = ({ path }: WatchEvent): void => {
    for (const wake of [...(this.#waiting.get(path) ?? [])]) wake();
  };

  /** Calls `wake` at each change of a node that is watched, until the returned function is called. */
  add(path: string, wake: () => void): () => void {
    const waiting = this.#waiting.get(path) ?? new Set();
    this.#waiting.set(path, waiting.add(wake));
    return () => {
      waiting.delete(wake);
      if (waiting.size === 0 && this.#waiting.get(path) === waiting) this.#waiting.delete(path);
    };
  }

  /** Calls everybody: what they wait for may have come without a change of a node. */
  wakeAll(): void {
    for (const waiting of [...this.#waiting.values()]) for (const wake of [...waiting]) wake();
  }
}
