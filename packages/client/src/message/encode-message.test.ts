import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EverholdError, Prng } from "@everhold/base";
import {
  ByteReader,
  decodeMapBody,
  decodeStreamBody,
  decodeTextBody,
  encodeProducerMark,
  MessageScan,
  readMessage,
  scanMessage,
  type CoreMessage,
} from "@everhold/wire";
import type { Body } from "./body.ts";
import { encodeMessage, type EncodeTarget } from "./encode-message.ts";
import { toTypedValue, typed, type PropertyValue } from "./properties.ts";
import type { MessageOptions } from "./send-options.ts";
import { UserIds } from "./user-ids.ts";

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

const nowMs = 1_700_000_000_000;
const mark = encodeProducerMark({ id: new Uint8Array(16).fill(7), epoch: 1, sequence: 1 });

function encode(
  body: Body,
  options: MessageOptions = {},
  target: Partial<EncodeTarget> = {},
): CoreMessage & { readonly bytes: Uint8Array; readonly sequenceAt: number } {
  const encoded = encodeMessage(
    {
      wallClock: { nowMs: () => nowMs },
      userIds: new UserIds(new TestRandom()),
      connectionId: { type: "string", value: "connection" },
    },
    { address: "orders", routing: "anycast", mark, markBesideId: true, ...target },
    body,
    options,
  );
  const view = viewOf(encoded.bytes);
  scanMessage(view, 0, encoded.bytes.length, new MessageScan());
  return { ...readMessage(new ByteReader(encoded.bytes)), ...encoded };
}

class TestRandom extends Prng {
  constructor() {
    super(1);
  }
}

function property(message: CoreMessage, name: string): unknown {
  return message.properties.get(name);
}

describe("a message that is sent", () => {
  it("says its address, its time, and that it is durable with priority 4", () => {
    const message = encode("hi");
    assert.equal(message.address, "orders");
    assert.equal(message.timestamp, nowMs);
    assert.equal(message.durable, true);
    assert.equal(message.priority, 4);
    assert.equal(message.expiration, 0);
    assert.equal(message.messageId, 0);
  });

  it("has a random UUID of its own as JMSMessageID", () => {
    const random = new TestRandom();
    const origin = {
      wallClock: { nowMs: () => nowMs },
      userIds: new UserIds(random),
      connectionId: { type: "string", value: "c" },
    } as const;
    const target = {
      address: "a",
      routing: "anycast",
      mark: undefined,
      markBesideId: false,
    } as const;
    const ids = new Set<string>();
    for (let index = 0; index < 100; index += 1) {
      const { bytes } = encodeMessage(origin, target, undefined, {});
      const { userId } = readMessage(new ByteReader(bytes));
      assert.ok(userId !== null);
      assert.equal((userId[6] ?? 0) >> 4, 4);
      assert.equal((userId[8] ?? 0) >> 6, 2);
      ids.add(Buffer.from(userId).toString("hex"));
    }
    assert.equal(ids.size, 100);
  });

  it("carries its routing type as a byte, as Java readers want it", () => {
    const routing = { type: "byte", value: 1 };
    assert.deepEqual(property(encode("x"), "_AMQ_ROUTING_TYPE"), routing);
    const topic = encode("x", {}, { routing: "multicast" });
    assert.deepEqual(property(topic, "_AMQ_ROUTING_TYPE"), { type: "byte", value: 0 });
    assert.deepEqual(property(topic, "__AMQ_CID"), { type: "string", value: "connection" });
  });

  it("is a text, bytes, JSON, a map, a stream, an object or nothing, as its body says", () => {
    const text = encode("héllo 😀");
    assert.equal(text.type, 3);
    assert.equal(decodeTextBody(text.body), "héllo 😀");
    const bytes = encode(new Uint8Array([1, 2, 3]));
    assert.equal(bytes.type, 4);
    assert.deepEqual([...bytes.body], [1, 2, 3]);
    const json = encode({ json: { a: [1, null] } });
    assert.equal(json.type, 3);
    assert.equal(decodeTextBody(json.body), '{"a":[1,null]}');
    assert.deepEqual(property(json, "_AMQ_CONTENT_TYPE"), {
      type: "string",
      value: "application/json",
    });
    const map = encode({ map: { a: 1, b: "x", c: typed.float(0.5) } });
    assert.equal(map.type, 5);
    assert.deepEqual(decodeMapBody(map.body).get("c"), { type: "float", value: 0.5 });
    const stream = encode({ stream: [1, "x", typed.float(0.5), null] });
    assert.equal(stream.type, 6);
    assert.deepEqual(decodeStreamBody(stream.body), [
      { type: "int", value: 1 },
      { type: "string", value: "x" },
      { type: "float", value: 0.5 },
      { type: "null", value: null },
    ]);
    const object = encode({ object: new Uint8Array([0xac, 0xed]) });
    assert.equal(object.type, 2);
    assert.deepEqual([...object.body], [0, 0, 0, 2, 0xac, 0xed]);
    assert.equal(encode({ object: null }).body.length, 0);
    const none = encode(undefined);
    assert.equal(none.type, 0);
    assert.equal(none.body.length, 0);
  });

  it("carries the headers of JMS", () => {
    const message = encode("x", {
      correlationId: "c",
      replyTo: "answers",
      type: "t",
      groupId: "g",
      ttl: 500,
      delay: 1000,
      priority: 9,
      durable: false,
    });
    assert.deepEqual(property(message, "JMSCorrelationID"), { type: "string", value: "c" });
    assert.deepEqual(property(message, "JMSReplyTo"), { type: "string", value: "queue://answers" });
    assert.deepEqual(property(message, "JMSType"), { type: "string", value: "t" });
    assert.deepEqual(property(message, "_AMQ_GROUP_ID"), { type: "string", value: "g" });
    assert.deepEqual(property(message, "_AMQ_SCHED_DELIVERY"), {
      type: "long",
      value: nowMs + 1000,
    });
    assert.equal(message.expiration, nowMs + 500);
    assert.equal(message.priority, 9);
    assert.equal(message.durable, false);
  });

  it("carries a correlation id that is no text", () => {
    const bytes = new Uint8Array([0, 255]);
    const message = encode("x", { correlationId: "c", correlationBytes: bytes });
    assert.deepEqual(property(message, "JMSCorrelationID"), { type: "bytes", value: bytes });
  });

  it("takes absolute times before spans", () => {
    const message = encode("x", { ttl: 1, expiresAt: 5000, delay: 1, deliverAt: new Date(6000) });
    assert.equal(message.expiration, 5000);
    assert.deepEqual(property(message, "_AMQ_SCHED_DELIVERY"), { type: "long", value: 6000 });
  });

  it("ends with its producer mark when it is durable", () => {
    const message = encode("x");
    assert.deepEqual(property(message, "_AMQ_DUPL_ID"), { type: "bytes", value: mark });
    assert.equal(message.sequenceAt, message.bytes.length - 8);
    assert.deepEqual(message.bytes.subarray(-32), mark);
    const volatile = encode("x", { durable: false });
    assert.equal(property(volatile, "_AMQ_DUPL_ID"), undefined);
    assert.equal(volatile.sequenceAt, -1);
  });

  it("carries the application's duplicate id instead, and the mark beside it only on Everhold", () => {
    const beside = encode("x", { duplicateId: "mine" });
    assert.deepEqual(property(beside, "_AMQ_DUPL_ID"), { type: "string", value: "mine" });
    assert.deepEqual(property(beside, "_EVH_SEQ"), { type: "bytes", value: mark });
    assert.equal(beside.sequenceAt, beside.bytes.length - 8);
    const alone = encode("x", { duplicateId: "mine" }, { markBesideId: false });
    assert.equal(property(alone, "_EVH_SEQ"), undefined);
    assert.equal(alone.sequenceAt, -1);
  });

  it("is refused with EVH_MESSAGE_FORMAT when it has no form on the wire", () => {
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    const wrong: readonly [Body, MessageOptions][] = [
      [{ json: circular }, {}],
      [{ json: undefined }, {}],
      [{ map: { a: { type: "byte", value: 200 } } }, {}],
      [{ stream: [{ type: "byte", value: 200 }] }, {}],
      [JSON.parse('{"stream":1}'), {}],
      [JSON.parse('{"object":"a"}'), {}],
      ["x", { priority: 10 }],
      ["x", { priority: 1.5 }],
      ["x", { ttl: -1 }],
      ["x", { deliverAt: Number.NaN }],
      ["x", { properties: { JMSReplyTo: "a" } }],
      ["x", { properties: { _AMQ_DUPL_ID: "a" } }],
      ["x", { properties: { a: typed.char("ab") } }],
      ["x", { properties: { a: 2n ** 64n } }],
      ["x", { correlationId: JSON.parse("5") }],
      [JSON.parse("5"), {}],
      [JSON.parse("null"), {}],
    ];
    for (const [body, options] of wrong) {
      assert.throws(
        () => encode(body, options),
        (error: unknown) => EverholdError.is(error, "EVH_MESSAGE_FORMAT"),
      );
    }
  });

  it("is refused with EVH_FRAME_TOO_LARGE beyond the limit of a frame", () => {
    assert.throws(
      () => encode(new Uint8Array(64 * 1024 * 1024)),
      (error: unknown) => EverholdError.is(error, "EVH_FRAME_TOO_LARGE"),
    );
  });
});

describe("a property", () => {
  it("gets the Java type that its JavaScript value calls for", () => {
    const cases: readonly [PropertyValue, string][] = [
      [1, "int"],
      [-(2 ** 31), "int"],
      [2 ** 31, "long"],
      [Number.MAX_SAFE_INTEGER, "long"],
      [2 ** 60, "double"],
      [0.5, "double"],
      [-0, "double"],
      [Number.NaN, "double"],
      [1n, "long"],
      ["s", "string"],
      [true, "boolean"],
      [null, "null"],
      [new Uint8Array(1), "bytes"],
      [typed.byte(1), "byte"],
      [typed.short(1), "short"],
      [typed.int(1), "int"],
      [typed.long(1), "long"],
      [typed.float(1), "float"],
      [typed.double(1), "double"],
      [typed.char("c"), "char"],
    ];
    for (const [value, type] of cases) assert.equal(toTypedValue("p", value).type, type);
  });

  it("comes back as it was sent, for every number and string", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.oneof(fc.double(), fc.integer(), fc.string())),
        (map) => {
          const names = Object.keys(map).filter((name) => !/^(_|JMS)/.test(name));
          const properties = Object.fromEntries(names.map((name) => [name, map[name] ?? 0]));
          const message = encode("x", { properties });
          for (const name of names) {
            assert.ok(Object.is(message.properties.get(name)?.value, properties[name]));
          }
        },
      ),
    );
  });
});
