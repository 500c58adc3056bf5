import { EverholdError } from "@everhold/base";
import { recordBytes } from "@everhold/journal";
import { MessageScan, scanHeaders } from "@everhold/wire";

import { limits } from "../limits.ts";
import { groupHash } from "../state/group-hash.ts";
import type { LargeBody } from "../state/large-body.ts";
import { MessagePlan } from "../state/message-plan.ts";
import { stateLimits } from "../state/state-limits.ts";
import type { StoredTransaction } from "../state/stored-transaction.ts";
import type { RouteTarget } from "./address-cache.ts";
import type { Engine } from "./engine.ts";
import { expirationOf } from "./expiry-rule.ts";
import type { LiveAddress, LiveQueue } from "./live-queue.ts";
import { isNewSequence, MessageIdentity, recordRefusal } from "./producer-check.ts";
import { sendTarget } from "./send-target.ts";
import type { Session } from "./session.ts";
import { TargetFinder } from "./target-finder.ts";

/** From the expiration of a message to its properties, in bytes: expiration, timestamp, priority. */
const expirationBeforeProperties = 17;

/** What routing one message came to. */
export type RouteVerdict = "new" | "duplicate";

/** Where a message goes, as it was found when it was prepared first. */
export interface PreparedSend {
  readonly address: LiveAddress;
  readonly targets: readonly LiveQueue[];
  /** Of each target the divert by which it was found, as rows name it; left out when none was. */
  readonly origins?: readonly string[];
  /** When it expires, in ms since 1970, 0 for never; as it says itself where this is left out. */
  readonly expirationMs?: number;
  /** The full addresses that dropped it; left out when none did. */
  readonly dropping?: readonly LiveAddress[];
}

/**
 * Takes messages, has a {@link TargetFinder} find where they go, and hands them to the state. Everything it
 * needs for a message is in holders that serve all messages; nothing is allocated for one.
 */
export class Router {
  readonly #engine: Engine;
  readonly #plan = new MessagePlan();
  readonly #identity = new MessageIdentity();
  readonly #finder: TargetFinder;
  /** Of the message that was prepared last. */
  #address: LiveAddress | undefined;
  /** The message that was scanned last. */
  readonly scan = new MessageScan();
  /** The body of the message that was scanned last, where that is large and not in the message itself. */
  largeBody: LargeBody | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#finder = new TargetFinder(engine, this.#plan);
  }

  /**
   * Takes the message that was scanned last, which is in no transaction. What must be committed before it
   * may be answered is everything up to the journal's end; `true` says that there is something to wait for.
   *
   * @throws EverholdError when the send is refused; for a marked send that is recorded then, so that a
   * repeat is refused as well
   */
  send(session: Session, bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    this.#identity.read(bytes, view, this.scan, session.sink.link.sendsMarks);
    return this.#send(session, bytes, view, start, end);
  }

  /** As {@link send}, for a message that a bridge sends and gave the id `id`; no other id counts. */
  sendBridged(session: Session, id: Uint8Array, bytes: Uint8Array, view: DataView): boolean {
    this.#identity.readBridged(id);
    return this.#send(session, bytes, view, 0, bytes.length);
  }

  #send(session: Session, bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const position = this.#engine.journal.endPosition;
    if (!isNewSequence(this.#engine.state, this.#identity, bytes)) return true;
    try {
      this.#identity.checkDuplicateId();
      this.checkSize(end - start);
      const target = sendTarget(session, this.scan, bytes);
      this.#engine.credits.checkRoom(target.address);
      const verdict = this.prepare(target, bytes, view, start, end);
      // A duplicate goes nowhere, but its sequence is used up: with the first one's outcome, applied.
      if (verdict === "duplicate" && this.#identity.idOffset < 0) return true;
    } catch (error) {
      recordRefusal(this.#engine.state, this.#identity, bytes, error);
      throw error;
    }
    this.add();
    return this.#engine.journal.endPosition !== position;
  }

  /**
   * Finds the queues of the message that was scanned last and fills the plan. Does not look at the
   * producer's mark: that is for the caller.
   */
  prepare(
    target: RouteTarget,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): RouteVerdict {
    const { duplicateBytes, duplicateStart, duplicateEnd } = this.#identity;
    const { state } = this.#engine;
    const address = target.address.state;
    const { settings } = target.address;
    this.#begin(target.address, bytes, view, start, end);
    this.#setExpiration(expirationOf(settings, this.scan.expiration, this.#engine.nowMs()));
    if (duplicateStart >= 0) {
      address.duplicates.limitTo(settings.idCacheSize);
      if (state.isDuplicate(address, duplicateBytes, duplicateStart, duplicateEnd)) {
        return "duplicate";
      }
      this.#checkReserved(target.address);
      this.#plan.setDuplicateId(duplicateBytes, duplicateStart, duplicateEnd);
    }
    // What has expired on arrival as well: it was confirmed, so it is to be found at the expiry address.
    this.#finder.find(target, this.scan.routingType, bytes, view, start, end);
    if (
      this.#finder.queues.length === 0 &&
      settings.sendToDlaOnNoRoute &&
      this.#finder.dropping.length === 0
    ) {
      // Dead letters do not expire.
      const isTaken = this.#finder.findDeadLetters(target.address, bytes, view, start, end);
      if (isTaken) this.#setExpiration(0);
    }
    this.#checkTargets(target.address);
    return "new";
  }

  /**
   * As {@link prepare} for a message that was prepared before, and scanned again since: it goes to the
   * queues that were found then, as far as they are still there.
   */
  prepareAgain(
    found: PreparedSend,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    const { duplicateBytes, duplicateStart, duplicateEnd } = this.#identity;
    this.#begin(found.address, bytes, view, start, end);
    if (found.expirationMs !== undefined) this.#setExpiration(found.expirationMs);
    if (duplicateStart >= 0) {
      this.#plan.setDuplicateId(duplicateBytes, duplicateStart, duplicateEnd);
    }
    for (const [index, queue] of found.targets.entries()) {
      if (queue.isDeleted) continue;
      if (found.origins !== undefined) this.#plan.divert(found.origins[index] ?? "");
      this.#finder.add(queue);
    }
    if (found.dropping !== undefined) this.#finder.dropping.push(...found.dropping);
  }

  /** What was found for the message prepared last, to be kept for {@link prepareAgain}. */
  prepared(address: LiveAddress): PreparedSend {
    const { expirationMs, diversions } = this.#plan;
    const targets = [...this.#finder.queues];
    const dropping = this.#finder.dropping.length > 0 ? [...this.#finder.dropping] : undefined;
    const found = { address, targets, expirationMs, ...(dropping && { dropping }) };
    if (diversions.isEmpty) return found;
    const origins = targets.map((_, index) => diversions.originOf(index));
    return { ...found, origins };
  }

  /** Whether all queues of what was prepared are in memory only. */
  get isPreparedForMemory(): boolean {
    return this.#plan.storedTargetCount === 0;
  }

  /** The position of the record of what was added last; −1 when it has none. */
  get recordPosition(): number {
    return this.#plan.recordPosition;
  }

  /** Puts what was prepared into the journal as a piece of a transaction. */
  addPiece(transaction: StoredTransaction): void {
    this.#engine.state.transactions.addMessage(transaction, this.#plan);
    this.#countDropped();
  }

  /** Payload bytes of the record that {@link add} would write for what was prepared; 0 for none. */
  preparedRecordBytes(): number {
    return this.#engine.state.messageRecordBytes(this.#plan);
  }

  /**
   * Adds what was prepared and wakes its queues. Gives the message's id, −1 when no queue takes it.
   *
   * @param hiddenUntil the record before whose commit nobody sees a message that is in memory only; −1 for none
   */
  add(hiddenUntil = -1): number {
    const plan = this.#plan;
    if (plan.storedTargetCount === 0) plan.hiddenUntil = hiddenUntil;
    const id = this.#engine.state.addMessage(plan);
    const address = this.#address;
    if (address !== undefined) {
      if (address.promisedBytes > 0) {
        address.promisedBytes = Math.max(0, address.promisedBytes - (plan.end - plan.start));
      }
      if (this.#finder.queues.length > 0) address.routedCount += 1;
      else if (this.#finder.dropping.length === 0) address.unroutedCount += 1;
    }
    this.#countDropped();
    // With one stored queue among them, all targets share the record, and wait for it.
    const waits = plan.storedTargetCount > 0 || plan.hiddenUntil >= 0;
    for (const queue of this.#finder.queues) {
      queue.counts.addedTotal += 1;
      if (queue.limitsItself) this.#engine.retention.added(queue);
      // A scheduled message concerns nobody before its time: `Scheduler.arm` sees it at the step's end.
      if (plan.dueMs > 0) continue;
      if (waits) this.#engine.rowAdded(queue, plan.hiddenUntil);
      else this.#engine.touch(queue);
    }
    return id;
  }

  /** Refuses what would be more rows than the broker can hold. @throws EverholdError EVH_ADDRESS_FULL */
  checkRows(address: LiveAddress, count: number): void {
    if (this.#engine.state.hasRoomFor(count)) return;
    throw new EverholdError(
      "EVH_ADDRESS_FULL",
      `cannot send to "${address.name}": the broker holds as many messages as it can`,
    );
  }

  /** Bytes of the largest message that a delivery and a record can hold. */
  get messageBytesMax(): number {
    const { config, journal } = this.#engine;
    return Math.min(config.messageBytesMax, journal.recordBytesMax - limits.recordOverheadBytes);
  }

  /** Refuses a message that no delivery or no record could hold. @throws EverholdError EVH_REJECTED */
  checkSize(messageBytes: number): void {
    const max = this.messageBytesMax;
    if (messageBytes <= max) return;
    throw new EverholdError(
      "EVH_REJECTED",
      `the message has ${messageBytes} bytes, at most ${max} are allowed`,
    );
  }

  /**
   * Records that a message is refused of which only the headers `HDR` are left.
   * @throws ProtocolError when they are not valid
   */
  refuseHeaders(session: Session, headers: Uint8Array, error: EverholdError): void {
    const view = new DataView(headers.buffer, headers.byteOffset, headers.length);
    scanHeaders(view, 0, headers.length, this.scan);
    this.#identity.read(headers, view, this.scan, session.sink.link.sendsMarks);
    const { idOffset, epoch, sequence } = this.#identity;
    if (idOffset < 0) return;
    const verdict = this.#engine.state.judgeProducer(headers, idOffset, epoch, sequence);
    if (verdict === "new") recordRefusal(this.#engine.state, this.#identity, headers, error);
  }

  /** What tells the duplicate id of the message prepared last from all others; `undefined` for none. */
  preparedDuplicateKey(address: LiveAddress): string | undefined {
    const { duplicateBytes, duplicateStart, duplicateEnd } = this.#identity;
    if (duplicateStart < 0) return undefined;
    return `${address.state.id}:${duplicateBytes.subarray(duplicateStart, duplicateEnd).join(",")}`;
  }

  /** Who sent the message that was identified last. */
  get identity(): MessageIdentity {
    return this.#identity;
  }

  /**
   * Reads the identity of the message that was scanned last, from a client that `sendsMarks` or not.
   * @throws EverholdError EVH_REJECTED
   */
  identify(bytes: Uint8Array, view: DataView, sendsMarks: boolean): void {
    this.#identity.read(bytes, view, this.scan, sendsMarks);
    this.#identity.checkDuplicateId();
  }

  /** As {@link identify}, for a message that a bridge sends; no other id counts. @throws EverholdError EVH_REJECTED */
  identifyBridged(id: Uint8Array): void {
    this.#identity.readBridged(id);
  }

  /** Counts what was prepared at the addresses that dropped it: only now it is done, and once. */
  #countDropped(): void {
    for (const address of this.#finder.dropping) address.droppedCount += 1;
  }

  /** Starts the plan for the message that was scanned last, without targets and duplicate id. */
  #begin(
    address: LiveAddress,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    const { scan } = this;
    const plan = this.#plan;
    this.#address = address;
    this.#finder.begin();
    plan.begin(address.state, bytes, view, start, end, scan.messageIdOffset);
    plan.largeBody = this.largeBody;
    plan.priority = scan.priority;
    plan.isDurable = scan.durable;
    plan.expirationMs = scan.expiration;
    plan.dueMs = this.#engine.scheduler.dueMsOf(scan.scheduledDelivery);
    if (scan.groupIdStart >= 0) plan.group = groupHash(view, scan.groupIdStart, scan.groupIdEnd);
    const { idOffset, epoch, sequence } = this.#identity;
    if (idOffset >= 0) plan.setProducerMark(bytes, idOffset, epoch, sequence);
  }

  /** Says when the message expires, to its consumers as well. */
  #setExpiration(expirationMs: number): void {
    if (expirationMs === this.#plan.expirationMs) return;
    this.#plan.setExpiration(expirationMs, this.scan.propertiesStart - expirationBeforeProperties);
  }

  /** @throws EverholdError EVH_REJECTED for more targets than a record can name, EVH_ADDRESS_FULL */
  #checkTargets(address: LiveAddress): void {
    const count = this.#finder.queues.length;
    this.checkRows(address, count);
    const { journal } = this.#engine;
    const isWithin = recordBytes(this.preparedRecordBytes()) <= journal.recordBytesMax;
    if (isWithin && count <= stateLimits.messageTargetsMax) return;
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot send to "${address.name}": the message goes to ${count} queues, and no record can hold all that`,
    );
  }

  /**
   * Nobody can say yet whether the duplicate id of a prepared transaction will have been used.
   * @throws EverholdError EVH_DUPLICATE_ID
   */
  #checkReserved(address: LiveAddress): void {
    const { duplicateBytes, duplicateStart, duplicateEnd } = this.#identity;
    const { transactions } = this.#engine.state;
    const id = address.state.id;
    if (!transactions.isReserved(id, duplicateBytes, duplicateStart, duplicateEnd)) return;
    throw new EverholdError(
      "EVH_DUPLICATE_ID",
      `cannot send to "${address.name}": a prepared transaction holds a message of the same duplicate id`,
    );
  }
}
