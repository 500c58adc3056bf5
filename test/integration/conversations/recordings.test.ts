import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  ByteReader,
  ByteWriter,
  decodePacket,
  encodePacket,
  MessageScan,
  packetById,
  packets,
  readHeaders,
  readMessage,
  readPacketHeader,
  scanHeaders,
  scanMessage,
  writeHeaders,
  writeMessage,
  type MessageHeaders,
} from "@everhold/wire";

import { formatConversation, packetNameOf } from "./conversation.ts";
import { readRecordings } from "./read-recordings.test-support.ts";

const recordings = readRecordings();

/** Where recordings are that every scenario has: nobody loses some unnoticed. */
const brokers = ["artemis-2.44.0", "everhold"];
const clients = ["artemis-tool", "everhold", "jakarta-2.44", "jakarta-2.54", "javax-2.31"];

describe("recorded conversations", () => {
  it("are there for every client with each broker, and as they were written", () => {
    const pairs = new Set(recordings.map(({ name }) => name.split("/").slice(0, 2).join("/")));
    assert.deepEqual(
      [...pairs].toSorted(),
      brokers.flatMap((broker) => clients.map((client) => `${broker}/${client}`)),
    );
    for (const recording of recordings) {
      assert.equal(`${recording.broker}/${recording.client}/${recording.scenario}`, recording.name);
      assert.equal(formatConversation(recording), recording.text);
    }
  });

  it("hold every packet that their scenarios are about", () => {
    const names = new Set(
      recordings.flatMap(({ events }) =>
        events.flatMap(({ frame }) => (frame === undefined ? [] : [packetNameOf(frame)])),
      ),
    );
    const wanted = [
      packets.commit,
      packets.rollback,
      packets.createSharedQueueV2,
      packets.addUniqueMetadata,
      packets.sendLarge,
      packets.sendContinuation,
      packets.receiveLarge,
      packets.receiveContinuation,
      packets.packetsConfirmed,
      packets.forceConsumerDelivery,
      packets.individualAcknowledge,
    ];
    assert.deepEqual(
      wanted.map(({ name }) => name).filter((name) => !names.has(name)),
      [],
    );
  });

  it("decode, and encode to the same bytes", () => {
    let frameCount = 0;
    for (const { name, version, events } of recordings) {
      for (const { frame } of events) {
        if (frame === undefined) continue;
        frameCount += 1;
        const again = encodedAgain(frame, version);
        assert.equal(hexOf(again), hexOf(frame), `${name}: ${packetNameOf(frame)}`);
      }
    }
    assert.ok(frameCount > 3000, `${frameCount} frames`);
  });

  it("carry messages that decode, encode to the same bytes, and are scanned as they are decoded", () => {
    let messageCount = 0;
    for (const { name, version, events } of recordings) {
      for (const { frame } of events) {
        if (frame === undefined) continue;
        const found = messageIn(frame, version);
        if (found === undefined) continue;
        messageCount += 1;
        const { bytes, isHeaders } = found;
        const reader = new ByteReader(bytes);
        const writer = new ByteWriter();
        const scan = new MessageScan();
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        if (isHeaders) {
          const headers = readHeaders(reader);
          writeHeaders(writer, headers);
          scanHeaders(view, 0, bytes.length, scan);
          assert.deepEqual(scanned(scan, bytes), decoded(headers), name);
        } else {
          const message = readMessage(reader);
          writeMessage(writer, message);
          scanMessage(view, 0, bytes.length, scan);
          assert.deepEqual(scanned(scan, bytes), decoded(message), name);
          assert.equal(scan.bodyEnd - scan.bodyStart, message.body.length, name);
        }
        assert.equal(hexOf(writer.written()), hexOf(bytes), name);
      }
    }
    assert.ok(messageCount > 400, `${messageCount} messages`);
  });
});

function encodedAgain(frame: Uint8Array, version: number): Uint8Array {
  const reader = new ByteReader(frame);
  const { id, channelId } = readPacketHeader(reader);
  const definition = packetById(id);
  assert.ok(definition !== undefined, `the packet ${id} is known`);
  const writer = new ByteWriter();
  encodePacket(writer, definition, channelId, decodePacket(definition, reader, version), version);
  return writer.written();
}

/** The message, or the headers of a large one, that a frame carries. */
function messageIn(
  frame: Uint8Array,
  version: number,
): { readonly bytes: Uint8Array; readonly isHeaders: boolean } | undefined {
  const reader = new ByteReader(frame);
  switch (readPacketHeader(reader).id) {
    case packets.send.id:
      return { bytes: decodePacket(packets.send, reader, version).message, isHeaders: false };
    case packets.receive.id:
      return { bytes: decodePacket(packets.receive, reader, version).message, isHeaders: false };
    case packets.sendLarge.id:
      return { bytes: decodePacket(packets.sendLarge, reader, version).headers, isHeaders: true };
    case packets.receiveLarge.id:
      return {
        bytes: decodePacket(packets.receiveLarge, reader, version).headers,
        isHeaders: true,
      };
    default:
      return undefined;
  }
}

/** What a scan found, in the words of {@link decoded}. */
function scanned(scan: MessageScan, bytes: Uint8Array): object {
  const text = (start: number, end: number): string | undefined =>
    start === -1 ? undefined : Buffer.from(bytes.subarray(start, end)).toString("utf16le");
  return {
    messageId: scan.messageId,
    address: text(scan.addressStart, scan.addressEnd),
    type: scan.type,
    durable: scan.durable,
    expiration: scan.expiration,
    timestamp: scan.timestamp,
    priority: scan.priority,
    propertyCount: scan.propertyCount,
    routingType: scan.routingType,
    duplicateIdTag: scan.duplicateIdTag,
    groupId: text(scan.groupIdStart, scan.groupIdEnd),
    forcedDeliverySequence: scan.forcedDeliverySequence,
    largeSize: scan.largeSize,
  };
}

function decoded(headers: MessageHeaders): object {
  const { properties } = headers;
  const duplicateId = properties.get("_AMQ_DUPL_ID");
  const number = (name: string): number => Number(properties.get(name)?.value ?? -1);
  return {
    messageId: headers.messageId,
    address: headers.address ?? undefined,
    type: headers.type,
    durable: headers.durable,
    expiration: headers.expiration,
    timestamp: headers.timestamp,
    priority: headers.priority,
    propertyCount: properties.size,
    routingType: number("_AMQ_ROUTING_TYPE"),
    duplicateIdTag: duplicateId === undefined ? 0 : duplicateId.type === "bytes" ? 4 : 10,
    groupId: properties.get("_AMQ_GROUP_ID")?.value,
    forcedDeliverySequence: number("_hornetq.forced.delivery.seq"),
    largeSize: number("_AMQ_LARGE_SIZE"),
  };
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
