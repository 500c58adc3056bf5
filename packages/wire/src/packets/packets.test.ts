import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "@everhold/base";
import fc from "fast-check";
import { toHex } from "@everhold/test-world";
import { ByteReader } from "../byte-reader.ts";
import { ByteWriter } from "../byte-writer.ts";
import { bytesMax, bytesMin, type Shape } from "../field.ts";
import { protocolFingerprint } from "../fingerprint.ts";
import {
  decodePacket,
  encodePacket,
  isCounted,
  readPacketHeader,
  type PacketDefinition,
} from "../packet.ts";
import { valueOf } from "../testing/arbitraries.test-support.ts";
import { goldenPackets, testData } from "../testing/golden.test-support.ts";
import { packetById, packets } from "./packets.ts";

const versions = [129, 130, 131, 132, 134, 136];
const byName: ReadonlyMap<string, PacketDefinition> = new Map(
  Object.entries<PacketDefinition>(packets),
);

test("every packet of the specification is defined, under its own id", () => {
  const ids = [...byName.values()].map((one) => one.id).toSorted((left, right) => left - right);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(
    ids,
    [
      10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 33, 34, 35, 36, 39, 40, 41, 42, 43, 44, 45, 46, 49,
      50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72,
      73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 104, 105, 106, 110, 112, 113, 114, 122, 124, 160, 161,
      162, 163, 164, 165, 166, 234, 235, 236, 237, 238, 239, 241, 242, 243, 244, 245, 246, 248, 249,
      251, 252,
    ],
  );
  for (const definition of byName.values()) assert.equal(packetById(definition.id), definition);
  assert.equal(packetById(0), undefined);
});

test("the frames that Artemis writes are read", () => {
  for (const golden of goldenPackets()) {
    const definition = definitionOf(golden.name);
    const reader = new ByteReader(golden.frame, { strict: true });
    assert.deepEqual(readPacketHeader(reader), {
      length: golden.frame.length - 4,
      id: definition.id,
      channelId: golden.channelId,
    });
    assert.deepEqual(decodePacket(definition, reader, golden.version), golden.value, golden.name);
  }
});

test("frames are written with the bytes of Artemis", () => {
  const goldens = goldenPackets();
  assert.equal(goldens.length, 20);
  for (const golden of goldens) {
    const writer = new ByteWriter();
    encodePacket(writer, definitionOf(golden.name), golden.channelId, golden.value, golden.version);
    assert.equal(toHex(writer.written()), toHex(golden.frame), golden.name);
  }
});

for (const version of versions) {
  test(`every packet survives writing and reading at version ${version}`, () => {
    for (const [name, definition] of byName) {
      fc.assert(
        fc.property(valueOf(definition.body, version), (value) => {
          const writer = new ByteWriter();
          encodePacket(writer, definition, 12, value, version);
          const reader = new ByteReader(writer.toBytes());
          assert.equal(readPacketHeader(reader).length, writer.offset - 4);
          const bodyBytes = reader.remaining;
          assert.ok(bodyBytes >= bytesMin(definition.body.shape, version));
          assert.ok(bodyBytes <= bytesMax(definition.body.shape, version));
          assert.deepEqual(decodePacket(definition, reader, version), value, name);
          assert.equal(reader.remaining, 0);
        }),
        { numRuns: 12 },
      );
    }
  });
}

test("a packet cut at any byte gives a typed error, or ends before an optional tail", () => {
  for (const definition of byName.values()) {
    const mayEndEarly = hasOpenEnd(definition.body.shape);
    fc.assert(
      fc.property(valueOf(definition.body, 136), (value) => {
        const writer = new ByteWriter();
        encodePacket(writer, definition, 12, value, 136);
        if (writer.offset > 1000) return;
        for (let end = 0; end < writer.offset; end += 1) {
          const reader = new ByteReader(writer.bytes.slice(0, end));
          try {
            readPacketHeader(reader);
            decodePacket(definition, reader, 136);
          } catch (error) {
            assert.ok(error instanceof ProtocolError, String(error));
            continue;
          }
          assert.ok(mayEndEarly, `${definition.name} accepted ${end} of ${writer.offset} bytes`);
        }
      }),
      { numRuns: 6 },
    );
  }
});

test("what a newer peer appends is ignored", () => {
  for (const definition of byName.values()) {
    if (hasOpenEnd(definition.body.shape)) continue;
    fc.assert(
      fc.property(valueOf(definition.body, 136), (value) => {
        const writer = new ByteWriter();
        encodePacket(writer, definition, 12, value, 136);
        writer.u32(0xdeadbeef);
        const reader = new ByteReader(writer.toBytes());
        readPacketHeader(reader);
        assert.deepEqual(decodePacket(definition, reader, 136), value);
      }),
      { numRuns: 3 },
    );
  }
});

test("a version-gated field that an older peer leaves out has its default", () => {
  const writer = new ByteWriter();
  const value = { code: 100, message: "no q", correlationId: 7 };
  encodePacket(writer, packets.exception, 1, value, 129);
  const reader = new ByteReader(writer.toBytes());
  readPacketHeader(reader);
  assert.deepEqual(decodePacket(packets.exception, reader, 136), { ...value, correlationId: -1 });
});

test("a commit has a correlation id only when it blocks", () => {
  const sizes = [
    { version: 136, correlationId: -3, bytes: 21 },
    { version: 136, correlationId: null, bytes: 13 },
    { version: 131, correlationId: null, bytes: 13 },
  ];
  for (const { version, correlationId, bytes } of sizes) {
    const writer = new ByteWriter();
    encodePacket(writer, packets.commit, 10, { correlationId }, version);
    assert.equal(writer.offset, bytes);
  }
});

test("an error names the packet and the field", () => {
  const reader = new ByteReader(new Uint8Array([0, 0, 0, 1, 0, 65]));
  assert.throws(() => decodePacket(packets.createSession, reader, 136), {
    code: "EVH_PROTOCOL",
    message:
      "CREATESESSION: sessionChannelId: cannot read i64 at byte 6: found 0 bytes, expected 8",
  });
});

test("a value that does not fit leaves nothing half-written", () => {
  const writer = new ByteWriter();
  encodePacket(writer, packets.sessionStart, 10, {}, 136);
  const before = writer.offset;
  assert.throws(
    () => encodePacket(writer, packets.deleteQueue, 10, { queueName: "q".repeat(200_000) }, 136),
    RangeError,
  );
  assert.equal(writer.offset, before);
});

test("a value of another type leaves nothing half-written", () => {
  const writer = new ByteWriter();
  encodePacket(writer, packets.sessionStart, 10, {}, 136);
  const before = writer.offset;
  for (const queueName of [5, null, undefined, {}, ["q"], new Uint8Array(3)]) {
    const values = [writer, packets.deleteQueue, 10, { queueName }, 136] as const;
    assert.throws(() => Reflect.apply(encodePacket, undefined, values), TypeError);
    assert.equal(writer.offset, before);
  }
});

test("metadata counts for the confirmation window only when an answer is asked for", () => {
  const value = { key: "k", data: "v" };
  assert.equal(isCounted(packets.addMetadataV2, { ...value, requiresConfirmation: true }), true);
  assert.equal(isCounted(packets.addMetadataV2, { ...value, requiresConfirmation: false }), false);
  assert.equal(isCounted(packets.addMetadata, value), false);
  assert.equal(isCounted(packets.send, {}), true);
  assert.equal(isCounted(packets.packetsConfirmed, {}), false);
});

test("the protocol's fingerprint is the one that was agreed on", () => {
  assert.equal(protocolFingerprint(), testData("fingerprint.txt").trim());
});

function definitionOf(name: string): PacketDefinition {
  const definition = byName.get(name);
  assert.ok(definition !== undefined, name);
  return definition;
}

/** Whether a value of `shape` may be shorter than it was written and still be read. */
function hasOpenEnd(shape: Shape): boolean {
  if (shape.kind === "struct") return shape.fields.some((field) => hasOpenEnd(field.shape));
  return (
    shape.kind === "since" ||
    shape.kind === "tail" ||
    shape.kind === "maybe" ||
    shape.kind === "rest"
  );
}
