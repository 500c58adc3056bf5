import type { Claim, Claims, ClaimWatch, ClaimWatcher, Timers } from "@everhold/env";

/** A process, as the claims of its machine know it. */
export interface ClaimingProcess {
  readonly timers: Timers;
  readonly isRunning: () => boolean;
}

/** Time that passes until somebody notices, in ms. */
const noticeMs = 20;

/** The claims of the processes of one machine. */
export class SimClaims {
  readonly #held = new Map<string, () => boolean>();

  /** Those that are held. */
  get names(): string[] {
    return [...this.#held].filter(([, isHeld]) => isHeld()).map(([name]) => name);
  }

  /** Takes a claim away, as who removes its socket does. */
  drop(name: string): void {
    this.#held.delete(name);
  }

  forProcess({ timers, isRunning }: ClaimingProcess): Claims {
    return {
      make: async (name): Promise<Claim> => {
        this.#held.set(name, isRunning);
        return { release: async () => void this.#held.delete(name) };
      },
      watch: (name, watcher) => this.#watch(name, watcher, timers),
    };
  }

  #watch(name: string, watcher: ClaimWatcher, timers: Timers): ClaimWatch {
    let isTold = false;
    const look = (): void => {
      if (this.#held.get(name)?.() !== true) return watcher.onGone();
      timer = timers.after(noticeMs, look);
      if (isTold) return;
      isTold = true;
      watcher.onHeld();
    };
    let timer = timers.after(1, look);
    return { stop: () => timer.cancel() };
  }
}
