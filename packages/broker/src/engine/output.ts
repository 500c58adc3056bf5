import type { Link } from "@everhold/env";
import { ByteWriter } from "@everhold/wire";

import { limits } from "../limits.ts";

const empty = new Uint8Array(0);

/** Sizes of the buffers, each four times the one before, up to the largest. */
const classBytes: readonly number[] = [
  limits.outputBufferBytes / 64,
  limits.outputBufferBytes / 16,
  limits.outputBufferBytes / 4,
  limits.outputBufferBytes,
];
const classLargest = classBytes.length - 1;

/** Free buffers of one size. */
interface FreeList {
  readonly buffers: Uint8Array[];
  readonly countMax: number;
  /** The fewest there were since the last look: nobody needed these. */
  leastCount: number;
}

/**
 * Buffers of a few sizes that connections write into and links give back, and the writers for them: idle
 * connections hold none. Thousands that have a little to say in one turn take small ones.
 */
export class OutputPool {
  readonly #free: readonly FreeList[] = classBytes.map((bytes) => ({
    buffers: [],
    countMax: limits.outputBytesKept / bytes,
    leastCount: 0,
  }));
  readonly #writers: ByteWriter[] = [];

  /** A buffer of at least `bytes` and of at least that class; larger ones are made for the occasion. */
  take(bytes: number, classMin = 0): Uint8Array {
    let index = classMin;
    while (index < classLargest && bytes > (classBytes[index] ?? 0)) index += 1;
    const size = classBytes[index] ?? 0;
    const free = this.#free[index];
    const found = bytes <= size ? free?.buffers.pop() : undefined;
    if (free === undefined || found === undefined) return new Uint8Array(Math.max(bytes, size));
    if (free.buffers.length < free.leastCount) free.leastCount = free.buffers.length;
    return found;
  }

  /** Takes back what a link has sent, whether it is the whole buffer or a part of one. */
  put(sent: Uint8Array): void {
    const free = this.#free[classBytes.indexOf(sent.buffer.byteLength)];
    if (free === undefined || free.buffers.length >= free.countMax) return;
    free.buffers.push(new Uint8Array(sent.buffer));
  }

  /** A writer with such a buffer. */
  takeWriter(bytes: number, classMin: number): ByteWriter {
    const writer = this.#writers.pop() ?? new ByteWriter(1);
    writer.attach(this.take(bytes, classMin));
    return writer;
  }

  /** Takes back a writer whose buffer belongs to somebody else by now. */
  putWriter(writer: ByteWriter): void {
    if (this.#writers.length >= limits.outputWritersKept) return;
    writer.attach(empty);
    this.#writers.push(writer);
  }

  /** Leaves to the garbage collector what nobody has needed since the last call. Called every now and then. */
  trim(): void {
    for (const free of this.#free) {
      free.buffers.length -= free.leastCount;
      free.leastCount = free.buffers.length;
    }
  }
}

/** Outputs that hold unsent bytes; one call sends them all, at the end of a step or of a turn. */
export class OutputSchedule {
  #dirty: Output[] = [];
  #sending: Output[] = [];
  #isAsked = false;
  #isCollecting = false;
  readonly #atTurnEnd: (task: () => void) => void;
  readonly #flushAtTurnEnd = (): void => {
    this.#isAsked = false;
    this.flush();
  };

  constructor(atTurnEnd: (task: () => void) => void) {
    this.#atTurnEnd = atTurnEnd;
  }

  /** Whoever calls this flushes at the end of the step: no turn end need be asked for. */
  collect(): void {
    this.#isCollecting = true;
  }

  /** Remembers that `output` has something to send. */
  add(output: Output): void {
    this.#dirty.push(output);
    if (this.#isAsked || this.#isCollecting) return;
    this.#isAsked = true;
    this.#atTurnEnd(this.#flushAtTurnEnd);
  }

  /** Sends what was written. */
  flush(): void {
    this.#isCollecting = false;
    const sending = this.#dirty;
    this.#dirty = this.#sending;
    this.#sending = sending;
    for (const output of sending) output.send();
    sending.length = 0;
  }
}

/**
 * What one connection is about to send: frames are written one behind the other and go out in one
 * `Link.send`: a write for each message costs 1.2 µs, copying one 0.1.
 */
export class Output {
  readonly #link: Link;
  readonly #pool: OutputPool;
  readonly #schedule: OutputSchedule;
  /** Only while there is something to send. */
  #writer: ByteWriter | undefined;
  /** The class of buffer to begin with: that of the last one, so that a busy connection need not copy. */
  #classMin = 0;

  constructor(link: Link, pool: OutputPool, schedule: OutputSchedule) {
    this.#link = link;
    this.#pool = pool;
    this.#schedule = schedule;
  }

  /** Bytes written and not yet taken by the system. The measure for back-pressure. */
  get queuedBytes(): number {
    const writer = this.#writer;
    return writer === undefined ? this.#link.queuedBytes : this.#link.queuedBytes + writer.offset;
  }

  /** A writer with room for `frameBytes` more; what is written to it goes out in order. */
  begin(frameBytes: number): ByteWriter {
    const writer = this.#writer;
    if (writer === undefined) {
      this.#schedule.add(this);
      return (this.#writer = this.#pool.takeWriter(frameBytes, this.#classMin));
    }
    if (writer.offset + frameBytes > writer.bytes.length) this.#makeRoom(writer, frameBytes);
    return writer;
  }

  /** Hands what was written to the link. */
  send(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#writer = undefined;
    // A buffer that was hardly used: begin with a smaller one the next time.
    if (this.#classMin > 0 && writer.offset * 4 <= (classBytes[this.#classMin] ?? 0)) {
      this.#classMin -= 1;
    }
    if (writer.offset > 0) this.#link.send(writer.written());
    else this.#pool.put(writer.bytes);
    this.#pool.putWriter(writer);
  }

  /** A buffer that is full gives way to a larger one, the largest goes out. */
  #makeRoom(writer: ByteWriter, frameBytes: number): void {
    const full = writer.written();
    if (this.#classMin < classLargest) this.#classMin += 1;
    const isLargest = writer.bytes.length >= limits.outputBufferBytes;
    if (isLargest || full.length + frameBytes > limits.outputBufferBytes) {
      writer.attach(this.#pool.take(frameBytes, this.#classMin));
      this.#link.send(full);
      return;
    }
    writer.attach(this.#pool.take(full.length + frameBytes, this.#classMin));
    writer.raw(full);
    this.#pool.put(full);
  }
}
