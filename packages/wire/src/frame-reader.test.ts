import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex, toHex } from "@everhold/test-world";
import { ByteWriter } from "./byte-writer.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { beginFrame, endFrame } from "./packet.ts";

/** Notes every frame, and stops after `framesMax`. */
class NotingSink implements FrameSink {
  readonly frames: string[] = [];
  readonly #framesMax: number;

  constructor(framesMax = Infinity) {
    this.#framesMax = framesMax;
  }

  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    assert.equal(view.getUint32(start), end - start - 4);
    assert.equal(view.byteLength, bytes.length);
    this.frames.push(toHex(bytes.subarray(start, end)));
    return this.frames.length < this.#framesMax;
  }
}

function frameOf(body: Uint8Array): Uint8Array {
  const writer = new ByteWriter();
  const start = beginFrame(writer, 71, 10);
  writer.raw(body);
  endFrame(writer, start);
  return writer.toBytes();
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Cuts `bytes` at the given places, and puts each part somewhere inside a buffer of its own. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = places
    .map((place) => place % (bytes.length + 1))
    .toSorted((left, right) => left - right);
  let start = 0;
  return [...ends, bytes.length].map((end) => {
    const holder = new Uint8Array(end - start + 5);
    holder.set(bytes.subarray(start, end), 3);
    const part = holder.subarray(3, 3 + end - start);
    start = end;
    return part;
  });
}

test("the same frames come out however the stream is cut", () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 12 });
  const places = fc.array(fc.nat(), { maxLength: 30 });
  fc.assert(
    fc.property(bodies, places, fc.boolean(), (list, at, expectMagic) => {
      const writer = new ByteWriter();
      if (expectMagic) writer.raw(ascii("ARTEMIS"));
      for (const body of list) writer.raw(frameOf(body));
      const sink = new NotingSink();
      const reader = new FrameReader({ expectMagic });
      for (const chunk of cut(writer.toBytes(), at)) reader.push(chunk, sink);
      assert.deepEqual(
        sink.frames,
        list.map((body) => toHex(frameOf(body))),
      );
      assert.equal(reader.pendingBytes, 0);
    }),
    { numRuns: 300 },
  );
});

test("a stream that arrives byte by byte gives the same frames", () => {
  const frame = frameOf(new Uint8Array(300));
  const reader = new FrameReader({ expectMagic: true });
  const sink = new NotingSink();
  for (const byte of [...ascii("ARTEMIS"), ...frame, ...frame])
    reader.push(Uint8Array.of(byte), sink);
  assert.deepEqual(sink.frames, [toHex(frame), toHex(frame)]);
});

test("a frame larger than the first buffer is put together from many chunks", () => {
  const body = new Uint8Array(300_000).map((_, index) => index);
  const frame = frameOf(body);
  const sink = new NotingSink();
  const reader = new FrameReader();
  for (let start = 0; start < frame.length; start += 7001) {
    reader.push(frame.subarray(start, start + 7001), sink);
  }
  assert.deepEqual(sink.frames, [toHex(frame)]);
});

test("frames that lie whole in a chunk are handed out in place", () => {
  const frame = frameOf(new Uint8Array(5));
  const chunk = new Uint8Array([...frame, ...frame]);
  const reader = new FrameReader();
  const starts: number[] = [];
  reader.push(chunk, {
    onFrame(bytes, _view, start) {
      assert.equal(bytes, chunk);
      starts.push(start);
      return true;
    },
  });
  assert.deepEqual(starts, [0, frame.length]);
});

test("a frame of exactly the limit passes and one byte more is refused", () => {
  const frame = frameOf(new Uint8Array(100));
  const sink = new NotingSink();
  new FrameReader({ frameBytesMax: frame.length }).push(frame, sink);
  assert.equal(sink.frames.length, 1);
  const reader = new FrameReader({ frameBytesMax: frame.length - 1 });
  assert.throws(() => reader.push(frame, sink), {
    code: "EVH_FRAME_TOO_LARGE",
    message: "cannot read a frame: found 113 bytes, the limit is 112",
  });
  assert.equal(reader.closed, true);
  reader.push(frame, sink);
  assert.equal(sink.frames.length, 1);
});

test("the limit holds for frames that begin in one chunk and end in another", () => {
  const reader = new FrameReader({ frameBytesMax: 112 });
  reader.push(frameOf(new Uint8Array(100)).subarray(0, 2), new NotingSink());
  assert.throws(() => reader.push(frameOf(new Uint8Array(100)).subarray(2, 4), new NotingSink()), {
    code: "EVH_FRAME_TOO_LARGE",
  });
});

test("frames too short for a header are refused", () => {
  for (const hex of ["00000000", "00000008", "ffffffff", "80000000"]) {
    const reader = new FrameReader();
    assert.throws(() => reader.push(fromHex(hex), new NotingSink()), { code: "EVH_PROTOCOL" });
    assert.equal(reader.closed, true);
  }
});

test("an announced length holds no memory before its bytes arrive", () => {
  const before = process.memoryUsage().arrayBuffers;
  const readers = Array.from(
    { length: 200 },
    () => new FrameReader({ frameBytesMax: 100_000_000 }),
  );
  const sink = new NotingSink();
  for (const reader of readers) reader.push(fromHex("05f5e000 47 0000"), sink);
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.equal(readers[0]?.pendingBytes, 7);
  assert.ok(grown < 200 * 70_000, `${grown} bytes for 200 connections`);
});

test("the sink ends the reading in the middle of a chunk", () => {
  const frame = frameOf(new Uint8Array(5));
  const sink = new NotingSink(2);
  const reader = new FrameReader();
  reader.push(new Uint8Array([...frame, ...frame, ...frame, 1, 2]), sink);
  assert.equal(sink.frames.length, 2);
  assert.equal(reader.closed, true);
  assert.equal(reader.pendingBytes, 0);
});

test("the sink ends the reading at a frame that was put together", () => {
  const frame = frameOf(new Uint8Array(5));
  const sink = new NotingSink(1);
  const reader = new FrameReader();
  reader.push(frame.subarray(0, 9), sink);
  reader.push(new Uint8Array([...frame.subarray(9), ...frame]), sink);
  assert.equal(sink.frames.length, 1);
  assert.equal(reader.closed, true);
});

test("closing the reader from inside the sink is enough", () => {
  const frame = frameOf(new Uint8Array(5));
  const reader = new FrameReader();
  let count = 0;
  reader.push(new Uint8Array([...frame, ...frame]), {
    onFrame() {
      count += 1;
      reader.close();
      return true;
    },
  });
  assert.equal(count, 1);
});

test("an error of the sink passes through and closes the reader", () => {
  const reader = new FrameReader();
  const failing: FrameSink = {
    onFrame() {
      throw new Error("no such session");
    },
  };
  assert.throws(() => reader.push(frameOf(new Uint8Array(1)), failing), /no such session/);
  assert.equal(reader.closed, true);
});

test("another protocol's first bytes are named", () => {
  const openings: [Uint8Array, string][] = [
    [ascii("GET / HTTP/1.1\r\n"), "HTTP"],
    [ascii("PRI * HTTP/2.0\r\n"), "HTTP/2"],
    [ascii("CONNECT example.org:443"), "HTTP"],
    [ascii("CONNECT\naccept-version:1.2"), "STOMP"],
    [ascii("AMQP\0\x01\0\0"), "AMQP"],
    [fromHex("10 0c 0004 4d515454 04 02"), "MQTT"],
    [fromHex("16 0301 0200 01"), "TLS"],
    [fromHex("000000f2 01 4163746976654d51"), "OpenWire"],
    [ascii("SSH-2.0-x"), "SSH"],
  ];
  for (const [bytes, protocol] of openings) {
    const reader = new FrameReader({ expectMagic: true });
    assert.throws(
      () => reader.push(bytes, new NotingSink()),
      (error: Error) =>
        error.message.startsWith(`cannot open a CORE connection: found ${protocol} (the bytes `) &&
        "code" in error &&
        error.code === "EVH_PROTOCOL",
    );
  }
});

test("the magic is recognised over chunks, and what is not is shown in hex", () => {
  const reader = new FrameReader({ expectMagic: true });
  reader.push(ascii("A"), new NotingSink());
  assert.throws(() => reader.push(ascii("MQP\0\0\x01\0\0"), new NotingSink()), /found AMQP \(/);
  const other = new FrameReader({ expectMagic: true });
  assert.throws(() => other.push(fromHex("0102"), new NotingSink()), {
    message:
      "cannot open a CORE connection: found the bytes 01 02, expected the seven bytes ARTEMIS",
  });
});
