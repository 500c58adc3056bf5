import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { recordBytes, recordHeaderBytes } from "@everhold/journal";
import { ByteWriter } from "@everhold/wire";
import fc from "fast-check";
import { acknowledgeBytes, readAcknowledge, writeAcknowledge } from "./acknowledge-record.ts";
import { AddressState } from "./address-state.ts";
import {
  createMessageRecordView,
  originsOf,
  readMessage,
  targetKey,
  targetQueueId,
} from "./read-message.ts";
import { MessagePlan } from "./message-plan.ts";
import { defaultQueueDefinition, queueDefinition } from "./queue-definition.ts";
import { QueueState } from "./queue-state.ts";
import {
  moveRecord,
  numberAppliedBytes,
  numberAppliedRecord,
  producerRefusedRecord,
  queueRecord,
  readRecord,
} from "./records.ts";
import { sessionRecord } from "./returning-sessions.ts";
import { rowKey, sequenceMax } from "./row-key.ts";
import { StateTables } from "./state-tables.ts";
import { MemoryLog } from "./memory-log.test-support.ts";
import { committedAsRecord } from "./transaction-records.ts";
import { messageBytes, messageOffsetOf, writeMessage } from "./write-message.ts";

const position = 4_096_000;

function isCorrupt(error: unknown): boolean {
  return EverholdError.is(error, "EVH_DATA_CORRUPT");
}

function readKeys(bytes: Uint8Array, end: number): number[] {
  const keys: number[] = [];
  const view = new DataView(bytes.buffer);
  readAcknowledge(position, bytes, view, 0, end, (key) => keys.push(key));
  return keys;
}

const messageInput = fc
  .record({
    body: fc.uint8Array({ minLength: 8, maxLength: 200 }),
    targets: fc.uniqueArray(fc.integer({ min: 1, max: 0xffff_ffff }), { maxLength: 10 }),
    sequence: fc.maxSafeNat().map((value) => value % (sequenceMax - 10)),
    expirationMs: fc.oneof(fc.constant(0), fc.maxSafeNat()),
    dueMs: fc.oneof(fc.constant(0), fc.maxSafeNat()),
    mark: fc.option(fc.tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.maxSafeNat())),
    duplicateId: fc.option(fc.uint8Array({ maxLength: 60 })),
    priority: fc.integer({ min: 0, max: 9 }),
    origins: fc.array(fc.constantFrom("", "divert", "other divert"), { maxLength: 10 }),
  })
  // Without any of these there is no record.
  .filter(
    ({ targets, mark, duplicateId }) => targets.length > 0 || mark !== null || duplicateId !== null,
  );

function originOf({ origins }: { readonly origins: readonly string[] }, index: number): string {
  return origins[index] ?? "";
}

/** A plan like the input, and its record's payload with padding. */
function writeOne(input: typeof messageInput extends fc.Arbitrary<infer T> ? T : never): {
  plan: MessagePlan;
  bytes: Uint8Array;
} {
  const tables = new StateTables(new MemoryLog());
  const address = new AddressState(1, { name: "a", routingTypes: [], autoCreated: false }, true);
  const plan = new MessagePlan();
  const { body, mark, duplicateId } = input;
  plan.begin(address, body, new DataView(body.buffer), 0, body.length, 0);
  plan.priority = input.priority;
  plan.expirationMs = input.expirationMs;
  plan.dueMs = input.dueMs;
  if (mark !== null) plan.setProducerMark(mark[0], 0, 7, mark[1]);
  if (duplicateId !== null) plan.setDuplicateId(duplicateId, 0, duplicateId.length);
  const definition = defaultQueueDefinition("q", "a", "anycast");
  input.targets.forEach((id, index) => {
    plan.divert(originOf(input, index));
    plan.addTarget(new QueueState(tables, id, definition, true));
  });
  plan.prepareKeys();
  input.targets.forEach((_, index) => {
    plan.keys[index] = rowKey(input.sequence + index, input.priority);
  });
  const bytes = new Uint8Array(recordBytes(messageBytes(plan)));
  writeMessage(plan, position, bytes, new DataView(bytes.buffer), recordHeaderBytes);
  return { plan, bytes };
}

describe("MESSAGE records", () => {
  it("read back as they were written", () => {
    const view = createMessageRecordView();
    fc.assert(
      fc.property(messageInput, (input) => {
        const { plan, bytes } = writeOne(input);
        const data = new DataView(bytes.buffer);
        readMessage(position, bytes, data, recordHeaderBytes, bytes.length, view);
        assert.equal(view.targetCount, input.targets.length);
        input.targets.forEach((id, index) => {
          assert.equal(targetQueueId(view, data, index), id);
          assert.equal(targetKey(view, data, index, position), plan.keys[index]);
          assert.equal(plan.diversions.originOf(index), originOf(input, index));
          const found = originsOf(view, bytes, position);
          assert.equal(found?.(index) ?? "", originOf(input, index));
        });
        assert.equal(view.expirationMs, input.expirationMs);
        assert.equal(view.dueMs, input.dueMs);
        assert.equal(view.markAt >= 0, input.mark !== null);
        if (input.mark !== null) {
          assert.deepEqual(bytes.slice(view.markAt, view.markAt + 16), input.mark[0]);
          assert.deepEqual([view.markEpoch, view.markSequence], [7, input.mark[1]]);
        }
        assert.equal(view.duplicateStart >= 0, input.duplicateId !== null);
        if (input.duplicateId !== null) {
          const found = bytes.slice(view.duplicateStart, view.duplicateEnd);
          assert.deepEqual(found, input.duplicateId);
        }
        if (input.targets.length === 0) {
          assert.equal(view.messageLength, 0);
          return;
        }
        assert.equal(view.messageOffset, messageOffsetOf(plan));
        assert.equal(view.messageLength, input.body.length);
        const message = bytes.slice(view.messageOffset, view.messageOffset + view.messageLength);
        assert.equal(new DataView(message.buffer).getBigInt64(0), BigInt(position));
        assert.deepEqual(message.slice(8), input.body.slice(8));
      }),
      { numRuns: 300 },
    );
  });

  it("are refused when they end anywhere else than where they ended", () => {
    const view = createMessageRecordView();
    const input = {
      body: new Uint8Array(20).fill(3),
      targets: [1, 2],
      sequence: 5,
      expirationMs: 77,
      dueMs: 99,
      mark: [new Uint8Array(16), 9] as [Uint8Array<ArrayBuffer>, number],
      duplicateId: new Uint8Array(5).fill(1),
      priority: 4,
      origins: ["" as const, "divert" as const],
    };
    const { plan, bytes } = writeOne(input);
    const data = new DataView(bytes.buffer);
    const end = recordHeaderBytes + messageBytes(plan);
    for (let cut = recordHeaderBytes; cut < end; cut += 1) {
      assert.throws(
        () => readMessage(position, bytes, data, recordHeaderBytes, cut, view),
        isCorrupt,
      );
    }
    const longer = new Uint8Array(end + 8);
    longer.set(bytes);
    const longView = new DataView(longer.buffer);
    assert.throws(
      () => readMessage(position, longer, longView, recordHeaderBytes, end + 8, view),
      isCorrupt,
    );
  });

  it("give a typed error or a valid reading for any bytes", () => {
    const view = createMessageRecordView();
    fc.assert(
      fc.property(messageInput, fc.array(fc.tuple(fc.nat(), fc.nat(255))), (input, changes) => {
        const { bytes } = writeOne(input);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        const data = new DataView(bytes.buffer);
        try {
          readMessage(position, bytes, data, recordHeaderBytes, bytes.length, view);
          for (let index = 0; index < view.targetCount; index += 1) {
            targetKey(view, data, index, position);
          }
        } catch (error) {
          if (!isCorrupt(error)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("ACKNOWLEDGE records", () => {
  const key = fc.tuple(fc.nat(60), fc.constantFrom(0, 4, 9, 16, 20)).map(([s, l]) => rowKey(s, l));

  it("name the durable ones of the keys, in their order", () => {
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 80 }), (keys) => {
        const size = acknowledgeBytes(keys, keys.length);
        const durable = keys.filter((one) => one % 32 < 16);
        assert.equal(size > 0, durable.length > 0);
        if (size === 0) return;
        const bytes = new Uint8Array(Math.ceil(size / 8) * 8);
        writeAcknowledge(new DataView(bytes.buffer), 0, keys, keys.length);
        assert.deepEqual(readKeys(bytes, bytes.length), durable);
        for (let end = 0; end < size; end += 1) {
          assert.throws(() => readKeys(bytes, end), isCorrupt);
        }
      }),
    );
  });

  it("take 16 bytes for a thousand messages in order", () => {
    const keys = new Float64Array(1000);
    for (let index = 0; index < 1000; index += 1) keys[index] = rowKey(index + 77, 4);
    assert.equal(acknowledgeBytes(keys, 1000), 16);
  });
});

describe("records defined as data", () => {
  const id = new Uint8Array(16).fill(5);

  function write<T>(
    field: { write(writer: ByteWriter, value: T, version: number): void },
    value: T,
  ): Uint8Array {
    const writer = new ByteWriter();
    field.write(writer, value, 0);
    const bytes = new Uint8Array(Math.ceil(writer.offset / 8) * 8);
    bytes.set(writer.toBytes());
    return bytes;
  }

  function read<T>(field: Parameters<typeof readRecord<T>>[0], bytes: Uint8Array, end: number): T {
    return readRecord(field, position, bytes, new DataView(bytes.buffer), 0, end);
  }

  it("keep every attribute of a queue", () => {
    const definition = {
      ...defaultQueueDefinition("größe", "adresse", "anycast"),
      filter: "color = 'blue'",
      durable: true,
      autoCreated: true,
      maxConsumers: 3,
      purgeOnNoConsumers: true,
      exclusive: true,
      lastValue: false,
      lastValueKey: "key",
      nonDestructive: false,
      consumersBeforeDispatch: 2,
      delayBeforeDispatch: -1,
      groupRebalance: true,
      groupBuckets: -1,
      autoDelete: true,
      autoDeleteDelay: 30_000,
      autoDeleteMessageCount: -1,
      groupFirstKey: "first",
      ringSize: 10,
      enabled: true,
      groupRebalancePauseDispatch: false,
    };
    assert.deepEqual(
      Object.keys(definition).toSorted(),
      Object.keys(queueDefinition.fields).toSorted(),
    );
    const bytes = write(queueRecord, { addressId: 7, definition });
    assert.deepEqual(read(queueRecord, bytes, bytes.length), { addressId: 7, definition });
  });

  it("give a typed error when they end early, go on, or have bytes in their padding", () => {
    const bytes = write(moveRecord, {
      key: 36,
      reason: 1,
      position: 4096,
      messageOffset: 40,
      messageLength: 100,
      expirationMs: 0,
      targets: [{ queueId: 3, key: 4 }],
    });
    const payload = 37 + 12;
    assert.equal(read(moveRecord, bytes, bytes.length).messageLength, 100);
    for (let end = 0; end < payload; end += 1) {
      assert.throws(() => read(moveRecord, bytes, end), isCorrupt);
    }
    const longer = new Uint8Array(bytes.length + 8);
    longer.set(bytes);
    assert.throws(() => read(moveRecord, longer, longer.length), isCorrupt);
    bytes[bytes.length - 1] = 1;
    assert.throws(() => read(moveRecord, bytes, bytes.length), isCorrupt);
  });

  it("of numbered commits and returning sessions have the bytes that were agreed on", () => {
    const number = { producerId: id, epoch: 2, number: 3 };
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
    const applied = write(numberAppliedRecord, number);
    const idHex = hex(id);
    assert.equal(hex(applied), `${idHex}000000020000000000000003${"00".repeat(4)}`);
    assert.equal(numberAppliedBytes, applied.length - 4);
    const runs = [{ queueId: 5, key: 6, count: 7 }];
    assert.equal(
      hex(write(committedAsRecord, { ...number, transaction: 4, runs })),
      `${idHex}0000000200000000000000030000000000000004` +
        "0000000100000005000000000000000600000007",
    );
    const session = { name: "s", user: "", queueIds: [8] };
    assert.equal(
      hex(write(sessionRecord, session)),
      // Name, user, one queue, and padding.
      ["000000010073", "00000000", "0000000100000008", "00".repeat(6)].join(""),
    );
  });

  it("read an error code that a later version added as a plain refusal", () => {
    const value = { id, epoch: 1, first: 1, last: 2, code: "EVH_ADDRESS_FULL" as const };
    const bytes = write(producerRefusedRecord, value);
    assert.equal(read(producerRefusedRecord, bytes, bytes.length).code, "EVH_ADDRESS_FULL");
    for (let index = 0; index < bytes.length - 1; index += 1) {
      if (bytes[index] === 0x46) bytes[index] = 0x47;
    }
    assert.equal(read(producerRefusedRecord, bytes, bytes.length).code, "EVH_REJECTED");
  });
});
