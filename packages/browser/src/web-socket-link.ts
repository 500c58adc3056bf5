import { ConnectionError } from "@everhold/base";
import type { Link, LinkHandler } from "@everhold/env";
import { limits } from "./limits.ts";
import type { BrowserTimers } from "./timers.ts";

/** What {@link WebSocketLink} says when it is over, however it came. */
export type WhenOver = () => void;

/**
 * A WebSocket as a stream of bytes. A browser's WebSocket cannot be paused and does not tell when it has sent:
 * what comes while paused is kept (clients bound it by credits), and what is queued is looked at again and again.
 *
 *     open ──end()──> closing ──> closed
 *       └──destroy(), the peer, the network──▲
 */
export class WebSocketLink implements Link {
  readonly peer: string;
  readonly #socket: WebSocket;
  readonly #timers: BrowserTimers;
  readonly #onOver: WhenOver;
  #handler: LinkHandler | undefined;
  #state: "open" | "closing" | "closed" = "open";
  #isPaused = false;
  #isWatched = false;
  #kept: Uint8Array[] = [];

  constructor(
    socket: WebSocket,
    { peer, timers, onOver }: { peer: string; timers: BrowserTimers; onOver: WhenOver },
  ) {
    this.peer = peer;
    this.#socket = socket;
    this.#timers = timers;
    this.#onOver = onOver;
  }

  /** Begins to tell `handler` what happens. Called once, in the step that made the link. */
  attach(handler: LinkHandler): void {
    this.#handler = handler;
    this.#socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) this.#onBytes(new Uint8Array(data));
      else this.#close(this.#broken("found a text message, expected binary ones"));
    });
    this.#socket.addEventListener("close", ({ code, reason }) => {
      const inOrder = code === 1000 || code === 1001 || code === 1005;
      const why = reason === "" ? `code ${code}` : `code ${code}, ${reason}`;
      this.#close(inOrder ? undefined : this.#broken(why));
    });
  }

  get queuedBytes(): number {
    return this.#state === "closed" ? 0 : this.#socket.bufferedAmount;
  }

  send(bytes: Uint8Array): void {
    if (this.#state === "open") {
      const bytesMax = limits.messageBytesMax;
      for (let start = 0; start < bytes.length; start += bytesMax) {
        // A copy of its own, which no `SharedArrayBuffer` can lie under.
        this.#socket.send(new Uint8Array(bytes.subarray(start, start + bytesMax)));
      }
      this.#watch();
    }
    // The browser has taken a copy.
    this.#timers.atTurnEnd(() => this.#handler?.onSent(bytes));
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#timers.atTurnEnd(() => {
      while (!this.#isPaused && this.#state !== "closed") {
        const bytes = this.#kept.shift();
        if (bytes === undefined) return;
        this.#handler?.onData(bytes);
      }
    });
  }

  end(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#socket.close(1000);
  }

  destroy(): void {
    if (this.#state === "closed") return;
    this.#timers.atTurnEnd(() => this.#handler?.onClosed(undefined));
    this.#finish();
  }

  #onBytes(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    if (this.#isPaused || this.#kept.length > 0) this.#kept.push(bytes);
    else this.#handler?.onData(bytes);
  }

  #close(error: Error | undefined): void {
    if (this.#state === "closed") return;
    this.#finish();
    this.#handler?.onClosed(error);
  }

  #finish(): void {
    this.#state = "closed";
    this.#kept = [];
    // Without effect on one that is closed. A browser has no harder way.
    this.#socket.close();
    this.#onOver();
  }

  /** Looks after a while whether all has been sent. */
  #watch(): void {
    if (this.#isWatched || this.queuedBytes === 0) return;
    this.#isWatched = true;
    this.#timers.after(limits.drainPollMs, () => {
      this.#isWatched = false;
      if (this.#state === "closed") return;
      if (this.queuedBytes > 0) this.#watch();
      else this.#handler?.onDrained();
    });
  }

  #broken(why: string): ConnectionError {
    return new ConnectionError("EVH_DISCONNECTED", `the connection to ${this.peer} broke: ${why}`, {
      outcome: "unknown",
    });
  }
}
