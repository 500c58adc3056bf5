import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BrokerState } from "./broker-state.ts";
import { MemoryLog } from "./memory-log.test-support.ts";
import { MessagePlan } from "./message-plan.ts";
import { defaultQueueDefinition } from "./queue-definition.ts";
import type { QueueState } from "./queue-state.ts";
import { createRowView } from "./row-bodies.ts";
import { ScanCursor } from "./scan-cursor.ts";

/** One address `a` with stored queues, on a log in memory. */
class OneAddress {
  readonly log = new MemoryLog();
  readonly state = new BrokerState(this.log);
  readonly plan = new MessagePlan();

  constructor() {
    this.state.recovered();
    this.state.afterRecovery(1_800_000_000_000);
    this.state.createAddress({ name: "a", routingTypes: ["multicast"], autoCreated: false });
  }

  queue(name: string, isTemporary = false): QueueState {
    const definition = defaultQueueDefinition(name, "a", "multicast");
    return this.state.createQueue({ ...definition, temporary: isTemporary });
  }

  send(queues: readonly QueueState[], priority: number, isDurable: boolean): number {
    const bytes = new Uint8Array(40);
    const address = this.state.findAddress("a");
    assert.ok(address);
    this.plan.begin(address, bytes, new DataView(bytes.buffer), 0, 40, 8);
    this.plan.priority = priority;
    this.plan.isDurable = isDurable;
    for (const queue of queues) this.plan.addTarget(queue);
    this.state.addMessage(this.plan);
    return this.plan.keys[0] ?? -1;
  }

  takeAll(queue: QueueState): number[] {
    const keys: number[] = [];
    for (;;) {
      const key = queue.firstReady(this.log.commitPosition);
      if (key < 0) return keys;
      queue.take(key);
      keys.push(key);
    }
  }
}

describe("QueueState", () => {
  it("hands out by priority, and by arrival within a priority, durable or not", () => {
    const one = new OneAddress();
    const queue = one.queue("q");
    const low = one.send([queue, one.queue("other")], 1, true);
    const first = one.send([queue], 4, true);
    const second = one.send([queue], 4, false);
    const third = one.send([queue], 4, true);
    const fourth = one.send([queue], 4, false);
    const fifth = one.send([queue], 4, false);
    const high = one.send([queue], 9, false);
    one.log.commit();
    const order = [high, first, second, third, fourth, fifth, low];
    assert.deepEqual(one.takeAll(queue), order);
    for (const key of [fifth, third, second]) queue.giveBack(key);
    assert.deepEqual(one.takeAll(queue), [second, third, fifth]);
    one.state.assertInvariants();
  });

  it("brings priorities beyond 0 to 9 into that range", () => {
    const one = new OneAddress();
    const queue = one.queue("q");
    const view = createRowView();
    queue.read(one.send([queue], 127, true), view);
    assert.equal(view.priority, 9);
    queue.read(one.send([queue], -5, true), view);
    assert.equal(view.priority, 0);
  });

  it("shows a durable message only when it is committed, and what is in memory at once", () => {
    const one = new OneAddress();
    const queue = one.queue("q");
    one.log.commit();
    const durable = one.send([queue], 4, true);
    const inMemory = one.send([queue], 4, false);
    assert.deepEqual(one.takeAll(queue), [inMemory]);
    assert.equal(queue.readyCount, 1);
    one.log.commit();
    assert.deepEqual(one.takeAll(queue), [durable]);
  });

  it("shows a moved message only when its move is committed", () => {
    const one = new OneAddress();
    const [queue, dead] = [one.queue("q"), one.queue("dead")];
    const before = one.send([dead], 4, true);
    const key = one.send([queue], 4, true);
    one.log.commit();
    one.state.move(queue, key, [dead], "attempts");
    assert.deepEqual(one.takeAll(dead), [before]);
    one.log.commit();
    assert.equal(one.takeAll(dead).length, 1);
    assert.equal(queue.messageCount, 0);
    assert.equal(one.log.retained.size, 2);
  });

  it("waits with the first hand-over of a stored message until the dispatch limit is committed", () => {
    const one = new OneAddress();
    const queue = one.queue("q");
    const key = one.send([queue], 4, true);
    one.log.commit();
    assert.equal(one.state.prepareDispatch(queue, key), false);
    assert.equal(one.state.prepareDispatch(queue, key), false);
    one.log.commit();
    const end = one.log.endPosition;
    assert.equal(one.state.prepareDispatch(queue, key), true);
    assert.equal(one.log.endPosition, end);
  });

  it("needs no dispatch limit for what a restart forgets", () => {
    const one = new OneAddress();
    const [stored, temporary] = [one.queue("q"), one.queue("t", true)];
    assert.equal(one.state.prepareDispatch(stored, one.send([stored], 4, false)), true);
    assert.equal(one.state.prepareDispatch(temporary, one.send([temporary], 4, true)), true);
  });

  it("keeps one body in the journal for a stored and a temporary queue", () => {
    const one = new OneAddress();
    const [stored, temporary] = [one.queue("q"), one.queue("t", true)];
    one.send([temporary, stored], 4, true);
    const view = createRowView();
    assert.ok(temporary.read(one.plan.keys[0] ?? -1, view));
    assert.equal(view.isInJournal, true);
    assert.equal(one.state.arena.rowCount, 0);
    assert.deepEqual([...one.log.retained.values()], [2]);
    one.state.deleteQueue(temporary);
    assert.deepEqual([...one.log.retained.values()], [1]);
    one.state.deleteQueue(stored);
    assert.equal(one.log.retained.size, 0);
  });

  it("keeps messages for temporary queues out of the journal", () => {
    const one = new OneAddress();
    const temporary = one.queue("t", true);
    const end = one.log.endPosition;
    one.send([temporary], 4, true);
    assert.equal(one.log.endPosition, end);
    assert.equal(one.plan.recordPosition, -1);
    assert.equal(one.state.arena.rowCount, 1);
    one.state.deleteQueue(temporary);
    assert.equal(one.state.arena.rowCount, 0);
    one.state.assertInvariants();
  });

  it("lets a cursor go on where it was while messages before and behind it go", () => {
    const one = new OneAddress();
    const queue = one.queue("q");
    const keys: number[] = [];
    for (let index = 0; index < 100; index += 1) keys.push(one.send([queue], 4, index % 3 > 0));
    one.log.commit();
    const cursor = new ScanCursor();
    const { commitPosition } = one.log;
    for (const key of keys.slice(0, 50))
      assert.equal(queue.scan(cursor, commitPosition, false), key);
    one.state.acknowledge(queue, keys.slice(40, 60), 20);
    queue.take(keys[60] ?? -1);
    assert.equal(queue.scan(cursor, commitPosition, false), keys[61]);
    queue.giveBack(keys[60] ?? -1);
    cursor.rewind(keys[60] ?? -1);
    assert.equal(queue.scan(cursor, commitPosition, false), keys[60]);
    const high = one.send([queue], 9, false);
    assert.equal(queue.scan(cursor, commitPosition, false), high);
    cursor.reset();
    queue.take(high);
    assert.equal(queue.scan(cursor, commitPosition, true), high);
    assert.equal(queue.scan(cursor, commitPosition, true), keys[0]);
  });

  it("counts what expires, what is in flight and the bytes of its messages", () => {
    const one = new OneAddress();
    const [queue, other] = [one.queue("q"), one.queue("other")];
    const key = one.send([queue, other], 4, true);
    one.log.commit();
    queue.take(key);
    const address = one.state.findAddress("a");
    assert.deepEqual([queue.readyCount, queue.inFlightCount, queue.bytes], [0, 1, 40]);
    assert.deepEqual([address?.messageCount, address?.bytes], [2, 80]);
    one.state.acknowledge(queue, [key], 1);
    assert.deepEqual([queue.messageCount, queue.bytes, address?.bytes], [0, 0, 40]);
  });
});
