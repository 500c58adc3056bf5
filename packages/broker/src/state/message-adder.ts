import { assert } from "@everhold/base";
import { setI64At } from "@everhold/wire";
import type { AddressState } from "./address-state.ts";
import { LargeBody } from "./large-body.ts";
import { MessagePlan } from "./message-plan.ts";
import { createNewRow, type NewRow } from "./new-row.ts";
import type { RecordAppender } from "./record-appender.ts";
import { recordTypes } from "./records.ts";
import { stateLimits } from "./state-limits.ts";
import type { StateTables } from "./state-tables.ts";
import { messageBytes, messageOffsetOf, writeMessage } from "./write-message.ts";

const nothing = new Uint8Array(0);
const oneByte = new Uint8Array(1);

/** Adds messages: one record for all their queues, or a body in memory, and a row in each queue. */
export class MessageAdder {
  readonly #records: RecordAppender;
  readonly #tables: StateTables;
  readonly #row: NewRow = createNewRow();
  readonly #rememberPlan = new MessagePlan();
  readonly #body = { bytes: nothing, view: new DataView(nothing.buffer), offset: 0 };

  constructor(records: RecordAppender, tables: StateTables) {
    this.#records = records;
    this.#tables = tables;
  }

  /**
   * Adds a message to the queues of a plan, and remembers its mark and duplicate id. Sets `plan.keys` and
   * `plan.recordPosition`. Returns the message's id; −1 when it has no targets.
   */
  add(plan: MessagePlan): number {
    const lane = plan.lane;
    const targetCount = plan.targetCount;
    plan.prepareKeys();
    for (let index = 0; index < targetCount; index += 1) {
      plan.keys[index] = plan.target(index).nextKey(lane);
    }
    if (plan.needsRecord) this.#append(plan);
    if (targetCount === 0) return -1;
    const row = this.#row;
    row.messageLength = plan.end - plan.start;
    row.expiryUnits = this.#tables.expiry.unitsOf(plan.expirationMs);
    row.dueMs = plan.dueMs;
    row.origin = "";
    row.group = plan.group;
    if (plan.storedTargetCount > 0) {
      row.position = plan.recordPosition;
      row.messageOffset = messageOffsetOf(plan);
    } else {
      row.position = this.#addBody(plan);
      row.messageOffset = 0;
    }
    if (plan.largeBody !== undefined) this.#tables.large.define(row.position, plan.largeBody);
    const { diversions } = plan;
    const since = this.#lastSince(plan);
    for (let index = 0; index < targetCount; index += 1) {
      const target = plan.target(index);
      if (!diversions.isEmpty) row.origin = diversions.originOf(index);
      row.lastValue = plan.lastValues.get(target);
      row.lastSince = row.dueMs > 0 ? -1 : since;
      target.addRow(plan.keys[index] ?? 0, row);
      if (plan.hiddenUntil >= 0) {
        target.lanes.holdLast(lane, plan.hiddenUntil, this.#records.log.commitPosition);
      }
    }
    row.lastValue = undefined;
    return row.position;
  }

  /** Makes the journal remember one more duplicate id of an address, without a message. */
  remember(address: AddressState, id: Uint8Array): void {
    const plan = this.#rememberPlan;
    // Nothing of a message without targets is written, so any bytes will do for it.
    plan.begin(address, oneByte, this.#body.view, 0, 1, 0);
    plan.setDuplicateId(id, 0, id.length);
    this.#append(plan);
  }

  /** A body for a large message, without parts yet, held once. */
  newLargeBody(): LargeBody {
    const body = new LargeBody(this.#records.log);
    body.hold();
    return body;
  }

  /** Appends `bytes[start … end)` to a body that is in no message yet. Returns the record's position. */
  appendPart(body: LargeBody, bytes: Uint8Array, start: number, end: number): number {
    const { log } = this.#records;
    const position = log.append(recordTypes.part, 0, end - start);
    log.bytes.set(bytes.subarray(start, end), log.payloadOffset);
    body.add(position, end - start);
    return position;
  }

  /** The position as of which the message of a plan has its value last. */
  #lastSince(plan: MessagePlan): number {
    if (plan.storedTargetCount > 0) return plan.recordPosition;
    return plan.hiddenUntil < 0 ? this.#records.log.endPosition : plan.hiddenUntil;
  }

  #append(plan: MessagePlan): void {
    this.#records.assertOpen();
    assert(plan.storedTargetCount <= stateLimits.messageTargetsMax, "targets are within the limit");
    const { log } = this.#records;
    const address = plan.address;
    const position = log.append(recordTypes.message, address.id, messageBytes(plan));
    writeMessage(plan, position, log.bytes, log.view, log.payloadOffset);
    plan.recordPosition = position;
    if (plan.hasMark) {
      const { markBytes, markOffset, markEpoch, markSequence } = plan;
      this.#tables.producers.advance(markBytes, markOffset, markEpoch, markSequence, position);
    }
    if (plan.hasDuplicateId) {
      address.duplicates.add(plan.duplicateBytes, plan.duplicateStart, plan.duplicateEnd);
    }
  }

  #addBody(plan: MessagePlan): number {
    const arena = this.#tables.arena;
    const id = arena.add(plan.bytes, plan.start, plan.end);
    arena.locate(id, this.#body);
    const { view, offset } = this.#body;
    setI64At(view, offset + plan.messageIdOffset - plan.start, id);
    if (plan.expirationOffset >= 0) {
      setI64At(view, offset + plan.expirationOffset - plan.start, plan.expirationMs);
    }
    return id;
  }
}
