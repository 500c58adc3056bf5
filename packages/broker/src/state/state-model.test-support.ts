import assert from "node:assert/strict";
import type { ErrorCode } from "@everhold/base";
import { recordHeaderBytes } from "@everhold/journal";
import type { AddressState } from "./address-state.ts";
import type { LargeBody } from "./large-body.ts";
import type { BodyView } from "./message-arena.ts";
import { MessagePlan } from "./message-plan.ts";
import { defaultQueueDefinition } from "./queue-definition.ts";
import type { QueueState } from "./queue-state.ts";
import type { DivertDefinition } from "./rules.ts";
import { moveReasons } from "./records.ts";
import type { ReturningSession } from "./returning-sessions.ts";
import { RecordedState } from "./recorded-state.test-support.ts";
import { createRowView } from "./row-bodies.ts";
import { isLane, laneOfKey, movedIdBase } from "./row-key.ts";

/** One step of a test: what to do, and numbers to choose by. */
export interface Step {
  readonly kind: string;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** What the model keeps of one message in one queue. */
interface ModelRow {
  readonly key: number;
  readonly serial: number;
  readonly priority: number;
  readonly isDurable: boolean;
  /** Whether a restart keeps it. */
  readonly isStored: boolean;
  readonly arrival: number;
  expirationMs: number;
  /** Before when it is not handed out; 0 once that is over. */
  dueMs: number;
  /** The queue it was moved from. */
  origin: string;
  /** Why it was moved. */
  cause: string;
  readonly group: number;
  /** The key of its value, in a last-value queue. */
  value: string | undefined;
  count: number;
  isReady: boolean;
  /** Waits for its time, or for the commit of the record that says that it is due. */
  isScheduled: boolean;
  /** What stands behind it waits as well, while it is scheduled. */
  holdsOthers: boolean;
  wasHandedOut: boolean;
  /** The bytes of each part of its body; empty when it is not large. */
  readonly parts: readonly number[];
}

/** A large message of which not all has come. */
interface ModelUpload {
  readonly body: LargeBody;
  readonly parts: number[];
}

/** A row that is due and not shown yet. */
interface DueRow {
  readonly queue: QueueState;
  readonly key: number;
}

interface ModelQueue {
  readonly name: string;
  readonly addressName: string;
  readonly isStored: boolean;
  rows: ModelRow[];
}

const nowMs = 1_800_000_000_000;
const messageIdAt = 16;
const noBytes = new Uint8Array(0);
const noView = new DataView(noBytes.buffer);

/** A `BrokerState` on a log in memory beside maps and arrays that do the same. */
export class StateAndModel extends RecordedState {
  readonly plan = new MessagePlan();
  readonly queues = new Map<string, ModelQueue>();
  /** Addresses with their duplicate ids; those that a restart keeps are in `storedAddresses`. */
  readonly addresses = new Map<string, string[]>();
  readonly storedAddresses = new Set<string>();
  readonly settings = new Map<string, string>();
  readonly diverts = new Map<string, DivertDefinition>();
  readonly sessions = new Map<string, ReturningSession>();
  #clockMs = nowMs;
  #due: DueRow[] = [];
  #uploads: ModelUpload[] = [];
  /** Keys of rows that came back, of all queues. */
  readonly #returned: number[] = [];
  #serial = 0;
  #arrival = 0;

  constructor() {
    super(nowMs, 100);
  }

  run(step: Step): void {
    this.#do(step);
    this.state.assertInvariants();
    this.note();
  }

  /** Compares all that can be seen, handing every message out. */
  checkContents(): void {
    this.#commit();
    this.#checkRetained();
    assert.equal(this.state.findQueue("none"), undefined);
    assert.deepEqual(new Map(this.state.rules.settings), this.settings);
    assert.deepEqual(new Map(this.state.rules.diverts), this.diverts);
    assert.deepEqual(new Map(this.state.sessions), this.sessions);
    for (const [name, duplicates] of this.addresses) {
      const address = this.#address(name);
      assert.deepEqual(
        Array.from(address.duplicates.ids(), (id) => id.join()),
        duplicates,
      );
    }
    for (const model of this.queues.values()) {
      const queue = this.#queue(model.name);
      assert.equal(queue.messageCount, model.rows.length);
      assert.equal(queue.readyCount, model.rows.filter((row) => row.isReady).length);
      assert.equal(queue.groupedCount, model.rows.filter((row) => row.group !== 0).length);
      assert.equal(queue.scheduledCount, model.rows.filter((row) => row.isScheduled).length);
      for (const row of model.rows) this.#checkRow(queue, row);
      const order = model.rows.filter((row) => row.isReady).toSorted(byOrder);
      for (const { key } of order) {
        assert.equal(queue.firstReady(this.log.commitPosition), key);
        queue.take(key);
      }
      assert.equal(queue.firstReady(this.log.commitPosition), -1);
    }
  }

  #do({ kind, a, b, c }: Step): void {
    switch (kind) {
      case "createAddress":
        this.#createAddress(`address${a % 4}`, b % 4 === 0);
        return;
      case "createQueue":
        this.#createQueue(`queue${a % 6}`, b, c);
        return;
      case "send":
        this.#send(a, b, c);
        return;
      case "upload":
        this.#upload(a, b);
        return;
      case "commit":
        this.#commit();
        return;
      case "pass":
        this.#clockMs += b * 20;
        this.#fallDue(1 + (c % 4));
        return;
      case "snapshot":
        this.writeSnapshot();
        return;
      case "restart":
        this.#restart();
        return;
      case "refuse":
      case "apply":
      case "open":
      case "evict":
        this.#changeProducer(kind, a, b, c);
        return;
      case "session":
        this.#changeSession(`session${a % 4}`, b, c);
        return;
      case "rule":
        this.#changeRule(`rule${a % 4}`, b, c);
        return;
      case "updateAddress":
      case "deleteAddress":
        this.#changeAddress(kind, a);
        return;
      default: {
        const model = [...this.queues.values()][a % Math.max(1, this.queues.size)];
        if (model !== undefined) this.#change(kind, model, b, c);
      }
    }
  }

  #change(kind: string, model: ModelQueue, b: number, c: number): void {
    const queue = this.#queue(model.name);
    const row = model.rows[b % Math.max(1, model.rows.length)];
    if (kind === "take") this.#take(model, queue);
    else if (kind === "trim") this.#trim(model, queue);
    else if (kind === "acknowledge") this.#acknowledge(model, queue, b, c);
    else if (kind === "updateQueue") {
      this.state.updateQueue(queue, { ...queue.definition, maxConsumers: c });
    } else if (kind === "deleteQueue") {
      if (c % 5 !== 0) return;
      this.state.deleteQueue(queue);
      this.queues.delete(model.name);
    } else if (row === undefined) return;
    else if (kind === "giveBack") {
      if (row.isReady || row.isScheduled) return;
      queue.giveBack(row.key);
      this.#returned.push(row.key);
      row.isReady = true;
    } else if (kind === "delay") {
      // What came back to wait: handed out before, or refused by an administrator while it was ready.
      if (row.isScheduled) return;
      const dueMs = this.#clockMs + 1 + (c % 7) * 1_000;
      this.state.redeliverLater(queue, row.key, c + 1, dueMs, c % 2 === 0);
      row.count = c + 1;
      row.dueMs = dueMs;
      row.isReady = false;
      row.isScheduled = true;
      row.holdsOthers = c % 2 === 0;
    } else if (kind === "setCount") {
      this.state.setDeliveryCount(queue, row.key, c);
      row.count = c;
    } else if (kind === "name") {
      if (valueFor(model.name, c) === undefined || row.value !== undefined) return;
      row.value = `v${c % 4}`;
      this.state.setLastValue(queue, row.key, row.value, this.log.endPosition);
    } else this.#move(model, queue, row, b, c);
  }

  #createAddress(name: string, isTemporary: boolean): void {
    if (this.addresses.has(name)) return;
    const definition = { name, routingTypes: ["anycast" as const], autoCreated: false };
    this.state.createAddress(definition, isTemporary);
    this.addresses.set(name, []);
    if (!isTemporary) this.storedAddresses.add(name);
  }

  #createQueue(name: string, b: number, c: number): void {
    const addressName = `address${b % 4}`;
    if (this.queues.has(name) || !this.addresses.has(addressName)) return;
    const durable = c % 4 > 0;
    const temporary = c % 5 === 0;
    const definition = defaultQueueDefinition(name, addressName, "multicast");
    this.state.createQueue({ ...definition, durable, temporary, ringSize: c });
    const isStored = durable && !temporary;
    if (isStored) this.storedAddresses.add(addressName);
    this.queues.set(name, { name, addressName, isStored, rows: [] });
  }

  #changeRule(name: string, b: number, c: number): void {
    if (b % 2 === 0) {
      const settings = c % 4 === 0 ? null : `{"redeliveryDelay":${c}}`;
      this.state.setSettings(name, settings);
      if (settings === null) this.settings.delete(name);
      else this.settings.set(name, settings);
      return;
    }
    const forwardTo = [`address${c % 3}`];
    const rest = { routingName: name, address: "address0", filter: null, exclusive: false };
    const definition = c % 4 === 0 ? null : { ...rest, forwardTo, routing: c % 3 };
    this.state.setDivert(name, definition);
    if (definition === null) this.diverts.delete(name);
    else this.diverts.set(name, definition);
  }

  #changeSession(name: string, b: number, c: number): void {
    const queueIds = [1 + (b % 5), 10 + (c % 5)];
    const session = c % 3 === 0 ? null : { user: `user${b % 2}`, queueIds };
    this.state.setSession(name, session);
    if (session === null) this.sessions.delete(name);
    else this.sessions.set(name, session);
  }

  #changeAddress(kind: "updateAddress" | "deleteAddress", a: number): void {
    const name = `address${a % 4}`;
    if (!this.addresses.has(name)) return;
    const address = this.#address(name);
    if (kind === "updateAddress") {
      this.state.updateAddress(address, ["anycast", "multicast"]);
    } else if (address.queues.length === 0) {
      this.state.deleteAddress(address);
      this.addresses.delete(name);
      this.storedAddresses.delete(name);
    }
  }

  #send(a: number, b: number, c: number): void {
    const addressName = `address${a % 4}`;
    const duplicates = this.addresses.get(addressName);
    if (duplicates === undefined) return;
    this.#serial += 1;
    const bytes = messageOf(this.#serial, b % 50);
    const { plan } = this;
    plan.begin(
      this.#address(addressName),
      bytes,
      new DataView(bytes.buffer),
      4,
      bytes.length,
      messageIdAt,
    );
    plan.priority = b % 3;
    plan.isDurable = c % 4 !== 0;
    plan.expirationMs = c % 3 === 0 ? nowMs + b * 77 - 20_000 : 0;
    const upload = c % 2 === 0 ? this.#uploads.shift() : undefined;
    plan.largeBody = upload?.body;
    plan.dueMs = c % 4 === 1 ? this.#clockMs + 1 + (b % 7) * 1_000 : 0;
    plan.group = c % 3 === 1 ? 1 + (b % 5) : 0;
    if (c % 5 === 0) this.#mark(b);
    if (c % 7 === 0) this.#setDuplicate(duplicates, b);
    const targets = [...this.queues.values()].filter(
      (queue, index) => queue.addressName === addressName && ((b >> index) & 1) === 0,
    );
    // From some target on they come by diverts.
    const originOf = (index: number): string => {
      if (c % 6 !== 0 || index < b % 3) return "";
      return index % 2 === 0 ? "divert" : `other divert ${b % 5}`;
    };
    targets.forEach(({ name }, index) => {
      plan.divert(originOf(index));
      plan.addTarget(this.#queue(name), valueFor(name, b));
    });
    this.#checkSizes();
    upload?.body.release();
    this.#arrival += 1;
    targets.forEach((model, index) => {
      model.rows.push({
        key: plan.keys[index] ?? -1,
        serial: this.#serial,
        priority: plan.priority,
        isDurable: plan.isDurable,
        isStored: plan.isDurable && model.isStored,
        arrival: this.#arrival,
        expirationMs: expected(plan.expirationMs),
        dueMs: plan.dueMs,
        origin: originOf(index),
        cause: "",
        group: plan.group,
        value: valueFor(model.name, b),
        count: 0,
        isReady: plan.dueMs === 0,
        isScheduled: plan.dueMs > 0,
        holdsOthers: false,
        wasHandedOut: false,
        parts: upload?.parts ?? [],
      });
    });
  }

  /** A part of some large message comes, or its client goes. */
  #upload(a: number, b: number): void {
    const found = this.#uploads[a % 3];
    if (found !== undefined && b % 9 === 0) {
      found.body.release();
      this.#uploads = this.#uploads.filter((one) => one !== found);
      return;
    }
    const upload = found ?? { body: this.state.newLargeBody(), parts: [] };
    if (found === undefined) this.#uploads.push(upload);
    const bytes = new Uint8Array(1 + (b % 30)).fill(b % 251);
    this.state.appendPart(upload.body, bytes, 0, bytes.length);
    upload.parts.push(bytes.length);
  }

  /** Adds the planned message, comparing what is appended with what was announced. */
  #checkSizes(): void {
    const announced = this.state.messageRecordBytes(this.plan);
    const before = this.log.endPosition;
    this.state.addMessage(this.plan);
    const padded = announced === 0 ? 0 : recordHeaderBytes + Math.ceil(announced / 8) * 8;
    assert.equal(this.log.endPosition - before, padded);
    assert.equal(this.plan.recordPosition, announced === 0 ? -1 : before);
  }

  #mark(b: number): void {
    const id = producerId(b);
    const { producers } = this.state;
    const slot = producers.find(id, 0);
    const last = slot < 0 ? 0 : producers.lastSequenceOf(slot);
    const epoch = slot < 0 ? 1 : producers.epochOf(slot);
    assert.equal(this.state.judgeProducer(id, 0, epoch, last + 1), "new");
    this.plan.setProducerMark(id, 0, epoch, last + 1);
  }

  #setDuplicate(duplicates: string[], b: number): void {
    const id = new Uint8Array(b % 40).fill(b % 251);
    const isKnown = duplicates.includes(id.join());
    const address = this.plan.address;
    assert.equal(this.state.isDuplicate(address, id, 0, id.length), isKnown);
    if (isKnown) return;
    this.plan.setDuplicateId(id, 0, id.length);
    duplicates.push(id.join());
  }

  #take(model: ModelQueue, queue: QueueState): void {
    const { commitPosition } = this.log;
    const key = queue.firstReady(commitPosition);
    if (key < 0) return;
    const row = model.rows.find((one) => one.key === key);
    assert.ok(row?.isReady);
    if (!this.state.prepareDispatch(queue, key)) {
      this.log.commit();
      assert.ok(this.state.prepareDispatch(queue, key));
    }
    queue.take(key);
    row.isReady = false;
    row.wasHandedOut = true;
  }

  /** Lets go what gave way to newer messages of the same value: of each value at most one rests. */
  #trim(model: ModelQueue, queue: QueueState): void {
    // Keys of other queues as well: what does not live, or stays, is passed over.
    for (const key of [...queue.takeSuperseded(), ...this.#returned].toReversed()) {
      const row = model.rows.find((one) => one.key === key);
      if (row === undefined || !(row.isReady || row.isScheduled) || queue.keepsValue(key)) continue;
      this.state.acknowledge(queue, [key], 1);
      model.rows = model.rows.filter((one) => one !== row);
    }
    const values = model.rows.filter((row) => row.isReady && row.value !== undefined);
    assert.equal(new Set(values.map((row) => row.value)).size, values.length);
  }

  #acknowledge(model: ModelQueue, queue: QueueState, b: number, c: number): void {
    const from = b % Math.max(1, model.rows.length);
    const gone = model.rows.slice(from, from + 1 + (c % 5));
    const keys = gone.map((row) => row.key);
    if (c % 2 === 0) keys.reverse();
    const announced = this.state.acknowledgeRecordBytes(queue, keys, keys.length);
    const position = this.state.acknowledge(queue, keys, keys.length);
    assert.equal(position >= 0, announced > 0);
    model.rows = model.rows.filter((row) => !gone.includes(row));
  }

  #move(model: ModelQueue, queue: QueueState, row: ModelRow, b: number, c: number): void {
    const targets = [...this.queues.values()].filter(
      (other, index) => other !== model && ((c >> index) & 1) === 0,
    );
    const reason = moveReasons[b % moveReasons.length] ?? "other";
    const view = createRowView();
    queue.read(row.key, view);
    const states = targets.map((target) => this.#queue(target.name));
    const keys = states.map((target) => target.nextKey(row.priority + (view.isInJournal ? 0 : 16)));
    const before = this.log.endPosition;
    const cause = ["", "expired", "rejected because :: and ☂"][c % 3] ?? "";
    const position = this.state.move(queue, row.key, states, reason, cause);
    const written = this.log.endPosition - before - recordHeaderBytes;
    if (position >= 0) {
      const bytesMax = this.state.moveRecordBytes(queue, targets.length, cause);
      assert.ok(written <= bytesMax + 7);
    }
    model.rows = model.rows.filter((other) => other !== row);
    this.#arrival += 1;
    const keepsTimes = reason === "admin" || reason === "other";
    const dueMs = keepsTimes ? row.dueMs : 0;
    targets.forEach((target, index) => {
      target.rows.push({
        ...row,
        key: keys[index] ?? -1,
        isDurable: view.isInJournal,
        isStored: view.isInJournal && target.isStored,
        arrival: this.#arrival,
        expirationMs: keepsTimes ? row.expirationMs : 0,
        dueMs,
        origin: reason === "other" ? "" : model.name,
        cause,
        value: undefined,
        count: 0,
        isReady: dueMs === 0,
        isScheduled: dueMs > 0,
        holdsOthers: false,
        wasHandedOut: false,
      });
    });
  }

  #fallDue(countMax: number): void {
    const isDue = (row: ModelRow): boolean => row.dueMs > 0 && row.dueMs <= this.#clockMs;
    const expectedRows = [...this.queues.values()].flatMap(({ rows }) => rows.filter(isDue));
    const seen: ModelRow[] = [];
    const count = this.state.fallDue(this.#clockMs, countMax, (queue, keys, position) => {
      const model = this.queues.get(queue.definition.name);
      for (const key of keys) {
        const row = model?.rows.find((one) => one.key === key);
        assert.ok(row !== undefined && isDue(row));
        seen.push(row);
        this.#due.push({ queue, key });
      }
      const isRecorded = seen.slice(-keys.length).some((row) => row.isStored);
      assert.equal(position >= 0, isRecorded);
    });
    assert.equal(count, Math.min(countMax, expectedRows.length));
    assert.equal(seen.length, count);
    const latest = Math.max(0, ...seen.map((row) => row.dueMs));
    const left = expectedRows.filter((row) => !seen.includes(row));
    assert.ok(left.every((row) => row.dueMs >= latest));
    for (const row of seen) row.dueMs = 0;
  }

  /** Commits all, and shows what is due. */
  #commit(): void {
    this.log.commit();
    for (const { queue, key } of this.#due) {
      const model = this.queues.get(queue.definition.name);
      if (model === undefined || this.#queue(model.name) !== queue) continue;
      const row = model.rows.find((one) => one.key === key);
      assert.equal(queue.isScheduled(key), row !== undefined);
      if (row === undefined) continue;
      queue.showDue(key);
      row.isReady = true;
      row.isScheduled = false;
      row.holdsOthers = false;
    }
    this.#due = [];
  }

  #changeProducer(
    kind: "refuse" | "apply" | "open" | "evict",
    a: number,
    b: number,
    c: number,
  ): void {
    const id = producerId(a);
    const { producers } = this.state;
    const slot = producers.find(id, 0);
    const last = slot < 0 ? 0 : producers.lastSequenceOf(slot);
    const epoch = slot < 0 ? 1 : producers.epochOf(slot);
    if (kind === "open") this.state.openProducer(id, 0, epoch + (b % 2));
    else if (kind === "apply") {
      const number = { producerId: id, epoch, number: last + 1 };
      this.state.applyNumber(number);
      assert.equal(this.state.producers.outcomeOf(number).outcome, "applied");
    } else if (kind === "evict") this.state.evictProducers(this.log.endPosition, (b % 2) + 1);
    else {
      const codes: ErrorCode[] = ["EVH_ADDRESS_FULL", "EVH_SECURITY"];
      this.state.refuseSequence(
        id,
        0,
        epoch,
        last + 1,
        last + 1 + (b % 3),
        codes[c % 2] ?? "EVH_IO",
      );
    }
  }

  /** Stops with everything committed, and starts from the newest snapshot. */
  #restart(): void {
    this.reopen();
    this.state.afterRecovery(nowMs + 1_000_000);
    this.#due = [];
    this.#uploads = [];
    for (const [name, model] of this.queues) {
      if (!model.isStored) this.queues.delete(name);
      model.rows = model.rows.filter((row) => row.isStored);
      for (const row of model.rows) {
        row.isReady = row.dueMs === 0;
        row.isScheduled = row.dueMs > 0;
        row.holdsOthers &&= row.isScheduled;
      }
    }
    for (const name of this.addresses.keys()) {
      if (!this.storedAddresses.has(name)) this.addresses.delete(name);
    }
    this.checkRedelivered();
  }

  /** Whatever was handed out before a restart says so, and nothing of what waits for its time. */
  checkRedelivered(): void {
    const view = createRowView();
    for (const model of this.queues.values()) {
      for (const row of model.rows) {
        assert.ok(this.#queue(model.name).read(row.key, view));
        if (row.wasHandedOut && row.dueMs === 0) assert.ok(view.redelivered);
        if (!row.wasHandedOut && row.dueMs > 0) assert.ok(!view.redelivered);
      }
    }
  }

  #checkRow(queue: QueueState, row: ModelRow): void {
    const view = createRowView();
    assert.ok(isLane(laneOfKey(row.key)));
    assert.ok(queue.read(row.key, view));
    assert.equal(queue.isReady(row.key), row.isReady);
    assert.equal(queue.isScheduled(row.key), row.isScheduled);
    assert.equal(queue.isHolding(row.key), row.holdsOthers);
    assert.equal(view.dueMs, row.dueMs);
    assert.equal(view.origin, row.origin);
    assert.equal(view.cause, row.cause);
    assert.equal(queue.groupOf(row.key), row.group);
    assert.equal(queue.lastValueOf(row.key), row.value);
    assert.equal(view.priority, row.priority);
    assert.equal(view.deliveryCount, row.count);
    assert.equal(view.expirationMs, row.expirationMs);
    this.#checkParts(view.position, view.largeBytes, row.parts);
    const place: BodyView = { bytes: noBytes, view: noView, offset: 0 };
    if (view.isInJournal) {
      const record = this.log.record(view.position);
      place.view = record.view;
      place.offset = view.messageOffset;
    } else this.state.arena.locate(view.position, place);
    assert.equal(place.view.getUint32(place.offset), row.serial);
    const id = place.view.getBigInt64(place.offset + messageIdAt - 4);
    assert.equal(id, BigInt(view.position));
    // Two that were the same message once are two in the queue to which both were moved.
    const isMoved = row.origin !== "" || row.cause !== "";
    assert.equal(view.messageId, isMoved ? movedIdBase + row.key : view.position);
  }

  #checkParts(position: number, bytes: number, parts: readonly number[]): void {
    assert.equal(
      bytes,
      parts.reduce((sum, one) => sum + one, 0),
    );
    if (parts.length === 0) return;
    const body = this.state.largeBody(position);
    assert.equal(body.partCount, parts.length);
    parts.forEach((one, index) => {
      assert.equal(body.partBytes(index), one);
      const at = body.partPosition(index) - recordHeaderBytes;
      assert.ok(this.log.record(at).bytes.length >= recordHeaderBytes + one);
    });
  }

  #checkRetained(): void {
    const large = new Map<number, number>();
    let inJournal = 0;
    for (const { parts } of this.#uploads) inJournal += parts.length;
    const view = createRowView();
    for (const model of this.queues.values()) {
      for (const { key } of model.rows) {
        this.#queue(model.name).read(key, view);
        if (view.isInJournal) inJournal += 1;
        if (view.largeBytes > 0) {
          large.set(view.position, this.state.largeBody(view.position).partCount);
        }
      }
    }
    for (const partCount of large.values()) inJournal += partCount;
    let retained = 0;
    for (const count of this.log.retained.values()) retained += count;
    assert.equal(retained, inJournal);
  }

  #queue(name: string): QueueState {
    const queue = this.state.findQueue(name);
    assert.ok(queue !== undefined, `queue ${name} is there`);
    return queue;
  }

  #address(name: string): AddressState {
    const address = this.state.findAddress(name);
    assert.ok(address !== undefined, `address ${name} is there`);
    return address;
  }
}

/** The key of a message's value in a queue, every other of which is a last-value queue. */
function valueFor(queueName: string, b: number): string | undefined {
  return Number(queueName.at(-1)) % 2 === 0 && b % 5 > 0 ? `v${b % 4}` : undefined;
}

function byOrder(left: ModelRow, right: ModelRow): number {
  return right.priority - left.priority || left.arrival - right.arrival;
}

/** What the rows keep of an expiration: rounded up to 100 ms, never before the base. */
function expected(expirationMs: number): number {
  if (expirationMs === 0) return 0;
  return Math.max(nowMs + 100, Math.ceil(expirationMs / 100) * 100);
}

/** Four bytes that do not belong to it, its serial number, some filling, and a message id of 0. */
function messageOf(serial: number, filling: number): Uint8Array {
  const bytes = new Uint8Array(messageIdAt + 8 + filling).fill(7);
  new DataView(bytes.buffer).setUint32(4, serial);
  return bytes;
}

function producerId(number: number): Uint8Array {
  return new Uint8Array(16).fill(number % 5);
}
