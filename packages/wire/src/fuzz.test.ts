import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "@everhold/base";
import { typedOutcome } from "@everhold/test-world";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import {
  AcknowledgeFrame,
  FlowTokenFrame,
  readAcknowledge,
  readFlowToken,
} from "./frames/control-frames.ts";
import { readReceive, ReceiveFrame } from "./frames/receive-frame.ts";
import { readSend, SendFrame } from "./frames/send-frame.ts";
import {
  decodeMapBody,
  decodeObjectBody,
  decodeStreamBody,
  decodeTextBody,
} from "./message-body.ts";
import { MessageScan, scanHeaders, scanMessage } from "./message-scan.ts";
import { readHeaders, readMessage } from "./message.ts";
import { decodePacket, packetIdAt, readPacketHeader, type PacketDefinition } from "./packet.ts";
import { packetById, packets } from "./packets/packets.ts";
import { parseProducerMark } from "./producer-mark.ts";
import { fuzzMs, fuzzSeed } from "./testing/fuzz.test-support.ts";
import { goldenPackets } from "./testing/golden.test-support.ts";

const golden = goldenPackets().map((one) => one.frame);
const definitions = Object.values<PacketDefinition>(packets);
const versions = [0, 129, 130, 132, 134, 136];

/** Random bytes, or a good frame with a few bytes changed, cut or doubled: those reach further. */
function badFrame(random: Prng): Uint8Array {
  const original = golden[random.integer(0, golden.length - 1)];
  if (original === undefined || random.chance(0.2)) {
    const bytes = new Uint8Array(random.integer(0, 200));
    random.fill(bytes);
    return bytes;
  }
  const bytes = original.slice(
    0,
    random.chance(0.3) ? random.integer(0, original.length) : original.length,
  );
  for (let change = random.integer(0, 4); change > 0 && bytes.length > 0; change -= 1) {
    const interesting = random.pick([0x00, 0x01, 0x7f, 0x80, 0xff, random.integer(0, 255)]);
    bytes[random.integer(0, bytes.length - 1)] = interesting;
  }
  return bytes;
}

/** Runs `round` for the time that a fuzz test has; an error is told with the seed and the round. */
function fuzz(name: string, round: (random: Prng) => void): void {
  test(name, (context) => {
    const seed = fuzzSeed();
    const random = new Prng(seed);
    const end = performance.now() + fuzzMs();
    let rounds = 0;
    try {
      // At least some hundred rounds even on a machine that stalls.
      for (; rounds < 500 || performance.now() < end; rounds += 1) round(random);
    } catch (error) {
      throw new Error(`round ${rounds} failed; repeat with EVERHOLD_FUZZ_SEED=${seed}`, {
        cause: error,
      });
    }
    context.diagnostic(`seed ${seed}, ${rounds} rounds`);
  });
}

fuzz("no bytes make a packet decoder fail otherwise than with a typed error", (random) => {
  const bytes = badFrame(random);
  const version = random.pick([136, ...versions]);
  const byId = bytes.length > 4 ? packetById(bytes[4] ?? 0) : undefined;
  const any = definitions[random.integer(0, definitions.length - 1)];
  for (const definition of [byId, any]) {
    if (definition === undefined) continue;
    const reader = new ByteReader(bytes, { strict: random.chance(0.3) });
    typedOutcome(() => {
      readPacketHeader(reader);
      decodePacket(definition, reader, version);
    });
    assert.ok(reader.offset <= reader.end);
  }
});

fuzz("no bytes make a message or body decoder fail otherwise than with a typed error", (random) => {
  const bytes = badFrame(random);
  const start = Math.min(bytes.length, random.pick([13, 0, 4]));
  const end = Math.max(start, bytes.length - random.pick([13, 12, 0]));
  const part = bytes.slice(start, end);
  const view = new DataView(part.buffer);
  const scanned = typedOutcome(() => scanMessage(view, 0, part.length, new MessageScan()));
  const read = typedOutcome(() => readMessage(new ByteReader(part)));
  assert.equal(scanned instanceof Error, read instanceof Error);
  const headersScanned = typedOutcome(() => scanHeaders(view, 0, part.length, new MessageScan()));
  const headersRead = typedOutcome(() => readHeaders(new ByteReader(part)));
  assert.equal(headersScanned instanceof Error, headersRead instanceof Error);
  typedOutcome(() => decodeTextBody(part));
  typedOutcome(() => decodeMapBody(part));
  typedOutcome(() => decodeStreamBody(part));
  typedOutcome(() => decodeObjectBody(part));
  typedOutcome(() => parseProducerMark(part));
});

fuzz("no stream of chunks makes the frame reader or a fast form fail otherwise", (random) => {
  const writer = new ByteWriter();
  for (let count = random.integer(1, 6); count > 0; count -= 1) {
    writer.raw(
      random.chance(0.7)
        ? (golden[random.integer(0, golden.length - 1)] ?? badFrame(random))
        : badFrame(random),
    );
  }
  const stream = writer.toBytes();
  const reader = new FrameReader({ frameBytesMax: 4096, expectMagic: random.chance(0.05) });
  const sink: FrameSink = {
    onFrame(_bytes, view, start, end) {
      assert.ok(end - start >= 13);
      assert.equal(view.getUint32(start) + 4, end - start);
      readFast(view, start, end, random.pick([136, ...versions]));
      return !random.chance(0.01);
    },
  };
  typedOutcome(() => {
    for (let start = 0; start < stream.length;) {
      const end = Math.min(stream.length, start + random.integer(1, 80));
      reader.push(stream.subarray(start, end), sink);
      start = end;
    }
  });
  assert.ok(reader.pendingBytes <= 4096);
});

/** Reads a frame with the fast form of its packet, if it has one. */
function readFast(view: DataView, start: number, end: number, version: number): void {
  typedOutcome(() => {
    switch (packetIdAt(view, start)) {
      case packets.send.id:
        readSend(view, start, end, version, new SendFrame());
        return;
      case packets.receive.id:
        readReceive(view, start, end, new ReceiveFrame());
        return;
      case packets.acknowledge.id:
      case packets.individualAcknowledge.id:
        readAcknowledge(view, start, end, new AcknowledgeFrame());
        return;
      case packets.flowToken.id:
        readFlowToken(view, start, end, new FlowTokenFrame());
        return;
    }
  });
}
