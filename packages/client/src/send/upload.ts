import { EverholdError } from "@everhold/base";
import { packets } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";
import { checkPiece } from "../message/stream-body.ts";
import type { AddressGate } from "./address-gate.ts";
import { partHeadBytes, writePart, type LastPart } from "./large-send.ts";
import type { PendingSend } from "./pending-send.ts";

/** What an upload needs of its outbox. */
export interface UploadHost {
  readonly partBytesMax: number;
  /** Asks for the credit that `bytes` need, and says whether it is there; if not, `wake` follows. */
  allows(bytes: number): boolean;
  /** The last part is about to leave: what the broker is to answer. */
  onLast(): LastPart;
  /** All of it has left. */
  onSent(): void;
  /** It cannot be sent; what the broker has of it is worth nothing. */
  onFailed(error: unknown): void;
}

/**
 * Sends one message whose body is read as it goes: headers, then parts, each when the broker has granted
 * credit and the network has room. So memory holds a part or two, whatever the size of the body.
 */
export class Upload {
  readonly send: PendingSend;
  /** Where it asks for credit. */
  readonly gate: AddressGate;
  readonly #host: UploadHost;
  readonly #channel: Channel;
  readonly #part: Uint8Array;
  #filled = 0;
  #bodyBytes = 0;
  #isStopped = false;
  #wake: (() => void) | undefined;

  constructor(host: UploadHost, channel: Channel, gate: AddressGate, send: PendingSend) {
    this.#host = host;
    this.#channel = channel;
    this.gate = gate;
    this.send = send;
    this.#part = new Uint8Array(host.partBytesMax);
  }

  /** Begins; ends with `onSent` or `onFailed`, unless it is stopped. */
  start(): void {
    this.#channel.send(packets.sendLarge, { headers: this.send.message.bytes.subarray(4) });
    this.#run().then(
      () => {
        if (!this.#isStopped) this.#host.onSent();
      },
      (error: unknown) => {
        if (!this.#isStopped) this.#host.onFailed(error);
      },
    );
  }

  /** Credit came. */
  wake(): void {
    this.#wake?.();
  }

  /** Nothing more of it leaves; its source is told. */
  stop(): void {
    this.#isStopped = true;
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const { source } = this.send.message;
    const iterator = source?.open();
    if (iterator === undefined) return;
    let isAtEnd = false;
    try {
      for (;;) {
        const next = await this.#next(iterator);
        if (next === undefined || next.done === true) {
          isAtEnd = next !== undefined;
          break;
        }
        await this.#addPiece(checkPiece(next.value));
      }
    } finally {
      // Not waited for: a source that does not answer must not keep the session.
      if (!isAtEnd) Promise.resolve(iterator.return?.()).catch(ignore);
    }
    if (!this.#isStopped) await this.#flush(true);
  }

  /** The source's next piece; `undefined` when it is stopped meanwhile. */
  #next(iterator: AsyncIterator<unknown>): Promise<IteratorResult<unknown> | undefined> {
    if (this.#isStopped) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#wake = () => {
        if (this.#isStopped) resolve(undefined);
      };
      iterator.next().then(resolve, (cause: unknown) => {
        reject(sourceError(cause));
      });
    });
  }

  async #addPiece(piece: Uint8Array): Promise<void> {
    for (let start = 0; start < piece.length && !this.#isStopped;) {
      if (this.#filled === this.#part.length) await this.#flush(false);
      const count = Math.min(piece.length - start, this.#part.length - this.#filled);
      this.#part.set(piece.subarray(start, start + count), this.#filled);
      this.#filled += count;
      start += count;
    }
  }

  /** Sends what was gathered, when it may leave. */
  async #flush(isLast: boolean): Promise<void> {
    const frameBytes = this.#filled + partHeadBytes;
    await this.#mayLeave(frameBytes);
    if (this.#isStopped) return;
    const part = this.#part.subarray(0, this.#filled);
    this.#bodyBytes += this.#filled;
    this.#filled = 0;
    this.gate.take(frameBytes);
    const senderId = this.gate.producerId;
    const last = isLast
      ? this.#host.onLast()
      : { requiresResponse: false, correlationId: 0, senderId };
    const bodyBytes = isLast ? this.#bodyBytes : undefined;
    writePart(this.#channel, part, { bodyBytes, last });
  }

  async #mayLeave(frameBytes: number): Promise<void> {
    const channel = this.#channel;
    while (!this.#isStopped) {
      const { isFull } = channel;
      if (!isFull && this.#host.allows(frameBytes)) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (isFull) channel.whenDrained(resolve);
      });
    }
  }
}

function ignore(): void {
  // The send has its own end by now.
}

function sourceError(cause: unknown): EverholdError {
  const found = cause instanceof Error ? `: ${cause.message}` : "";
  return new EverholdError(
    "EVH_ABORTED",
    `Cannot send the message: the broker drops what had come of it, as reading its body failed${found}`,
    { cause },
  );
}
