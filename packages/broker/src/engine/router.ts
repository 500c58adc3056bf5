import { EverholdError } from "@everhold/base";
import { recordBytes } from "@everhold/journal";
import { decodeSimpleString, MessageScan, scanHeaders } from "@everhold/wire";

import { limits } from "../limits.ts";
import { groupHash } from "../state/group-hash.ts";
import type { LargeBody } from "../state/large-body.ts";
import { MessagePlan } from "../state/message-plan.ts";
import type { RoutingType } from "../state/queue-definition.ts";
import type { DivertRouting } from "../state/rules.ts";
import { stateLimits } from "../state/state-limits.ts";
import type { StoredTransaction } from "../state/stored-transaction.ts";
import type { RouteTarget } from "./address-cache.ts";
import { unrouted } from "./departures.ts";
import type { Divert } from "./diverts.ts";
import type { Engine } from "./engine.ts";
import { expirationOf } from "./expiry-rule.ts";
import type { LiveAddress, LiveQueue } from "./live-queue.ts";
import { lastValueIn } from "./last-value-reader.ts";
import { MessageIdentity, producerError } from "./producer-check.ts";
import type { Provenance } from "./provenance.ts";
import type { Session } from "./session.ts";

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
}

/**
 * Finds where messages go and hands them to the state. Everything it needs for a message is in holders
 * that serve all messages; nothing is allocated for one.
 */
export class Router {
  readonly #engine: Engine;
  readonly #plan = new MessagePlan();
  readonly #identity = new MessageIdentity();
  readonly #targets: LiveQueue[] = [];
  /** Of the message that was prepared last. */
  #address: LiveAddress | undefined;
  /** The routing type by which it is routed now; a divert may change it. */
  #type = -1;
  /** The divert by which targets are found now, as rows name it; empty for none. */
  #origin = "";
  /** What filters see of the message behind that divert. */
  #moved: Provenance | undefined;
  /** The diverts that were followed for it. */
  readonly #followed: Divert[] = [];
  /** The queues found so far, once a divert was followed. */
  #reached: Set<LiveQueue> | undefined;
  /** It goes nowhere: its address is full. */
  #isDropped = false;
  /** The message that was scanned last. */
  readonly scan = new MessageScan();
  /** The body of the message that was scanned last, where that is large and not in the message itself. */
  largeBody: LargeBody | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
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
    if (!this.#isNewSequence(bytes)) return true;
    try {
      this.#identity.checkDuplicateId();
      this.checkSize(end - start);
      const target = this.targetOf(session, bytes);
      this.#engine.credits.checkRoom(target.address);
      const verdict = this.prepare(target, bytes, view, start, end);
      // A duplicate goes nowhere, but its sequence is used up: with the first one's outcome, applied.
      if (verdict === "duplicate" && this.#identity.idOffset < 0) return true;
    } catch (error) {
      this.#recordRefusal(bytes, error);
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
    this.#isDropped = this.#engine.credits.drops(target.address);
    // What has expired on arrival as well: it was confirmed, so it is to be found at the expiry address.
    this.#route(target, bytes, view, start, end);
    if (this.#targets.length === 0 && settings.sendToDlaOnNoRoute && !this.#isDropped) {
      this.#routeToDeadLetters(target.address, bytes, view, start, end);
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
      this.#addTarget(queue);
    }
  }

  /** What was found for the message prepared last, to be kept for {@link prepareAgain}. */
  prepared(address: LiveAddress): PreparedSend {
    const { expirationMs, diversions } = this.#plan;
    const targets = [...this.#targets];
    if (diversions.isEmpty) return { address, targets, expirationMs };
    const origins = targets.map((_, index) => diversions.originOf(index));
    return { address, targets, expirationMs, origins };
  }

  /** Whether all queues of what was prepared are in memory only. */
  get isPreparedForMemory(): boolean {
    return this.#plan.storedTargetCount === 0;
  }

  /** Records only the mark and the duplicate id of what was prepared. */
  note(): void {
    this.#engine.state.addMessage(this.#plan);
  }

  /** Puts what was prepared into the journal as a piece of a transaction. */
  addPiece(transaction: StoredTransaction): void {
    this.#engine.state.transactions.addMessage(transaction, this.#plan);
  }

  /** Payload bytes of the record that {@link add} would write for what was prepared; 0 for none. */
  preparedRecordBytes(): number {
    return this.#engine.state.messageRecordBytes(this.#plan);
  }

  /** Adds what was prepared and wakes its queues. Gives the message's id, −1 when no queue takes it. */
  add(): number {
    const plan = this.#plan;
    const id = this.#engine.state.addMessage(plan);
    const address = this.#address;
    if (address !== undefined && !this.#isDropped) {
      if (address.promisedBytes > 0) {
        address.promisedBytes = Math.max(0, address.promisedBytes - (plan.end - plan.start));
      }
      if (this.#targets.length === 0) address.unroutedCount += 1;
      else address.routedCount += 1;
    }
    // With one stored queue among them, all targets share the record, and wait for it.
    const isRecorded = plan.storedTargetCount > 0;
    for (const queue of this.#targets) {
      queue.counts.addedTotal += 1;
      if (queue.limitsItself) this.#engine.retention.added(queue);
      // A scheduled message concerns nobody before its time: `Scheduler.arm` sees it at the step's end.
      if (plan.dueMs > 0) continue;
      if (isRecorded) this.#engine.rowAdded(queue);
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
    if (verdict === "new") this.#recordRefusal(headers, error);
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

  /** Where the message that was scanned last goes: its address, else the session's default one. */
  targetOf(session: Session, bytes: Uint8Array): RouteTarget {
    const { scan } = this;
    if (scan.addressStart < 0) return this.#defaultTarget(session);
    const cache = session.sink.link.addresses;
    const found = cache.find(bytes, scan.addressStart, scan.addressEnd);
    if (found !== undefined && isComplete(found, scan.routingType)) {
      session.defaultAddress ??= found.address.name;
      return found;
    }
    const name = decodeSimpleString(bytes, scan.addressStart, scan.addressEnd);
    const target = this.#engine.catalog.resolve(name, routingTypeOf(scan.routingType));
    cache.add(bytes, scan.addressStart, scan.addressEnd, target);
    session.defaultAddress ??= name;
    return target;
  }

  #defaultTarget(session: Session): RouteTarget {
    if (session.defaultAddress === undefined) {
      throw new EverholdError("EVH_ILLEGAL_STATE", "a message has no address to go to");
    }
    return this.#engine.catalog.resolve(
      session.defaultAddress,
      routingTypeOf(this.scan.routingType),
    );
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
    this.#isDropped = false;
    this.#followed.length = 0;
    this.#reached = undefined;
    this.#origin = "";
    this.#moved = undefined;
    plan.begin(address.state, bytes, view, start, end, scan.messageIdOffset);
    plan.largeBody = this.largeBody;
    plan.priority = scan.priority;
    plan.isDurable = scan.durable;
    plan.expirationMs = scan.expiration;
    plan.dueMs = this.#engine.scheduler.dueMsOf(scan.scheduledDelivery);
    if (scan.groupIdStart >= 0) plan.group = groupHash(view, scan.groupIdStart, scan.groupIdEnd);
    const { idOffset, epoch, sequence } = this.#identity;
    if (idOffset >= 0) plan.setProducerMark(bytes, idOffset, epoch, sequence);
    this.#targets.length = 0;
  }

  /** Says when the message expires, to its consumers as well. */
  #setExpiration(expirationMs: number): void {
    if (expirationMs === this.#plan.expirationMs) return;
    this.#plan.setExpiration(expirationMs, this.scan.propertiesStart - expirationBeforeProperties);
  }

  /** No queue takes the message: it goes to the dead letters, where it does not expire. */
  #routeToDeadLetters(
    address: LiveAddress,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    const message = { bytes, view, offset: start, length: end - start };
    const found = this.#engine.redelivery.sinks.find(address, "", unrouted, message);
    if (typeof found === "string") return;
    // It never was where a divert would have led it.
    this.#origin = "";
    this.#moved = undefined;
    for (const queue of found) this.#addTarget(queue);
    this.#setExpiration(0);
  }

  /** @throws EverholdError EVH_REJECTED for more targets than a record can name, EVH_ADDRESS_FULL */
  #checkTargets(address: LiveAddress): void {
    const count = this.#targets.length;
    this.checkRows(address, count);
    const { journal } = this.#engine;
    const isWithin = recordBytes(this.preparedRecordBytes()) <= journal.recordBytesMax;
    if (isWithin && count <= stateLimits.messageTargetsMax) return;
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot send to "${address.name}": the message goes to ${count} queues, and no record can hold all that`,
    );
  }

  #route(target: RouteTarget, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    this.#type = this.scan.routingType;
    const { diverts } = this.#engine;
    if (diverts.count === 0 || target.address.divertsOf(diverts).length === 0) {
      this.#routeUndiverted(target, bytes, view, start, end);
      return;
    }
    this.#routeDiverted(target, bytes, view, start, end);
  }

  /**
   * Routes to an address that has diverts. Exclusive ones come first; where one takes the message, nobody else gets
   * it. What is sent to a queue by its full name, only these take. Source: Artemis, `BindingsImpl.route`.
   */
  #routeDiverted(
    target: RouteTarget,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    const diverts = target.address.divertsOf(this.#engine.diverts);
    const takes = (divert: Divert): boolean =>
      !this.#followed.includes(divert) &&
      divert.selector?.matches(bytes, view, start, end, this.#moved) !== false;
    let isTaken = false;
    for (const divert of diverts) {
      if (!divert.definition.exclusive) break;
      if (!takes(divert)) continue;
      isTaken = true;
      this.#follow(divert, bytes, view, start, end);
    }
    if (isTaken) return;
    this.#routeUndiverted(target, bytes, view, start, end);
    if (target.queue !== undefined) return;
    for (const divert of diverts) {
      if (divert.definition.exclusive || !takes(divert)) continue;
      this.#follow(divert, bytes, view, start, end);
    }
  }

  /** As a send to each address that a divert forwards to, but for the duplicate id, which was judged. */
  #follow(divert: Divert, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    if (this.#followed.length >= limits.divertsFollowedMax) {
      throw new EverholdError(
        "EVH_REJECTED",
        `cannot send: ${limits.divertsFollowedMax} diverts lead the message on, which is the limit`,
      );
    }
    this.#followed.push(divert);
    this.#reached ??= new Set(this.#targets);
    const { catalog, credits } = this.#engine;
    const type = this.#type;
    const origin = this.#origin;
    const moved = this.#moved;
    for (const forward of divert.targets) {
      this.#type = divertedType(divert.routing, type);
      const target = catalog.resolve(forward.address, routingTypeOf(this.#type));
      credits.checkRoom(target.address);
      if (credits.drops(target.address)) continue;
      this.#origin = forward.origin;
      this.#moved = forward.provenance;
      this.#routeDiverted(target, bytes, view, start, end);
    }
    this.#type = type;
    this.#origin = origin;
    this.#moved = moved;
  }

  /** Adds the queues of a target and of the wildcard addresses that stand for it. */
  #routeUndiverted(
    target: RouteTarget,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    if (target.queue !== undefined) {
      // What a subscription filters out does not come in by its full name either.
      const isWanted =
        target.queue.selector?.matches(bytes, view, start, end, this.#moved) !== false;
      if (isWanted) this.#addTarget(target.queue);
      return;
    }
    const { address } = target;
    this.#routeTo(address, bytes, view, start, end);
    const { wildcards } = this.#engine.catalog;
    if (wildcards.count === 0) return;
    for (const wild of address.wildcardsOf(wildcards)) {
      if (!this.#engine.credits.drops(wild)) this.#routeTo(wild, bytes, view, start, end);
    }
  }

  /** Adds the queues of one address that take the message. */
  #routeTo(
    address: LiveAddress,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    const type = this.#type;
    if (type !== 0 && address.anycast.length > 0) {
      const queue = this.#chooseAnycast(address, bytes, view, start, end);
      if (queue !== undefined) this.#addTarget(queue);
    }
    if (type === 1 || address.multicast.length === 0) return;
    if (address.subscriptions !== undefined) {
      const { subscriptions } = address;
      for (const queue of subscriptions.select(bytes, view, start, end, this.#moved)) {
        this.#addTarget(queue);
      }
      return;
    }
    for (const queue of address.multicast) {
      const { selector } = queue;
      if (selector === undefined || selector.matches(bytes, view, start, end, this.#moved)) {
        this.#addTarget(queue);
      }
    }
  }

  /** Round robin over the queues that take the message, those with consumers before the others. */
  #chooseAnycast(
    address: LiveAddress,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): LiveQueue | undefined {
    const queues = address.anycast;
    const count = queues.length;
    let chosen = -1;
    for (let step = 0; step < count; step += 1) {
      const index = (address.rotation + step) % count;
      const queue = queues[index];
      if (queue === undefined) continue;
      if (queue.selector?.matches(bytes, view, start, end, this.#moved) === false) continue;
      const isConsumed = queue.takerCount > 0;
      if (isConsumed || chosen < 0) chosen = index;
      if (isConsumed || count === 1) break;
    }
    if (chosen < 0) return undefined;
    address.rotation = (chosen + 1) % count;
    return queues[chosen];
  }

  #addTarget(queue: LiveQueue): void {
    if (queue.keepsNothing || this.#isDropped) return;
    if (this.#reached !== undefined) {
      // Several ways may lead to one queue: it gets the message once.
      if (this.#reached.has(queue)) return;
      this.#reached.add(queue);
      this.#plan.divert(this.#origin);
    }
    this.#targets.push(queue);
    const { lastValueKey } = queue.traits;
    if (lastValueKey === undefined) this.#plan.addTarget(queue.state);
    else this.#addLastValue(queue, lastValueKey);
  }

  #addLastValue(queue: LiveQueue, property: string): void {
    const { bytes, view, start, end } = this.#plan;
    this.#plan.addTarget(queue.state, lastValueIn(bytes, view, start, end, property));
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

  /** False when the sequence was applied before. @throws EverholdError when it may not be accepted */
  #isNewSequence(bytes: Uint8Array): boolean {
    const { idOffset, epoch, sequence } = this.#identity;
    if (idOffset < 0) return true;
    const { state } = this.#engine;
    const verdict = state.judgeProducer(bytes, idOffset, epoch, sequence);
    if (verdict === "new") return true;
    if (verdict === "repeat-applied") return false;
    throw producerError(verdict, state.producers.verdictCode);
  }

  /** The outcome of a refused sequence is as durable as that of an accepted one. */
  #recordRefusal(bytes: Uint8Array, error: unknown): void {
    const { idOffset, epoch, sequence } = this.#identity;
    if (idOffset < 0 || !EverholdError.is(error)) return;
    this.#engine.state.refuseSequence(bytes, idOffset, epoch, sequence, sequence, error.code);
  }
}

function routingTypeOf(code: number): RoutingType | undefined {
  if (code === 1) return "anycast";
  return code === 0 ? "multicast" : undefined;
}

/** The routing type that a message has behind a divert; −1 for none. */
function divertedType(routing: DivertRouting, before: number): number {
  if (routing === "pass") return before;
  if (routing === "strip") return -1;
  return routing === "anycast" ? 1 : 0;
}

/** Whether nothing has to be made before a message of this routing type may go to the target. */
function isComplete(target: RouteTarget, routingType: number): boolean {
  return routingType !== 1 || target.queue !== undefined || target.address.anycast.length > 0;
}
