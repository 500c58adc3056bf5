import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "@everhold/base";
import fc from "fast-check";
import { fromHex, toHex } from "@everhold/test-world";
import { limits } from "./limits.ts";
import { bytesEqual, hashBytes } from "./address-bytes.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { MessageScan, scanHeaders, scanMessage } from "./message-scan.ts";
import {
  headersBytes,
  messageBytes,
  messageHeaders,
  readHeaders,
  readMessage,
  writeHeaders,
  writeMessage,
  type CoreMessage,
} from "./message.ts";
import { decodeTextBody, encodeTextBody } from "./message-body.ts";
import { propertyNames } from "./property-names.ts";
import { typedValue, valueOf } from "./testing/arbitraries.test-support.ts";
import { goldenPackets } from "./testing/golden.test-support.ts";
import { decodeSimpleString, encodeSimpleString } from "./text-codec.ts";
import { valueTags, type TypedValue } from "./typed-properties.ts";

const knownNames = Object.values(propertyNames);

/** Any message; its properties are often ones that a broker looks at, with any type of value. */
const messages: fc.Arbitrary<CoreMessage> = fc
  .tuple(
    valueOf(messageHeaders, 0),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(fc.tuple(fc.constantFrom(...knownNames), typedValue), { maxLength: 5 }),
  )
  .map(([headers, body, known]) => ({
    ...headers,
    properties: new Map([...headers.properties, ...known]),
    body,
  }));

function encode(message: CoreMessage): Uint8Array {
  const writer = new ByteWriter();
  writeMessage(writer, message);
  return writer.toBytes();
}

function scan(bytes: Uint8Array): MessageScan {
  const into = new MessageScan();
  scanMessage(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, into);
  return into;
}

function goldenMessage(): Uint8Array {
  const golden = goldenPackets().find((one) => one.name === "send");
  const message = golden?.value["message"];
  assert.ok(message instanceof Uint8Array);
  return message;
}

test("the message that Artemis wrote is decoded and encoded to the byte", () => {
  const bytes = goldenMessage();
  assert.equal(bytes.length, 109);
  const message = readMessage(new ByteReader(bytes));
  assert.equal(decodeTextBody(message.body), "hi");
  assert.deepEqual(
    { ...message, body: undefined, userId: message.userId === null ? null : toHex(message.userId) },
    {
      body: undefined,
      messageId: 0,
      address: "q",
      userId: "000102030405160788090a0b0c0d0e0f",
      type: 3,
      durable: true,
      expiration: 0,
      timestamp: 1_700_000_000_000,
      priority: 4,
      properties: new Map([["_AMQ_ROUTING_TYPE", { type: "byte", value: 1 }]]),
    },
  );
  assert.equal(toHex(encode({ ...message, body: encodeTextBody("hi") })), toHex(bytes));
  assert.equal(messageBytes(message), 109);
});

test("any message survives writing and reading, and has the size that was told", () => {
  fc.assert(
    fc.property(messages, (message) => {
      const bytes = encode(message);
      assert.deepEqual(readMessage(new ByteReader(bytes)), message);
      assert.equal(messageBytes(message), bytes.length);
      const writer = new ByteWriter();
      writeHeaders(writer, message);
      assert.equal(headersBytes(message), writer.offset);
      const { body: _body, ...headers } = message;
      assert.deepEqual(readHeaders(new ByteReader(writer.toBytes())), headers);
      assert.deepEqual(messageHeaders.read(new ByteReader(writer.toBytes()), 0), headers);
    }),
  );
});

test("a scan finds in place what decoding finds", () => {
  fc.assert(
    fc.property(messages, (message) => {
      const bytes = encode(message);
      const found = scan(bytes);
      const range = (start: number, end: number): string | null =>
        start < 0 ? null : toHex(bytes.subarray(start, end));
      assert.equal(range(found.bodyStart, found.bodyEnd), toHex(message.body));
      assert.equal(found.messageIdOffset, 4 + message.body.length);
      assert.equal(found.propertiesEnd, bytes.length);
      assert.equal(
        found.addressStart < 0
          ? null
          : decodeSimpleString(bytes, found.addressStart, found.addressEnd),
        message.address,
      );
      const userEnd = found.userIdOffset + 16;
      assert.equal(
        range(found.userIdOffset, userEnd),
        message.userId === null ? null : toHex(message.userId),
      );
      const { messageId, type, durable, expiration, timestamp, priority } = message;
      assert.deepEqual(
        {
          messageId: found.messageId,
          type: found.type,
          durable: found.durable,
          expiration: found.expiration,
          timestamp: found.timestamp,
          priority: found.priority,
        },
        { messageId, type, durable, expiration, timestamp, priority },
      );
      assert.deepEqual(
        {
          propertyCount: found.propertyCount,
          routingType: found.routingType,
          scheduledDelivery: found.scheduledDelivery,
          largeSize: found.largeSize,
          forcedDeliverySequence: found.forcedDeliverySequence,
          largeCompressed: found.largeCompressed,
          duplicateIdTag: found.duplicateIdTag,
          duplicateId: range(found.duplicateIdStart, found.duplicateIdEnd),
          bridgeId: range(found.bridgeIdStart, found.bridgeIdEnd),
          producerMark: range(found.producerMarkStart, found.producerMarkEnd),
          groupId: range(found.groupIdStart, found.groupIdEnd),
          lastValue: range(found.lastValueStart, found.lastValueEnd),
        },
        expectedProperties(message.properties),
      );
    }),
    { numRuns: 500 },
  );
});

/** What a scan must find, by the slow way. */
function expectedProperties(properties: CoreMessage["properties"]): Record<string, unknown> {
  const get = (name: string): TypedValue | undefined => properties.get(name);
  const duplicateId = get(propertyNames.duplicateId);
  const compressed = get(propertyNames.largeCompressed);
  const hasDuplicateId = duplicateId?.type === "bytes" || duplicateId?.type === "string";
  return {
    propertyCount: properties.size,
    routingType: integerOf(get(propertyNames.routingType), -1),
    scheduledDelivery: timeOf(get(propertyNames.scheduledDelivery)),
    largeSize: integerOf(get(propertyNames.largeSize), -1),
    forcedDeliverySequence: integerOf(get(propertyNames.forcedDeliverySequence), -1),
    largeCompressed: compressed?.type === "boolean" && compressed.value,
    duplicateIdTag: hasDuplicateId ? valueTags[duplicateId.type] : 0,
    duplicateId: bytesOf(duplicateId, "bytes", "string"),
    bridgeId: bytesOf(get(propertyNames.bridgeDuplicateId), "bytes"),
    producerMark: bytesOf(get(propertyNames.producerMark), "bytes"),
    groupId: bytesOf(get(propertyNames.groupId), "string"),
    lastValue: bytesOf(get(propertyNames.lastValueName), "string"),
  };
}

function integerOf(typed: TypedValue | undefined, absent: number): number {
  switch (typed?.type) {
    case "byte":
    case "short":
    case "int":
      return typed.value;
    case "long":
      return typeof typed.value === "number"
        ? typed.value
        : typed.value > 0n
          ? Number.MAX_SAFE_INTEGER
          : Number.MIN_SAFE_INTEGER;
    case undefined:
    default:
      return absent;
  }
}

/** As `Number.longValue` of Java, inside the safe integers. */
function timeOf(typed: TypedValue | undefined): number {
  if (typed?.type !== "float" && typed?.type !== "double") return integerOf(typed, 0);
  const max = BigInt(Number.MAX_SAFE_INTEGER);
  if (!Number.isFinite(typed.value))
    return Number.isNaN(typed.value) ? 0 : Math.sign(typed.value) * Number(max);
  const whole = BigInt(Math.trunc(typed.value));
  return Number(whole > max ? max : whole < -max ? -max : whole);
}

function bytesOf(typed: TypedValue | undefined, ...types: readonly string[]): string | null {
  if (typed === undefined || !types.includes(typed.type)) return null;
  if (typed.type === "bytes") return toHex(typed.value);
  return typed.type === "string" ? toHex(encodeSimpleString(typed.value)) : null;
}

const emptyMessage: CoreMessage = {
  messageId: 0,
  address: null,
  userId: null,
  type: 0,
  durable: false,
  expiration: 0,
  timestamp: 0,
  priority: 0,
  properties: new Map(),
  body: new Uint8Array(0),
};

test("a scan finds a time in any number, and none in anything else", () => {
  const times: [TypedValue, number][] = [
    [{ type: "double", value: 1e12 + 0.9 }, 1e12],
    [{ type: "double", value: -0.5 }, 0],
    [{ type: "double", value: Number.NaN }, 0],
    [{ type: "double", value: Infinity }, Number.MAX_SAFE_INTEGER],
    [{ type: "float", value: 1024.5 }, 1024],
    [{ type: "int", value: -7 }, -7],
    [{ type: "string", value: "1000" }, 0],
    [{ type: "boolean", value: true }, 0],
  ];
  for (const [value, expected] of times) {
    const properties = new Map([[propertyNames.scheduledDelivery, value]]);
    assert.equal(scan(encode({ ...emptyMessage, properties })).scheduledDelivery, expected);
  }
});

test("a message cut at any byte is refused by scan and by reading", () => {
  fc.assert(
    fc.property(messages, (message) => {
      const bytes = encode(message);
      for (let length = 0; length < bytes.length; length += 1) {
        const part = bytes.slice(0, length);
        assert.throws(() => scan(part), ProtocolError);
        assert.throws(() => readMessage(new ByteReader(part)), ProtocolError);
      }
    }),
    { numRuns: 20 },
  );
});

test("scan and reading agree on every message with one byte changed", () => {
  fc.assert(
    fc.property(messages, fc.nat(), fc.integer({ min: 0, max: 255 }), (message, at, byte) => {
      const bytes = encode(message);
      bytes[at % bytes.length] = byte;
      assert.equal(
        refuses(() => scan(bytes)),
        refuses(() => readMessage(new ByteReader(bytes))),
      );
    }),
    { numRuns: 2000 },
  );
});

function refuses(act: () => unknown): boolean {
  try {
    act();
    return false;
  } catch (error) {
    if (error instanceof ProtocolError) return true;
    throw error;
  }
}

test("bytes after the properties are refused, because a wrong version would leave some", () => {
  const bytes = fromHex(`${toHex(goldenMessage())}00`);
  assert.throws(() => scan(bytes), {
    code: "EVH_PROTOCOL",
    message: "cannot read a message: found 1 bytes after its properties, expected none",
  });
});

test("the last of two properties of one name holds", () => {
  const head =
    "0000000d 0000000000000000 00 00 00 00 0000000000000000 0000000000000000 04 01 00000002";
  const name = `00000022 ${toHex(encodeSimpleString("_AMQ_ROUTING_TYPE"))} 03`;
  const bytes = fromHex(`${head} ${name} 01 ${name} 00`);
  assert.equal(scan(bytes).routingType, 0);
  assert.deepEqual(
    readMessage(new ByteReader(bytes)).properties,
    new Map([["_AMQ_ROUTING_TYPE", { type: "byte", value: 0 }]]),
  );
});

test("a holder carries nothing over from the scan before", () => {
  const into = new MessageScan();
  const full: CoreMessage = {
    messageId: 5,
    address: "q",
    userId: new Uint8Array(16),
    type: 3,
    durable: true,
    expiration: 1,
    timestamp: 2,
    priority: 9,
    properties: new Map<string, TypedValue>([
      [propertyNames.duplicateId, { type: "string", value: "d" }],
      [propertyNames.groupId, { type: "string", value: "g" }],
      [propertyNames.routingType, { type: "byte", value: 1 }],
      [propertyNames.largeCompressed, { type: "boolean", value: true }],
    ]),
    body: encodeTextBody("x"),
  };
  for (const message of [full, emptyMessage]) {
    const bytes = encode(message);
    scanMessage(new DataView(bytes.buffer), 0, bytes.length, into);
  }
  assert.deepEqual(into, scan(encode(emptyMessage)));
});

test("headers of a large message are scanned without a body", () => {
  const writer = new ByteWriter();
  const message = readMessage(new ByteReader(goldenMessage()));
  writeHeaders(writer, message);
  const bytes = writer.toBytes();
  const into = new MessageScan();
  scanHeaders(new DataView(bytes.buffer), 0, bytes.length, into);
  assert.deepEqual([into.bodyStart, into.bodyEnd, into.messageIdOffset], [0, 0, 0]);
  assert.equal(decodeSimpleString(bytes, into.addressStart, into.addressEnd), "q");
  assert.equal(into.routingType, 1);
});

test("an address longer than a name may be is refused", () => {
  const message = readMessage(new ByteReader(goldenMessage()));
  const max = limits.askedNameCharactersMax * 2;
  const bytes = encode({ ...message, address: "a".repeat(limits.askedNameCharactersMax) });
  assert.equal(scan(bytes).addressEnd - scan(bytes).addressStart, max);
  const view = new DataView(bytes.buffer);
  const addressAt = scan(bytes).addressStart - 4;
  view.setUint32(addressAt, max + 2);
  assert.throws(() => scan(bytes), { code: "EVH_FRAME_TOO_LARGE" });
});

test("equal byte ranges are equal and hash alike wherever they lie", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 30 }),
      fc.uint8Array({ maxLength: 5 }),
      (range, before) => {
        const bytes = Uint8Array.from([...before, ...range, 7]);
        const end = before.length + range.length;
        assert.ok(bytesEqual(bytes, before.length, end, range));
        assert.equal(hashBytes(bytes, before.length, end), hashBytes(range, 0, range.length));
        assert.ok(!bytesEqual(bytes, before.length, end + 1, range));
      },
    ),
  );
});

test("names that differ little spread over a table", () => {
  const slots = new Set<number>();
  for (let index = 0; index < 4096; index += 1) {
    const bytes = encodeSimpleString(`orders.${index}`);
    slots.add(hashBytes(bytes, 0, bytes.length) % 8192);
  }
  // 4096 balls in 8192 boxes fill about 3223 of them.
  assert.ok(slots.size > 3000, `${slots.size} slots`);
});
