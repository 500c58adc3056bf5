import type { Link, LinkHandler } from "@everhold/env";

/** One end of a connection that remembers everything that happened to it. */
export class RecordingLink implements LinkHandler {
  readonly link: Link;
  readonly sent: Uint8Array[] = [];
  readonly pieceLengths: number[] = [];
  readonly closings: (Error | undefined)[] = [];
  drainedCount = 0;
  #received: number[] = [];
  readonly #onData: (end: RecordingLink, bytes: Uint8Array) => void;

  constructor(
    link: Link,
    onData: (end: RecordingLink, bytes: Uint8Array) => void = () => undefined,
  ) {
    this.link = link;
    this.#onData = onData;
  }

  get received(): readonly number[] {
    return this.#received;
  }

  onData(bytes: Uint8Array): void {
    this.pieceLengths.push(bytes.length);
    for (const byte of bytes) this.#received.push(byte);
    this.#onData(this, bytes);
  }

  onSent(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }

  onDrained(): void {
    this.drainedCount += 1;
  }

  onClosed(error: Error | undefined): void {
    this.closings.push(error);
  }
}
