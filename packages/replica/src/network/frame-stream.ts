import { ConnectionError, type EverholdError, ProtocolError } from "@everhold/base";
import type { Link, LinkHandler, Timer, Timers } from "@everhold/env";
import { type ByteWriter, FrameReader, type FrameSink } from "@everhold/wire";
import { FrameBuffers } from "./frame-buffers.ts";
import { limits as packageLimits } from "../limits.ts";
import { limits } from "./limits.ts";

/** Whoever ships reads no further from here on. */
const windowBytes = packageLimits.shipWindowBytes;

/** Who owns a {@link FrameStream}. */
export interface StreamOwner {
  /** One frame's bytes, valid during the call. */
  onPayload(bytes: Uint8Array): void;
  /** `queuedBytes` is below `shipWindowBytes` again after it was not. */
  onDrained(): void;
  /** The other side's bytes are no frames, or it takes none: the stream is of no use, and its owner ends it. */
  onUnusable(error: EverholdError): void;
  /** The connection is gone. Comes once and last. */
  onClosed(error: Error | undefined): void;
}

/**
 * Frames over one connection: a length of 4 bytes, then so many bytes. What is written in a turn leaves in one piece at
 * its end, or as soon as it is `gatheredBytesMax`; nothing is copied again after it was written.
 */
export class FrameStream implements LinkHandler, FrameSink {
  readonly #timers: Timers;
  readonly #link: Link;
  readonly #owner: StreamOwner;
  readonly #reader: FrameReader;
  readonly #buffers = new FrameBuffers();
  /** Bytes that the system has, or has not taken, and that it has not given back. */
  #sentBytes = 0;
  /** Bytes that it ever gave back: whether it takes anything. */
  #takenBytes = 0;
  #isHigh = false;
  #isOver = false;
  #willFlush = false;
  #stall: Timer | undefined;

  constructor(timers: Timers, link: Link, owner: StreamOwner) {
    this.#timers = timers;
    this.#link = link;
    this.#owner = owner;
    this.#reader = new FrameReader({
      frameBytesMax: limits.greetingBytesMax,
      frameLengthMin: 1,
    });
  }

  get peer(): string {
    return this.#link.peer;
  }

  /** Bytes written that the system has not taken. */
  get queuedBytes(): number {
    return this.#isOver ? 0 : this.#buffers.writtenBytes + this.#sentBytes;
  }

  /** Large frames may come from now on. */
  becomeKnown(): void {
    this.#reader.frameBytesMax = limits.frameBytesMax;
  }

  /** Writes one frame of about `bytesHint` bytes. @throws whatever `write` throws; nothing is sent then */
  write(bytesHint: number, write: (writer: ByteWriter) => void): void {
    if (this.#isOver) return;
    const buffers = this.#buffers;
    if (!buffers.hasRoom(bytesHint)) this.#flush();
    buffers.writeFrame(bytesHint, write);
    if (buffers.writtenBytes >= limits.gatheredBytesMax) this.#flush();
    else this.#flushLater();
    const { queuedBytes } = this;
    if (queuedBytes >= windowBytes) this.#isHigh = true;
    if (queuedBytes > limits.queuedBytesMax) {
      const found = `${queuedBytes} bytes wait to be sent to it, the limit is ${limits.queuedBytesMax}`;
      this.#timers.after(0, () => this.#unusable(found));
    }
  }

  /** Sends what was written, and closes behind it; nothing is read any more. */
  end(): void {
    if (this.#isOver) return;
    this.#flush();
    this.#stopReading();
    this.#link.end();
  }

  /** Closes at once and drops what is queued. `onClosed` follows. */
  destroy(): void {
    this.#stopReading();
    this.#link.destroy();
  }

  onData(bytes: Uint8Array): void {
    try {
      this.#reader.push(bytes, this);
    } catch (error) {
      // What the other side's bytes lead to ends its link; a mistake of ours passes through.
      if (!(error instanceof ProtocolError)) throw error;
      if (!this.#isOver) this.#owner.onUnusable(error);
    }
  }

  onFrame(bytes: Uint8Array, _view: DataView, start: number, end: number): boolean {
    this.#owner.onPayload(bytes.subarray(start + 4, end));
    return !this.#isOver;
  }

  onSent(bytes: Uint8Array): void {
    this.#sentBytes -= bytes.length;
    this.#takenBytes += bytes.length;
    this.#buffers.giveBack(bytes);
    if (!this.#isHigh || this.queuedBytes >= windowBytes) return;
    this.#isHigh = false;
    if (!this.#isOver) this.#owner.onDrained();
  }

  onDrained(): void {
    // Told by `onSent`, below another limit than zero.
  }

  onClosed(error: Error | undefined): void {
    this.#stopReading();
    this.#stall?.cancel();
    this.#owner.onClosed(error);
  }

  #stopReading(): void {
    this.#isOver = true;
    this.#reader.close();
  }

  #flushLater(): void {
    if (this.#willFlush) return;
    this.#willFlush = true;
    this.#timers.atTurnEnd(() => {
      this.#willFlush = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#isOver) return;
    const bytes = this.#buffers.take();
    for (let start = 0; start < bytes.length; start += limits.partBytesMax) {
      const part = bytes.subarray(start, start + limits.partBytesMax);
      this.#sentBytes += part.length;
      this.#link.send(part);
    }
    if (this.#sentBytes > 0) this.#watchForStall();
  }

  #watchForStall(): void {
    if (this.#stall !== undefined) return;
    const takenBytes = this.#takenBytes;
    this.#stall = this.#timers.after(limits.stallMsMax, () => {
      this.#stall = undefined;
      if (this.#sentBytes === 0) return;
      if (this.#takenBytes > takenBytes) return this.#watchForStall();
      this.#unusable(`it took nothing for ${limits.stallMsMax} ms`);
    });
  }

  #unusable(found: string): void {
    if (this.#isOver) return;
    const message = `the link to ${this.peer} is ended: ${found}`;
    this.#owner.onUnusable(new ConnectionError("EVH_DISCONNECTED", message));
  }
}
