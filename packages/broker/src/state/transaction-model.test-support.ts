import assert from "node:assert/strict";
import { MessagePlan } from "./message-plan.ts";
import { defaultQueueDefinition } from "./queue-definition.ts";
import type { ProducerNumber } from "./producer-marks.ts";
import type { QueueState } from "./queue-state.ts";
import { RecordedState } from "./recorded-state.test-support.ts";
import { createRowView } from "./row-bodies.ts";
import { createPendingMessage, StoredTransaction } from "./stored-transaction.ts";
import type { Xid } from "./xid.ts";

/** One step of a test: what to do, and numbers to choose by. */
export interface TransactionStep {
  readonly kind: string;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

interface ModelSend {
  readonly serial: number;
  readonly queues: readonly string[];
}

/** What the model keeps of a transaction. */
interface ModelTransaction {
  readonly stored: StoredTransaction;
  readonly sends: ModelSend[];
  /** Serials that it acknowledged, by the queue's name. */
  readonly acknowledged: { readonly queue: string; readonly serial: number }[];
  readonly duplicates: { readonly address: string; readonly id: string }[];
  xid: Xid | undefined;
}

interface ModelQueue {
  readonly name: string;
  readonly state: QueueState;
  /** Serials in their order; those in a transaction's hands as well. */
  serials: number[];
  readonly held: Set<number>;
}

const nowMs = 1_800_000_000_000;
const messageIdAt = 16;

/** A state with transactions in pieces on a log in memory, beside arrays that do the same. */
export class TransactionModel extends RecordedState {
  readonly #queues = new Map<string, ModelQueue>();
  readonly #open: ModelTransaction[] = [];
  readonly #duplicates = new Map<string, string[]>();
  /** The newest serial when a queue was made. */
  readonly #bornAt = new Map<QueueState, number>();
  readonly #plan = new MessagePlan();
  readonly #view = createRowView();
  #serial = 0;
  #xid = 0;

  constructor() {
    super(nowMs, 120);
  }

  run(step: TransactionStep): void {
    this.#do(step);
    this.state.assertInvariants();
    this.note();
  }

  /** Compares all queues, and how many prepared transactions there are. */
  check(): void {
    this.log.commit();
    for (const model of this.#queues.values()) {
      assert.deepEqual(this.#serialsOf(model), model.serials);
      assert.equal(model.state.messageCount, model.serials.length);
      const ready = model.serials.filter((serial) => !model.held.has(serial));
      assert.equal(model.state.readyCount, ready.length);
    }
    for (const [name, ids] of this.#duplicates) {
      const known = this.state.findAddress(name)?.duplicates.ids() ?? [];
      assert.deepEqual([...known].map(String).toSorted(), ids.toSorted());
    }
    assert.equal(this.state.transactions.preparedCount, this.#preparedCount());
    this.#checkRetained();
  }

  #do({ kind, a, b, c }: TransactionStep): void {
    if (kind === "createQueue") this.#createQueue(`queue${a % 4}`, b);
    else if (kind === "deleteQueue") this.#deleteQueue(`queue${a % 4}`, c);
    else if (kind === "send") this.#send(undefined, a, b, c);
    else if (kind === "commitLog") this.log.commit();
    else if (kind === "snapshot") this.writeSnapshot();
    else if (kind === "restart") this.#restart();
    else if (kind === "forget") this.#forget();
    else if (kind === "producer") this.#changeProducer(a, b, c);
    else if (kind === "begin") {
      if (this.#open.length >= 4) return;
      const stored = new StoredTransaction();
      const empty = { sends: [], acknowledged: [], duplicates: [], xid: undefined };
      this.#open.push({ stored, ...empty });
    } else {
      const one = this.#open[a % Math.max(1, this.#open.length)];
      if (one !== undefined) this.#work(kind, one, b, c);
    }
  }

  #work(kind: string, one: ModelTransaction, b: number, c: number): void {
    const isPrepared = one.xid !== undefined;
    if (kind === "sendIn" && !isPrepared) this.#send(one, b, c, b + c);
    else if (kind === "acknowledgeIn" && !isPrepared) this.#acknowledge(one, b, c);
    else if (kind === "prepare" && !isPrepared) {
      this.#xid += 1;
      one.xid = {
        formatId: 7,
        globalTransactionId: new Uint8Array([this.#xid & 255, this.#xid >> 8]),
        branchQualifier: new Uint8Array(b % 3),
      };
      this.state.transactions.prepare(one.stored, one.xid, nowMs + b);
    } else if (kind === "commit" && one.stored.id >= 0) this.#commit(one, c);
    else if (kind === "rollback" && one.stored.id >= 0) this.#rollback(one, c);
  }

  #createQueue(name: string, b: number): void {
    if (this.#queues.has(name)) return;
    const address = `address${b % 2}`;
    if (this.state.findAddress(address) === undefined) {
      const definition = {
        name: address,
        routingTypes: ["multicast" as const],
        autoCreated: false,
      };
      this.state.createAddress(definition);
      this.#duplicates.set(address, []);
    }
    const durable = b % 5 !== 0;
    const definition = defaultQueueDefinition(name, address, "multicast");
    const state = this.state.createQueue({ ...definition, durable });
    this.#queues.set(name, { name, state, serials: [], held: new Set() });
    this.#bornAt.set(state, this.#serial);
  }

  #deleteQueue(name: string, c: number): void {
    const model = this.#queues.get(name);
    if (model === undefined || c % 4 !== 0) return;
    this.state.deleteQueue(model.state);
    this.#queues.delete(name);
  }

  #send(one: ModelTransaction | undefined, a: number, b: number, c: number): void {
    const addressName = `address${a % 2}`;
    const address = this.state.findAddress(addressName);
    if (address === undefined) return;
    this.#serial += 1;
    const bytes = messageOf(this.#serial, b % 40);
    const plan = this.#plan;
    plan.begin(address, bytes, new DataView(bytes.buffer), 4, bytes.length, messageIdAt);
    plan.expirationMs = c % 3 === 0 ? nowMs + 5_000_000 : 0;
    plan.group = c % 4;
    const targets = [...this.#queues.values()].filter(
      ({ state }, index) => state.address === address && ((b >> index) & 1) === 0,
    );
    targets.forEach(({ state }, index) => {
      plan.divert(c % 3 === 0 && index > 0 ? `divert ${b % 4}` : "");
      plan.addTarget(state, c % 3 === 0 ? `value${b % 3}` : undefined);
    });
    if (c % 5 === 0) this.#setDuplicate(plan, one, addressName);
    if (c % 2 === 0) this.#setMark(plan, one, b);
    const queues = targets.map(({ name }) => name);
    if (one === undefined) {
      this.state.addMessage(plan);
      for (const { serials } of targets) serials.push(this.#serial);
    } else if (plan.needsRecord) {
      this.state.transactions.addMessage(one.stored, plan);
      const isKept = plan.storedTargetCount > 0;
      one.sends.push({ serial: this.#serial, queues: isKept ? queues : [] });
    }
  }

  #setDuplicate(plan: MessagePlan, one: ModelTransaction | undefined, address: string): void {
    const id = new Uint8Array([this.#serial & 255, this.#serial >> 8]);
    plan.setDuplicateId(id, 0, id.length);
    if (one === undefined) this.#duplicates.get(address)?.push(String(id));
    else one.duplicates.push({ address, id: String(id) });
  }

  /** The next sequence of a producer, as the transaction or all others see it. */
  #setMark(plan: MessagePlan, one: ModelTransaction | undefined, b: number): void {
    // Mostly others than those that send at once, so that sequences of a transaction follow one another.
    const id = producerId(one === undefined ? b : 3 + (b % 2));
    const { epoch, last } = this.#producer(id);
    const run = one?.stored.marks.all.findLast((mark) => mark.id[0] === id[0]);
    const used = run?.epoch === epoch ? run.last : 0;
    plan.setProducerMark(id, 0, epoch, Math.max(last, used) + 1);
  }

  #changeProducer(a: number, b: number, c: number): void {
    const id = producerId(a);
    const { epoch, last } = this.#producer(id);
    if (c % 4 === 0) this.state.openProducer(id, 0, epoch + 1);
    else if (c % 4 === 1) this.state.evictProducers(this.log.endPosition, 1);
    else this.state.refuseSequence(id, 0, epoch, last + 1, last + 1 + (b % 3), "EVH_SECURITY");
  }

  /** The number that the next commit of a session has. */
  #number(session: number): ProducerNumber {
    const id = producerId(session);
    const { epoch, last } = this.#producer(id);
    const number = { producerId: id, epoch, number: last + 1 };
    assert.equal(this.state.judgeNumber(number), "new");
    return number;
  }

  #producer(id: Uint8Array): { epoch: number; last: number } {
    const { producers } = this.state;
    const slot = producers.find(id, 0);
    if (slot < 0) return { epoch: 1, last: 0 };
    return { epoch: producers.epochOf(slot), last: producers.lastSequenceOf(slot) };
  }

  #acknowledge(one: ModelTransaction, b: number, c: number): void {
    const model = [...this.#queues.values()][b % Math.max(1, this.#queues.size)];
    if (model === undefined) return;
    const keys: number[] = [];
    for (let count = 0; count < 1 + (c % 3); count += 1) {
      const key = model.state.firstReady(this.log.commitPosition);
      if (key < 0) break;
      model.state.take(key);
      const serial = this.#serialAt(model, key);
      model.held.add(serial);
      one.acknowledged.push({ queue: model.name, serial });
      keys.push(key);
    }
    if (keys.length > 0) {
      this.state.transactions.addAcknowledgements(one.stored, model.state, keys);
    }
  }

  #commit(one: ModelTransaction, c: number): void {
    const isHeuristic = one.xid !== undefined && c % 4 === 0;
    const number = c % 3 === 1 && !isHeuristic ? this.#number(5 + (c % 2)) : undefined;
    const added = this.state.transactions.commit(one.stored, isHeuristic, { number });
    if (number !== undefined) {
      assert.equal(this.state.producers.outcomeOf(number).outcome, "applied");
    }
    let rows = 0;
    for (const { serial, queues } of one.sends) {
      for (const name of queues) {
        const model = this.#liveQueue(name, serial);
        if (model === undefined) continue;
        model.serials.push(serial);
        rows += 1;
      }
    }
    assert.equal(
      added.reduce((sum, { count }) => sum + count, 0),
      rows,
    );
    for (const { queue, serial } of one.acknowledged) {
      const model = this.#queues.get(queue);
      if (model === undefined || !model.held.delete(serial)) continue;
      model.serials = model.serials.filter((other) => other !== serial);
    }
    for (const { address, id } of one.duplicates) this.#duplicates.get(address)?.push(id);
    this.#open.splice(this.#open.indexOf(one), 1);
  }

  #rollback(one: ModelTransaction, c: number): void {
    this.state.transactions.rollback(one.stored, one.xid !== undefined && c % 4 === 0);
    for (const [queueId, keys] of one.stored.acknowledged) {
      const queue = this.state.queueById(queueId);
      for (const key of keys) queue?.giveBack(key);
    }
    for (const { queue, serial } of one.acknowledged) this.#queues.get(queue)?.held.delete(serial);
    this.#open.splice(this.#open.indexOf(one), 1);
  }

  #forget(): void {
    for (const { xid } of this.state.transactions.heuristics()) {
      this.state.transactions.forget(xid);
      return;
    }
  }

  /** The queue of a name, if it is the one that was there when the message was sent. */
  #liveQueue(name: string, serial: number): ModelQueue | undefined {
    const model = this.#queues.get(name);
    if (model === undefined) return undefined;
    return (this.#bornAt.get(model.state) ?? 0) < serial ? model : undefined;
  }

  /** Stops with everything committed, and starts from the newest snapshot. */
  #restart(): void {
    this.reopen();
    const held = new Map<string, Set<number>>();
    for (const one of this.#open.splice(0)) {
      const stored =
        one.xid === undefined ? undefined : this.state.transactions.findPrepared(one.xid);
      if (one.xid === undefined) continue;
      assert.ok(stored !== undefined, "a prepared transaction survives");
      this.#open.push({ ...one, stored, xid: one.xid });
      for (const { queue, serial } of one.acknowledged) {
        const serials = held.get(queue) ?? new Set<number>();
        held.set(queue, serials.add(serial));
      }
    }
    for (const [name, model] of [...this.#queues]) {
      const state = this.state.findQueue(name);
      this.#queues.delete(name);
      if (state === undefined) continue;
      const wasHeld = [...(held.get(name) ?? [])].filter((serial) => model.held.has(serial));
      const born = this.#bornAt.get(model.state) ?? 0;
      this.#bornAt.set(state, born);
      this.#queues.set(name, { ...model, state, held: new Set(wasHeld) });
    }
  }

  #preparedCount(): number {
    return this.#open.filter((one) => one.xid !== undefined).length;
  }

  #serialsOf(model: ModelQueue): number[] {
    const serials: number[] = [];
    const lane = model.state.lanes.lane(4);
    if (lane === undefined) return serials;
    for (let next = lane.liveFrom(0); next >= 0; next = lane.liveFrom(next + 1)) {
      serials.push(this.#serialAt(model, next * 32 + 4));
    }
    return serials;
  }

  #serialAt(model: ModelQueue, key: number): number {
    assert.ok(model.state.read(key, this.#view));
    const { position, messageOffset, isInJournal } = this.#view;
    if (isInJournal) return this.log.record(position).view.getUint32(messageOffset);
    const place = { bytes: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)), offset: 0 };
    this.state.arena.locate(position, place);
    return place.view.getUint32(place.offset);
  }

  #checkRetained(): void {
    let needed = 0;
    for (const queue of this.state.queues()) needed += queue.messageCount;
    for (const { stored } of this.#open) needed += countBodies(stored);
    let retained = 0;
    for (const count of this.log.retained.values()) retained += count;
    assert.equal(retained, needed - this.#volatileCount());
  }

  #volatileCount(): number {
    let count = 0;
    for (const model of this.#queues.values()) {
      const lane = model.state.lanes.lane(4);
      if (lane === undefined) continue;
      for (let next = lane.liveFrom(0); next >= 0; next = lane.liveFrom(next + 1)) {
        assert.ok(model.state.read(next * 32 + 4, this.#view));
        if (!this.#view.isInJournal) count += 1;
      }
    }
    return count;
  }
}

function countBodies(stored: StoredTransaction): number {
  const message = createPendingMessage();
  let count = 0;
  for (let index = 0; index < stored.messageCount; index += 1) {
    stored.readMessage(index, message);
    if (message.messageLength > 0) count += 1;
  }
  return count;
}

/** Four bytes that do not belong to it, its serial number, some filling, and a message id of 0. */
function messageOf(serial: number, filling: number): Uint8Array {
  const bytes = new Uint8Array(messageIdAt + 8 + filling).fill(7);
  new DataView(bytes.buffer).setUint32(4, serial);
  return bytes;
}

function producerId(number: number): Uint8Array {
  return new Uint8Array(16).fill(number % 7);
}
