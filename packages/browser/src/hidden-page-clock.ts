import { limits } from "./limits.ts";

/** Ticks by a worker's timer, which no browser slows down as it does those of a hidden page. */
const workerSource = `setInterval(() => postMessage(0), ${limits.hiddenTickMs})`;

/**
 * Ticks while the page is hidden. There browsers run timers once a second, and after some minutes once a minute:
 * too seldom to show a broker that a client lives. Where the page's security policy allows no worker of its own
 * making it does not tick, and a hidden page loses its connection now and then, to get it back a minute later.
 */
export class HiddenPageClock {
  readonly #onTick: () => void;
  readonly #look = (): void => this.#followPage();
  #worker: Worker | undefined;
  #url = "";

  /** Begins to watch the page, where there is one: in a worker's own code nothing is hidden. */
  constructor(onTick: () => void) {
    this.#onTick = onTick;
    if (typeof document === "undefined") return;
    document.addEventListener("visibilitychange", this.#look);
    this.#followPage();
  }

  /** Ticks and watches no more. */
  stop(): void {
    this.#end();
    if (typeof document !== "undefined") {
      document.removeEventListener("visibilitychange", this.#look);
    }
  }

  #followPage(): void {
    if (document.hidden) this.#begin();
    else this.#end();
  }

  #begin(): void {
    if (this.#worker !== undefined || typeof Worker === "undefined") return;
    this.#url = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
    try {
      this.#worker = new Worker(this.#url);
      this.#worker.addEventListener("message", this.#onTick);
    } catch {
      // The page's security policy forbids it, and the browser's console says so.
      this.#end();
    }
  }

  #end(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    URL.revokeObjectURL(this.#url);
  }
}
