import { EverholdError } from "@everhold/base";
import type { Link, Timers } from "@everhold/env";
import { ByteWriter } from "@everhold/wire";
import { connectionLimits as limits } from "./connection-limits.ts";

/** Frames on their way to the network: what is written in one turn leaves in one send at its end. */
export class FrameOutput {
  readonly #link: Link;
  readonly #timers: Timers;
  readonly #frameBytesMax: number;
  readonly #writer = new ByteWriter(limits.outputBufferBytes);
  readonly #spareBuffers: Uint8Array[] = [];
  #turnEndAsked = false;
  #isClosed = false;

  constructor(link: Link, timers: Timers, frameBytesMax: number) {
    this.#link = link;
    this.#timers = timers;
    this.#frameBytesMax = frameBytesMax;
  }

  /** Bytes that wait for the network. */
  get queuedBytes(): number {
    return this.#link.queuedBytes + this.#writer.offset;
  }

  /**
   * Appends one frame, its length in front. Of one that fails nothing is left.
   * @throws EverholdError EVH_FRAME_TOO_LARGE, and whatever `write` throws
   */
  frame(write: (writer: ByteWriter) => void): void {
    if (this.#writer.offset >= limits.outputFlushBytes) this.flush();
    const writer = this.#writer;
    const start = writer.reserve(4);
    try {
      write(writer);
      const length = writer.offset - start - 4;
      if (length > this.#frameBytesMax) throw tooLargeError(length, this.#frameBytesMax);
      writer.patchU32(start, length);
    } catch (error) {
      writer.offset = start;
      throw error;
    }
    this.#askForTurnEnd();
  }

  /** Sends what is written. */
  flush(): void {
    const writer = this.#writer;
    if (writer.offset === 0) return;
    if (this.#isClosed) return writer.clear();
    const bytes = writer.written();
    writer.attach(this.#spareBuffers.pop() ?? new Uint8Array(limits.outputBufferBytes));
    this.#link.send(bytes);
  }

  /** Drops what was not sent, and whatever is written from now on. */
  close(): void {
    this.#isClosed = true;
    this.#writer.clear();
  }

  /** Takes a buffer back that the link has sent. */
  takeBack(bytes: Uint8Array): void {
    if (bytes.buffer.byteLength > limits.outputBufferKeepBytes) return;
    if (this.#spareBuffers.length >= limits.outputBufferCountMax) return;
    this.#spareBuffers.push(new Uint8Array(bytes.buffer));
  }

  #askForTurnEnd(): void {
    if (this.#turnEndAsked || this.#isClosed) return;
    this.#turnEndAsked = true;
    this.#timers.atTurnEnd(() => {
      this.#turnEndAsked = false;
      this.flush();
    });
  }
}

function tooLargeError(bytes: number, bytesMax: number): EverholdError {
  return new EverholdError(
    "EVH_FRAME_TOO_LARGE",
    `the request has ${bytes} bytes, at most ${bytesMax} are allowed; see the option maxRequestBytes`,
  );
}
