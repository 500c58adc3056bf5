import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toHex, typedOutcome } from "@everhold/test-world";
import { ByteReader } from "../byte-reader.ts";
import { ByteWriter } from "../byte-writer.ts";
import { decodePacket, encodePacket, readPacketHeader, type PacketDefinition } from "../packet.ts";
import { packets } from "../packets/packets.ts";
import { valueOf } from "../testing/arbitraries.test-support.ts";
import {
  AcknowledgeFrame,
  FlowTokenFrame,
  readAcknowledge,
  readFlowToken,
  readNullResponse,
  writeAcknowledge,
  writeFlowToken,
  writeNullResponse,
} from "./control-frames.ts";
import { readReceive, ReceiveFrame, receiveFrameBytes, writeReceive } from "./receive-frame.ts";
import { readSend, SendFrame, writeSend } from "./send-frame.ts";

const versions = fc.constantFrom(129, 130, 131, 132, 134, 136);
const channels = fc.nat(1000);

/** A frame in the middle of other bytes, as in a chunk. */
interface Placed {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly end: number;
}

function placed(write: (writer: ByteWriter) => void): Placed {
  const writer = new ByteWriter(1);
  writer.u8(0xee);
  const start = writer.offset;
  write(writer);
  const end = writer.offset;
  writer.u8(0xee);
  const bytes = writer.toBytes();
  return { bytes, view: new DataView(bytes.buffer), start, end };
}

test("SESS_SEND is read and written as its definition says, at every version", () => {
  const samples = versions.chain((version) =>
    fc.tuple(fc.constant(version), valueOf(packets.send.body, version)),
  );
  fc.assert(
    fc.property(samples, channels, ([version, value], channelId) => {
      const { bytes, view, start, end } = placed((writer) =>
        encodePacket(writer, packets.send, channelId, value, version),
      );
      const frame = new SendFrame();
      readSend(view, start, end, version, frame);
      assert.deepEqual(
        {
          message: bytes.slice(frame.messageStart, frame.messageEnd),
          requiresResponse: frame.requiresResponse,
          correlationId: frame.correlationId,
          senderId: frame.senderId,
        },
        value,
      );
      assert.equal(frame.channelId, channelId);
      const again = new ByteWriter(1);
      writeSend(again, frame, bytes, version);
      assert.equal(toHex(again.written()), toHex(bytes.slice(start, end)));
    }),
  );
});

test("SESS_RECEIVE_MSG is read and written as its definition says", () => {
  fc.assert(
    fc.property(valueOf(packets.receive.body, 136), channels, (value, channelId) => {
      const { bytes, view, start, end } = placed((writer) =>
        encodePacket(writer, packets.receive, channelId, value, 136),
      );
      const frame = new ReceiveFrame();
      readReceive(view, start, end, frame);
      assert.deepEqual(
        {
          message: bytes.slice(frame.messageStart, frame.messageEnd),
          consumerId: frame.consumerId,
          deliveryCount: frame.deliveryCount,
        },
        value,
      );
      assert.equal(frame.channelId, channelId);
      assert.equal(receiveFrameBytes(value.message.length), end - start);
      const again = new ByteWriter(1);
      writeReceive(again, frame, bytes);
      assert.equal(toHex(again.written()), toHex(bytes.slice(start, end)));
    }),
  );
});

test("both acknowledgements are read and written as their definitions say", () => {
  fc.assert(
    fc.property(
      valueOf(packets.acknowledge.body, 136),
      channels,
      fc.boolean(),
      (value, channelId, individual) => {
        const { bytes, view, start, end } = placed((writer) =>
          individual
            ? encodePacket(writer, packets.individualAcknowledge, channelId, value, 136)
            : encodePacket(writer, packets.acknowledge, channelId, value, 136),
        );
        const frame = new AcknowledgeFrame();
        readAcknowledge(view, start, end, frame);
        assert.deepEqual({ ...frame }, { ...value, channelId, individual });
        const again = new ByteWriter(1);
        writeAcknowledge(again, frame);
        assert.equal(toHex(again.written()), toHex(bytes.slice(start, end)));
      },
    ),
  );
});

test("SESS_FLOWTOKEN is read and written as its definition says", () => {
  fc.assert(
    fc.property(valueOf(packets.flowToken.body, 136), channels, (value, channelId) => {
      const { bytes, view, start, end } = placed((writer) =>
        encodePacket(writer, packets.flowToken, channelId, value, 136),
      );
      const frame = new FlowTokenFrame();
      readFlowToken(view, start, end, frame);
      assert.deepEqual({ ...frame }, { ...value, channelId });
      const again = new ByteWriter(1);
      writeFlowToken(again, frame);
      assert.equal(toHex(again.written()), toHex(bytes.slice(start, end)));
    }),
  );
});

test("NULL_RESPONSE is read and written as its definition says", () => {
  fc.assert(
    fc.property(versions, channels, fc.maxSafeInteger(), (version, channelId, correlationId) => {
      const plain = new ByteWriter();
      encodePacket(plain, packets.nullResponse, channelId, { correlationId }, version);
      const fast = new ByteWriter(1);
      writeNullResponse(fast, channelId, correlationId, version);
      assert.equal(toHex(fast.written()), toHex(plain.written()));
      const bytes = fast.toBytes();
      const expected = version < 130 ? -1 : correlationId;
      assert.equal(
        readNullResponse(new DataView(bytes.buffer), 0, bytes.length, version),
        expected,
      );
    }),
  );
});

test("the fast forms refuse random frames exactly where the definitions do", () => {
  const bodies = fc.uint8Array({ maxLength: 80 });
  fc.assert(
    fc.property(bodies, fc.constantFrom(129, 131, 136), (body, version) => {
      const outcomes: [PacketDefinition, (view: DataView, end: number) => void][] = [
        [packets.acknowledge, (view, end) => readAcknowledge(view, 0, end, new AcknowledgeFrame())],
        [packets.flowToken, (view, end) => readFlowToken(view, 0, end, new FlowTokenFrame())],
        [packets.nullResponse, (view, end) => readNullResponse(view, 0, end, version)],
        [packets.receive, (view, end) => readReceive(view, 0, end, new ReceiveFrame())],
      ];
      // A SESS_SEND that is too short for any message is refused earlier than the opaque form would.
      if (body.length >= 34 + 13) {
        outcomes.push([
          packets.send,
          (view, end) => readSend(view, 0, end, version, new SendFrame()),
        ]);
      }
      for (const [definition, readFast] of outcomes) {
        const frame = new Uint8Array(13 + body.length);
        frame.set(body, 13);
        const reader = new ByteReader(frame);
        readPacketHeader(reader);
        const plain =
          typedOutcome(() => decodePacket(definition, reader, version)) instanceof Error;
        const fast =
          typedOutcome(() => readFast(new DataView(frame.buffer), frame.length)) instanceof Error;
        assert.equal(fast, plain, definition.name);
      }
    }),
    { numRuns: 500 },
  );
});
