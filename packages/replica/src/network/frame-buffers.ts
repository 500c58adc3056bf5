import { ByteWriter } from "@everhold/wire";
import { limits } from "./limits.ts";

const lengthBytes = 4;
const nothing = new Uint8Array(0);

/** Where frames are written, and the buffers for it that came back. */
export class FrameBuffers {
  readonly #writer = new ByteWriter(1);
  /** Whether the writer has a buffer of its own. */
  #isOpen = false;
  #spare: Uint8Array[] = [];
  #spareBytes = 0;

  /** Bytes that were written and not taken. */
  get writtenBytes(): number {
    return this.#isOpen ? this.#writer.offset : 0;
  }

  /** Whether a frame of `bytesHint` bytes goes behind what was written without a larger buffer. */
  hasRoom(bytesHint: number): boolean {
    const { offset, bytes } = this.#writer;
    return !this.#isOpen || offset + lengthBytes + bytesHint <= bytes.length;
  }

  /** Writes one frame behind the others. When `write` throws, nothing of it stays. */
  writeFrame(bytesHint: number, write: (writer: ByteWriter) => void): void {
    const writer = this.#writer;
    if (!this.#isOpen) {
      writer.attach(this.#bufferFor(bytesHint + lengthBytes));
      this.#isOpen = true;
    }
    const start = writer.reserve(lengthBytes);
    try {
      write(writer);
    } catch (error) {
      writer.offset = start;
      throw error;
    }
    writer.patchU32(start, writer.offset - start - lengthBytes);
  }

  /** All that was written since, and its buffer, until it is given back. */
  take(): Uint8Array {
    if (!this.#isOpen) return nothing;
    this.#isOpen = false;
    return this.#writer.written();
  }

  /** The system has taken these bytes. Buffers that it took in several parts are not used again. */
  giveBack(bytes: Uint8Array): void {
    const { buffer } = bytes;
    if (buffer.byteLength > limits.partBytesMax) return;
    if (this.#spareBytes + buffer.byteLength > limits.spareBytesMax) return;
    this.#spareBytes += buffer.byteLength;
    this.#spare.push(new Uint8Array(buffer));
  }

  /** A buffer that is large enough, and not much too large. */
  #bufferFor(bytesHint: number): Uint8Array {
    const needed = Math.max(bytesHint, limits.gatheredBytesMax);
    const index = this.#spare.findIndex(({ length }) => length >= needed && length <= needed * 2);
    const spare = this.#spare[index];
    if (spare === undefined) return new Uint8Array(needed);
    this.#spare.splice(index, 1);
    this.#spareBytes -= spare.length;
    return spare;
  }
}
