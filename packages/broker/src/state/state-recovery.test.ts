import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError, type ErrorCode } from "@everhold/base";
import { recordHeaderBytes } from "@everhold/journal";
import { ByteWriter } from "@everhold/wire";
import { BrokerState } from "./broker-state.ts";
import { MemoryLog, MemorySnapshot } from "./memory-log.test-support.ts";
import { MessagePlan } from "./message-plan.ts";
import { defaultQueueDefinition } from "./queue-definition.ts";
import { createRowView } from "./row-bodies.ts";
import { moveRecord, recordTypes } from "./records.ts";
import { stateLimits } from "./state-limits.ts";

const nowMs = 1_800_000_000_000;

function startedState(log: MemoryLog): BrokerState {
  const state = new BrokerState(log);
  state.recovered();
  state.afterRecovery(nowMs);
  state.createAddress({ name: "a", routingTypes: ["anycast"], autoCreated: true });
  state.createQueue(defaultQueueDefinition("q", "a", "anycast"));
  return state;
}

/** Sends a message with a mark and a duplicate id to queue `q`; returns its key. */
function send(state: BrokerState, sequence: number, dueMs = 0): number {
  const [queue, address] = [state.findQueue("q"), state.findAddress("a")];
  assert.ok(queue);
  assert.ok(address);
  const plan = new MessagePlan();
  const bytes = new Uint8Array(50).fill(sequence);
  plan.begin(address, bytes, new DataView(bytes.buffer), 0, 50, 8);
  plan.setProducerMark(new Uint8Array(16), 0, 1, sequence);
  plan.setDuplicateId(bytes, 0, 20);
  plan.dueMs = dueMs;
  plan.addTarget(queue);
  state.addMessage(plan);
  return plan.keys[0] ?? -1;
}

/** A log with a queue, two messages, an acknowledgement of the first, and two for later, of which one is due. */
function smallLog(): MemoryLog {
  const log = new MemoryLog();
  const state = startedState(log);
  const key = send(state, 1);
  send(state, 2);
  send(state, 3, nowMs + 1000);
  send(state, 4, nowMs + 2000);
  const queue = state.findQueue("q");
  assert.ok(queue);
  state.acknowledge(queue, [key], 1);
  state.fallDue(nowMs + 1000, 10, () => {});
  return log;
}

function recover(log: MemoryLog, snapshot?: MemorySnapshot): BrokerState {
  const twin = log.prefix(log.endPosition);
  const state = new BrokerState(twin);
  twin.recover(state, snapshot);
  return state;
}

function refusal(code: ErrorCode, text: RegExp): (error: unknown) => boolean {
  return (error) => EverholdError.is(error, code) && text.test(error.message);
}

/** Leaves the records of one type out of a log. */
function without(log: MemoryLog, type: number): MemoryLog {
  const twin = log.prefix(log.endPosition);
  twin.records.splice(0, Infinity, ...log.records.filter((record) => record.type !== type));
  return twin;
}

describe("recovery of the state", () => {
  it("refuses a record of a type that it does not know, and says what to do", () => {
    const log = smallLog();
    const position = log.append(99, 0, 8);
    const text = new RegExp(`position ${position}: found type 99, .* open the data folder with`);
    assert.throws(() => recover(log), refusal("EVH_DATA_FORMAT", text));
  });

  it("refuses records about a queue that nothing defines", () => {
    const log = without(smallLog(), recordTypes.queue);
    assert.throws(() => recover(log), refusal("EVH_DATA_CORRUPT", /found id 2, which no earlier/));
  });

  it("refuses a queue whose address nothing defines", () => {
    const log = without(smallLog(), recordTypes.address);
    assert.throws(() => recover(log), refusal("EVH_DATA_CORRUPT", /found (id 1|no address)/));
  });

  it("refuses an acknowledgement of a message that is not there", () => {
    const log = without(smallLog(), recordTypes.message);
    assert.throws(() => recover(log), refusal("EVH_DATA_CORRUPT", /which is not there/));
  });

  it("refuses messages whose keys do not follow each other", () => {
    const log = smallLog();
    const twin = log.prefix(log.endPosition);
    const index = twin.records.findIndex((record) => record.type === recordTypes.message);
    twin.records.splice(index, 1);
    assert.throws(() => recover(twin), refusal("EVH_DATA_CORRUPT", /found row key 36, expected 4/));
  });

  it("a later definition of a queue replaces the earlier one", () => {
    const log = new MemoryLog();
    const state = startedState(log);
    send(state, 1);
    const queue = state.findQueue("q");
    assert.ok(queue);
    state.updateQueue(queue, { ...queue.definition, maxConsumers: 3 });
    const found = recover(log);
    assert.equal(found.findQueue("q")?.definition.maxConsumers, 3);
    assert.equal(found.fingerprint(), state.fingerprint());
  });

  it("a queue that changed and ended while a snapshot was written is gone", () => {
    for (const isWritten of [false, true]) {
      const log = new MemoryLog();
      const state = new BrokerState(log, { snapshotSectionBytes: 200 });
      state.recovered();
      state.afterRecovery(nowMs);
      state.createAddress({ name: "a", routingTypes: ["anycast"], autoCreated: true });
      state.createQueue(defaultQueueDefinition("q", "a", "anycast"));
      const keys = Array.from({ length: 20 }, (_, index) => send(state, index + 1));
      const queue = state.findQueue("q");
      assert.ok(queue);
      log.commit();
      const snapshot = new MemorySnapshot(log);
      state.beginSnapshot();
      // One section has the addresses; the next ones begin with the queue, which does not fit into one.
      for (let count = isWritten ? 3 : 1; count > 0; count -= 1) {
        assert.ok(state.nextSnapshotSection(snapshot));
      }
      state.updateQueue(queue, { ...queue.definition, maxConsumers: 3 });
      state.acknowledge(queue, keys.slice(0, 2), 2);
      send(state, 21);
      state.deleteQueue(queue);
      while (state.nextSnapshotSection(snapshot));
      assert.equal(recover(log, snapshot).fingerprint(), state.fingerprint());
    }
  });

  it("refuses a later definition of a queue under another name", () => {
    const log = new MemoryLog();
    startedState(log).createQueue(defaultQueueDefinition("r", "a", "anycast"));
    const twin = log.prefix(log.endPosition);
    const [queue, other] = twin.records.filter((record) => record.type === recordTypes.queue);
    assert.ok(queue);
    assert.ok(other);
    twin.records.push({ ...other, reference: queue.reference, position: twin.endPosition });
    twin.endPosition += other.bytes.length;
    assert.throws(() => recover(twin), refusal("EVH_DATA_CORRUPT", /found another name/));
  });

  it("gives a typed error, or recovers, when any byte of any record is changed", () => {
    const log = smallLog();
    let refusedCount = 0;
    for (const [index, record] of log.records.entries()) {
      for (let at = recordHeaderBytes; at < record.bytes.length; at += 1) {
        const twin = log.prefix(log.endPosition);
        const bytes = record.bytes.slice();
        bytes[at] = (bytes[at] ?? 0) ^ 0x41;
        twin.records[index] = { ...record, bytes, view: new DataView(bytes.buffer) };
        try {
          recover(twin);
        } catch (error) {
          assert.ok(EverholdError.is(error, "EVH_DATA_CORRUPT"), String(error));
          refusedCount += 1;
        }
      }
    }
    assert.ok(refusedCount > 0);
  });

  it("gives a typed error when a section of a snapshot is cut or changed anywhere", () => {
    const log = smallLog();
    const state = recover(log);
    const queue = state.findQueue("q");
    assert.ok(queue);
    const other = state.createQueue(defaultQueueDefinition("other", "a", "anycast"));
    for (let count = 0; count < 2; count += 1)
      state.move(queue, queue.nextStored(4), [other], "admin");
    const snapshot = new MemorySnapshot(log);
    log.commit();
    state.beginSnapshot();
    assert.equal(state.nextSnapshotSection(snapshot), false);
    const section = snapshot.sections[0];
    assert.ok(section);
    const whole = section.bytes;
    const isTyped = (error: unknown): boolean => EverholdError.is(error, "EVH_DATA_CORRUPT");
    for (let end = 0; end < whole.length; end += 1) {
      const bytes = whole.slice(0, end);
      const fresh = new BrokerState(new MemoryLog());
      assert.throws(
        () => fresh.restoreSection(section.kind, 9, bytes, new DataView(bytes.buffer), 0, end),
        isTyped,
      );
    }
    for (let at = 0; at < whole.length; at += 1) {
      const bytes = whole.slice();
      bytes[at] = (bytes[at] ?? 0) ^ 0x41;
      const fresh = new BrokerState(new MemoryLog());
      try {
        fresh.restoreSection(section.kind, 9, bytes, new DataView(bytes.buffer), 0, bytes.length);
        fresh.recovered();
      } catch (error) {
        assert.ok(isTyped(error), String(error));
      }
    }
  });

  it("refuses a section of a kind that it does not know", () => {
    const state = new BrokerState(new MemoryLog());
    const bytes = new Uint8Array(1);
    assert.throws(
      () => state.restoreSection(77, 0, bytes, new DataView(bytes.buffer), 0, 1),
      refusal("EVH_DATA_FORMAT", /kind 77/),
    );
  });

  it("reads a move as it was written before rows knew where they came from", () => {
    const log = new MemoryLog();
    const state = startedState(log);
    const other = state.createQueue(defaultQueueDefinition("other", "a", "anycast"));
    const key = send(state, 1);
    const queue = state.findQueue("q");
    assert.ok(queue);
    const view = createRowView();
    assert.ok(queue.read(key, view));
    const writer = new ByteWriter();
    const { position, messageOffset, messageLength } = view;
    const targets = [{ queueId: other.id, key: other.nextKey(4) }];
    const record = {
      key,
      reason: 0,
      position,
      messageOffset,
      messageLength,
      expirationMs: 0,
      targets,
    };
    moveRecord.write(writer, record, 0);
    log.append(recordTypes.move, queue.id, writer.offset);
    log.bytes.set(writer.written(), log.payloadOffset);
    const found = recover(log).findQueue("other");
    assert.ok(found?.read(targets[0]?.key ?? -1, view));
    assert.deepEqual([view.position, view.dueMs, view.origin], [position, 0, ""]);
  });

  it("refuses a record that says of a message twice that it is due", () => {
    const log = smallLog();
    const due = log.records.find((record) => record.type === recordTypes.due);
    assert.ok(due);
    const twin = log.prefix(log.endPosition);
    twin.records.push({ ...due, position: twin.endPosition });
    twin.endPosition += due.bytes.length;
    assert.throws(() => recover(twin), refusal("EVH_DATA_CORRUPT", /waits for no time/));
  });

  it("refuses a message that is to wait for two times", () => {
    const log = new MemoryLog();
    const state = startedState(log);
    const key = send(state, 1);
    const queue = state.findQueue("q");
    assert.ok(queue);
    state.redeliverLater(queue, key, 1, nowMs + 1000, false);
    const later = log.records.at(-1);
    assert.ok(later);
    assert.equal(recover(log).findQueue("q")?.scheduledCount, 1);
    const twin = log.prefix(log.endPosition);
    twin.records.push({ ...later, position: twin.endPosition });
    twin.endPosition += later.bytes.length;
    assert.throws(() => recover(twin), refusal("EVH_DATA_CORRUPT", /cannot wait for it/));
  });

  it("marks what may have been handed out as redelivered, and nothing above the limit", () => {
    const log = new MemoryLog();
    const state = startedState(log);
    const keys: number[] = [];
    for (let sequence = 1; sequence <= 200; sequence += 1) keys.push(send(state, sequence));
    const queue = state.findQueue("q");
    assert.ok(queue);
    log.commit();
    state.prepareDispatch(queue, keys[0] ?? -1);
    const found = recover(log).findQueue("q");
    assert.ok(found);
    const view = createRowView();
    const marked = keys.filter((key) => found.read(key, view) && view.redelivered);
    assert.deepEqual(marked, keys.slice(0, stateLimits.dispatchLimitStepMin));
    assert.ok(marked.every((key) => found.read(key, view) && view.deliveryCount === 0));
  });

  it("keeps the expiry times of a journal that was begun long ago", () => {
    const log = new MemoryLog();
    const state = startedState(log);
    const [queue, address] = [state.findQueue("q"), state.findAddress("a")];
    assert.ok(queue);
    assert.ok(address);
    const plan = new MessagePlan();
    const bytes = new Uint8Array(20);
    plan.begin(address, bytes, new DataView(bytes.buffer), 0, 20, 8);
    plan.expirationMs = nowMs + 12_345;
    plan.addTarget(queue);
    state.addMessage(plan);
    const later = recover(log);
    later.afterRecovery(nowMs + 1e10);
    const view = createRowView();
    assert.ok(later.findQueue("q")?.read(plan.keys[0] ?? -1, view));
    assert.equal(view.expirationMs, nowMs + 12_400);
  });

  it("forgets producers beyond the limit, those idle for longest first, by a record", () => {
    const log = new MemoryLog();
    const state = startedState(log);
    const id = new Uint8Array(16);
    const view = new DataView(id.buffer);
    for (let number = 0; number < stateLimits.producersMax; number += 1) {
      view.setUint32(0, number);
      state.openProducer(id, 0, 1);
    }
    view.setUint32(0, stateLimits.producersMax);
    assert.equal(state.judgeProducer(id, 0, 1, 1), "new");
    const expected = stateLimits.producersMax - stateLimits.producersPerEvictionMax;
    assert.equal(state.producers.count, expected);
    view.setUint32(0, 0);
    assert.equal(state.judgeProducer(id, 0, 1, 2), "unknown");
    assert.equal(recover(log).producers.count, expected);
  });
});
