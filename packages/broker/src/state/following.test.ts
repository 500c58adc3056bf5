import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BrokerState } from "./broker-state.ts";
import { MemoryLog } from "./memory-log.test-support.ts";
import { MessagePlan } from "./message-plan.ts";
import { defaultQueueDefinition } from "./queue-definition.ts";
import type { QueueState } from "./queue-state.ts";
import { RowStore } from "./row-store.ts";
import { StoredTransaction } from "./stored-transaction.ts";
import { tableSizes } from "./table-sizes.test-support.ts";

const nowMs = 1_800_000_000_000;
const restingMax = 50;
const options = { duplicateIdsMaxOf: () => 100 };

/** A log that hands each record on and forgets it. */
class PassedLog extends MemoryLog {
  passed = 0;

  passTo(log: MemoryLog, state: BrokerState): void {
    for (const record of this.records) log.follow(state, record);
    this.passed += this.records.length;
    this.records.length = 0;
    log.records.length = 0;
    this.commit();
  }
}

/** A state that does all kinds of things while what it holds stays bounded, and one that follows it. */
class BusyPair {
  readonly log = new PassedLog();
  readonly state = new BrokerState(this.log, options);
  readonly followerLog = new MemoryLog();
  readonly follower = new BrokerState(this.followerLog, options);
  readonly #plan = new MessagePlan();
  #turn = 0;
  #clockMs = nowMs;

  constructor() {
    this.state.recovered();
    this.state.afterRecovery(nowMs);
    this.state.createAddress({ name: "a", routingTypes: ["multicast"], autoCreated: true });
    for (const name of ["q", "r", "dead"]) {
      this.state.createQueue(defaultQueueDefinition(name, "a", "multicast"));
    }
  }

  run(recordCount: number): void {
    const end = this.log.passed + recordCount;
    while (this.log.passed < end) {
      this.#turn += 1;
      this.#step(this.#turn);
      this.log.passTo(this.followerLog, this.follower);
    }
    this.follower.forgetBefore(Math.min(...this.log.retained.keys()));
  }

  #step(turn: number): void {
    const [first, second] = [this.#queue("q"), this.#queue("r")];
    const kind = turn % 10;
    if (kind < 5) this.#send(turn, undefined);
    else if (kind === 5) this.#transact(turn);
    else if (kind === 6) this.#move(first);
    else if (kind === 7) this.#changeCatalog(turn);
    else if (kind === 8) {
      this.#clockMs += 1_000;
      const showDue = (queue: QueueState, keys: readonly number[]): void => {
        for (const key of keys) queue.showDue(key);
      };
      this.state.fallDue(this.#clockMs, 10, showDue);
    } else this.state.evictProducers(this.log.endPosition, 20);
    for (const queue of [first, second, this.#queue("dead")]) this.#settle(queue, turn);
  }

  #send(turn: number, transaction: StoredTransaction | undefined): void {
    const address = this.state.findAddress("a");
    assert.ok(address);
    const plan = this.#plan;
    const bytes = new Uint8Array(32).fill(turn % 251);
    plan.begin(address, bytes, new DataView(bytes.buffer), 0, bytes.length, 8);
    const body = turn % 20 === 1 ? this.state.newLargeBody() : undefined;
    if (body !== undefined) this.state.appendPart(body, bytes, 0, bytes.length);
    plan.largeBody = body;
    plan.dueMs = turn % 7 === 0 ? this.#clockMs + 3_000 : 0;
    plan.group = turn % 3;
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, turn);
    plan.setProducerMark(id, 0, 1, 1);
    plan.setDuplicateId(id, 0, id.length);
    plan.divert(`divert ${turn}`);
    plan.addTarget(this.#queue("q"), `value ${turn}`);
    plan.addTarget(this.#queue("r"), "value");
    if (transaction === undefined) this.state.addMessage(plan);
    else this.state.transactions.addMessage(transaction, plan);
    body?.release();
  }

  #transact(turn: number): void {
    const { transactions } = this.state;
    const transaction = new StoredTransaction();
    this.#send(turn, transaction);
    const queue = this.#queue("q");
    const key = queue.firstReady(this.log.commitPosition);
    if (key >= 0) {
      queue.take(key);
      transactions.addAcknowledgements(transaction, queue, [key]);
    }
    const isPrepared = turn % 20 < 10;
    const globalTransactionId = new Uint8Array(8);
    new DataView(globalTransactionId.buffer).setUint32(0, turn);
    const xid = { formatId: 1, globalTransactionId, branchQualifier: new Uint8Array(1) };
    if (isPrepared) transactions.prepare(transaction, xid, nowMs);
    if (turn % 30 < 20) {
      transactions.commit(transaction, false);
      return;
    }
    transactions.rollback(transaction, false);
    if (key >= 0) queue.giveBack(key);
  }

  #move(queue: QueueState): void {
    const key = queue.firstReady(this.log.commitPosition);
    if (key < 0) return;
    const position = this.state.move(queue, key, [this.#queue("dead")], "attempts", `cause ${key}`);
    assert.ok(position >= 0);
  }

  #changeCatalog(turn: number): void {
    const name = `other ${turn}`;
    const address = this.state.createAddress({
      name,
      routingTypes: ["anycast"],
      autoCreated: true,
    });
    const queue = this.state.createQueue(defaultQueueDefinition(name, name, "anycast"));
    this.state.setSession(name, { user: "", queueIds: [queue.id] });
    this.state.setSession(name, null);
    this.state.setSettings(name, "{}");
    this.state.setSettings(name, null);
    this.state.deleteQueue(queue);
    this.state.deleteAddress(address);
  }

  /** Hands one message out, and settles the oldest ones of too many. */
  #settle(queue: QueueState, turn: number): void {
    queue.takeSuperseded();
    const key = queue.firstReady(this.log.commitPosition);
    if (key >= 0) this.state.prepareDispatch(queue, key);
    if (key >= 0 && turn % 11 === 0) {
      this.state.redeliverLater(queue, key, 1, this.#clockMs + 2_000, false);
    }
    while (queue.messageCount > restingMax) {
      const keys: number[] = [];
      queue.lanes.forEach((_row, one) => keys.push(one));
      this.state.acknowledge(queue, keys, keys.length);
    }
  }

  #queue(name: string): QueueState {
    const queue = this.state.findQueue(name);
    assert.ok(queue);
    return queue;
  }
}

/** What follows a state in which so many messages rest, of which a consumer was handed all. */
function followed(messageCount: number): BrokerState {
  const log = new PassedLog();
  const state = new BrokerState(log);
  const followerLog = new MemoryLog();
  const follower = new BrokerState(followerLog);
  state.recovered();
  state.afterRecovery(nowMs);
  const address = state.createAddress({ name: "a", routingTypes: ["anycast"], autoCreated: true });
  const queue = state.createQueue(defaultQueueDefinition("q", "a", "anycast"));
  const plan = new MessagePlan();
  const bytes = new Uint8Array(32);
  for (let count = 0; count < messageCount; count += 1) {
    const body = state.newLargeBody();
    state.appendPart(body, bytes, 0, bytes.length);
    plan.begin(address, bytes, new DataView(bytes.buffer), 0, bytes.length, 8);
    plan.largeBody = body;
    plan.addTarget(queue);
    state.addMessage(plan);
    body.release();
    log.passTo(followerLog, follower);
  }
  for (let key = queue.nextReady(); key >= 0; key = queue.nextReady()) {
    state.prepareDispatch(queue, key);
    queue.take(key);
    log.passTo(followerLog, follower);
  }
  return follower;
}

/** Calls of methods of `prototypes` during `act`. */
function countCalls(prototypes: readonly object[], act: () => void): number {
  let count = 0;
  const undo: (() => void)[] = [];
  for (const prototype of prototypes) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      const method: unknown = property.value;
      if (name === "constructor" || typeof method !== "function") continue;
      Object.defineProperty(prototype, name, {
        ...property,
        value(this: unknown, ...values: unknown[]): unknown {
          count += 1;
          return Reflect.apply(method, this, values);
        },
      });
      undo.push(() => Object.defineProperty(prototype, name, property));
    }
  }
  act();
  for (const one of undo) one();
  return count;
}

describe("a state that follows another one", () => {
  it("has no table that grows with the records that it applies", () => {
    const pair = new BusyPair();
    pair.run(100_000);
    const before = tableSizes(pair.follower);
    pair.run(100_000);
    const after = tableSizes(pair.follower);
    assert.ok(before.size > 30, `${before.size} tables are looked at`);
    for (const [path, size] of after) {
      // These fill up to limits of their own, which so many records do not reach.
      const isFilling = path.includes(".decided") || path.includes(".moved.");
      const bound = (before.get(path) ?? 0) * (isFilling ? 2.5 : 1.5) + 200;
      assert.ok(size <= bound, `${path} has ${size} entries, and had ${before.get(path)}`);
    }
    pair.follower.recovered();
    pair.follower.assertInvariants();
    assert.equal(pair.follower.fingerprint(), pair.state.fingerprint());
  });

  it("takes over with as many steps for many messages at rest as for few", () => {
    const iterators = [new Map().values(), new Set().values()];
    const tables = [RowStore.prototype, Map.prototype, Set.prototype];
    const prototypes = [...tables, ...iterators.map((one) => Object.getPrototypeOf(one) as object)];
    const [few, many] = [1_000, 100_000].map((messageCount) => {
      const follower = followed(messageCount);
      const count = countCalls(prototypes, () => follower.recovered());
      assert.equal(follower.messageCount, messageCount);
      return count;
    });
    assert.ok(few !== undefined && many !== undefined);
    assert.equal(many, few);
  });
});
