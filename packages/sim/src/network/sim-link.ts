import { ConnectionError } from "@everhold/base";
import type { Link, LinkHandler } from "@everhold/env";
import type { Life } from "../world/life.ts";
import type { Pipe, PipeReader, PipeWriter } from "./pipe.ts";

/** What one end asks of the connection it belongs to. */
export interface LinkOwner {
  /** This end has closed at once: the peer will hear of it. */
  onDestroyed(end: SimLink): void;
  /** This end is closed in both directions, in order. */
  onFinished(end: SimLink): void;
}

/** One end of a simulated connection. */
export class SimLink implements Link, PipeReader, PipeWriter {
  readonly peer: string;
  readonly #life: Life;
  readonly #owner: LinkOwner;
  #handler: LinkHandler | undefined;
  #outgoing: Pipe | undefined;
  #incoming: Pipe | undefined;
  #paused = false;
  #endedByUs = false;
  #closed = false;
  /** Why, where it did not end in order. */
  #error: Error | undefined;
  #forgetLife: (() => void) | undefined;

  constructor(peer: string, life: Life, owner: LinkOwner) {
    this.peer = peer;
    this.#life = life;
    this.#owner = owner;
  }

  /** Joins this end to its two directions. */
  join(outgoing: Pipe, incoming: Pipe): void {
    this.#outgoing = outgoing;
    this.#incoming = incoming;
  }

  /** Begins to tell `handler` what happens. Until then nothing is read. */
  attach(handler: LinkHandler): void {
    this.#handler = handler;
    // It may have broken before anybody was told that it is there.
    if (this.#closed) return this.#tellClosed();
    this.#forgetLife = this.#life.onGoingOn(() => this.#incoming?.resume());
    this.#incoming?.resume();
  }

  get closed(): boolean {
    return this.#closed;
  }

  get queuedBytes(): number {
    return this.#closed ? 0 : (this.#outgoing?.waitingBytes ?? 0);
  }

  send(bytes: Uint8Array): void {
    if (this.#closed || this.#endedByUs || this.#outgoing === undefined) {
      this.onTaken(bytes);
      return;
    }
    // The copy that a peer sees is made when the bytes are taken, so a buffer that is used again too
    // early does show.
    this.#outgoing.write(bytes);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#incoming?.resume();
  }

  end(): void {
    if (this.#closed || this.#endedByUs) return;
    this.#endedByUs = true;
    this.resume();
    this.#outgoing?.end();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#close(undefined);
    // Whether the peer still gets what was on its way is the connection's affair.
    this.#owner.onDestroyed(this);
  }

  /** The connection is gone; `reason` says why, for people. */
  breakWith(reason: string): void {
    if (this.#closed) return;
    const message = `the connection to ${this.peer} broke: ${reason}`;
    this.#close(new ConnectionError("EVH_DISCONNECTED", message, { outcome: "unknown" }));
    this.#outgoing?.break();
  }

  get reading(): boolean {
    const { alive, standsStill } = this.#life;
    return !this.#paused && !this.#closed && this.#handler !== undefined && alive && !standsStill;
  }

  onBytes(bytes: Uint8Array): void {
    this.#handler?.onData(bytes);
    // Whoever keeps a piece beyond the call keeps something that is about to change.
    bytes.fill(0xdd);
  }

  onEnd(): void {
    if (!this.#endedByUs) this.end();
    this.#closed = true;
    this.#forgetLife?.();
    this.#tellClosed();
    this.#owner.onFinished(this);
  }

  onTaken(bytes: Uint8Array): void {
    this.#life.after(0, "buffer returns", () => this.#handler?.onSent(bytes));
  }

  onEmpty(): void {
    this.#life.after(0, "link drained", () => {
      if (!this.#closed && this.queuedBytes === 0) this.#handler?.onDrained();
    });
  }

  #close(error: Error | undefined): void {
    this.#closed = true;
    this.#error = error;
    this.#forgetLife?.();
    this.#tellClosed();
  }

  #tellClosed(): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    this.#life.after(0, "link closes", () => handler.onClosed(this.#error));
  }
}
