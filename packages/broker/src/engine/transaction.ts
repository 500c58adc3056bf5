import { EverholdError, ProtocolError } from "@everhold/base";
import { scanMessage } from "@everhold/wire";

import { limits } from "../limits.ts";
import { StoredTransaction } from "../state/stored-transaction.ts";
import type { Xid } from "../state/xid.ts";
import type { LiveAddress, LiveQueue } from "./live-queue.ts";
import { MarkedRuns } from "./marked-runs.ts";
import { producerError } from "./producer-check.ts";
import type { PreparedSend, RouteVerdict } from "./router.ts";
import type { Session } from "./session.ts";
import { commitStored, rollbackStored } from "./stored-transactions.ts";
import { TransactionSends } from "./transaction-sends.ts";
import type { DeferredWork } from "./waiters.ts";

/** One of the sends of a transaction, by its number, and where it goes. */
interface CheckedSend extends PreparedSend {
  readonly sends: TransactionSends;
  readonly index: number;
  /** What is to be added: its mark and duplicate id are noted apart when its queues are in memory only. */
  readonly part: "whole" | "note" | "rows";
}

/**
 * What one transaction has sent and acknowledged. A small one is kept in memory, sends as the bytes that
 * came: nothing is in the journal before the commit, which is one atomic group of records, without begin
 * and commit record (ARCHITECTURE.md, "Transactions"). One that grows large goes into the journal in
 * pieces, and so does one that is prepared.
 *
 * It has *failed* once a part of it cannot be done; COMMIT then rolls back and answers with that reason.
 *
 *     in memory ──large, or prepare──▶ in pieces ──prepare──▶ prepared
 *         └──commit, rollback────────────┴──────────────────────┴──▶ ended
 */
export class Transaction implements DeferredWork {
  readonly #session: Session;
  #sends = new TransactionSends();
  /** What goes to queues in memory only, of a transaction in pieces. */
  #kept: TransactionSends | undefined;
  #stored: StoredTransaction | undefined;
  readonly #acknowledgements = new Map<LiveQueue, number[]>();
  #acknowledgementCount = 0;
  #failure: EverholdError | undefined;
  /** Sends that need no record, and must wait until the others are committed. */
  #deferred: CheckedSend[] = [];
  readonly #works: DeferredWork[] = [];
  #duplicateKeys: Set<string> | undefined;
  /** The producers' sequences of what is in pieces, and of what came after the failure. */
  #storedRuns: MarkedRuns | undefined;
  #failedRuns: MarkedRuns | undefined;
  /** Of what is in pieces. */
  #storedCount = 0;
  #storedBytes = 0;
  #rowCount = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Whether nothing was done in it. */
  get isEmpty(): boolean {
    const isUsed = this.#sends.count + this.#acknowledgementCount + this.#works.length > 0;
    return !isUsed && this.#stored === undefined && this.#failure === undefined;
  }

  /** Why it can only be rolled back; `undefined` while it need not be. */
  get failure(): EverholdError | undefined {
    return this.#failure;
  }

  /**
   * Adds the message that was scanned last, from a bridge under the id that this gave it. What cannot be
   * done comes out at COMMIT.
   * @throws ProtocolError when its identity cannot be one
   */
  addSend(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    bridgeId?: Uint8Array,
  ): void {
    const { credits, router } = this.#session.engine;
    try {
      if (bridgeId !== undefined) router.identifyBridged(bridgeId);
      else router.identify(bytes, view, this.#session.sink.link.sendsMarks);
    } catch (error) {
      if (!EverholdError.is(error) || error instanceof ProtocolError) throw error;
      this.fail(error);
      return;
    }
    this.#checkLimits(end - start);
    if (this.#failure !== undefined) {
      // Only its mark matters any more: the sequence is used up.
      const { idOffset, epoch, sequence } = router.identity;
      this.#failedRuns ??= new MarkedRuns();
      if (idOffset >= 0) this.#failedRuns.add(bytes, idOffset, epoch, sequence);
      return;
    }
    this.#hold(end - start);
    this.#sends.add(bytes, start, end, router.largeBody, bridgeId);
    try {
      router.checkSize(end - start);
      credits.checkRoom(router.targetOf(this.#session, bytes).address);
      if (this.#isLarge()) this.#store();
    } catch (error) {
      if (!(error instanceof EverholdError)) throw error;
      this.fail(error);
    }
  }

  /** Adds what is to happen when it is committed, and not when it is rolled back. */
  addWork(work: DeferredWork): void {
    if (this.#works.length < limits.transactionRequestsMax) this.#works.push(work);
    else this.fail(tooLarge("requests", limits.transactionRequestsMax));
  }

  /** Adds the settlement of `count` deliveries that are in flight. */
  addAcknowledgements(queue: LiveQueue, keys: Float64Array, count: number): void {
    let list = this.#acknowledgements.get(queue);
    if (list === undefined) {
      list = [];
      this.#acknowledgements.set(queue, list);
    }
    for (let index = 0; index < count; index += 1) list.push(keys[index] ?? 0);
    this.#acknowledgementCount += count;
    if (this.#acknowledgementCount > limits.transactionAcksMax) {
      this.fail(tooLarge("acknowledgements", limits.transactionAcksMax));
    }
  }

  /** From now on it can only be rolled back; the first reason stays. */
  fail(error: EverholdError): void {
    this.#failure ??= error;
  }

  /** Everything or nothing. @throws EverholdError with the reason, after it was rolled back */
  commit(): void {
    this.#orRollBack(() => {
      if (this.#stored === undefined && this.#append()) return;
      this.#storeAll();
      if (this.#stored !== undefined) this.#checkDuplicates(this.#stored);
      this.commitPieces(false);
    });
  }

  /**
   * Puts everything into the journal, to be decided later. `undefined` when there is nothing to decide.
   * @throws EverholdError with the reason, after it was rolled back
   */
  prepare(xid: Xid, createdMs: number): StoredTransaction | undefined {
    if (this.isEmpty) return undefined;
    return this.#orRollBack(() => {
      this.#storeAll();
      const stored = this.#stored ?? new StoredTransaction();
      this.#stored = stored;
      this.#checkDuplicates(stored);
      this.#session.engine.state.transactions.prepare(stored, xid, createdMs);
      return stored;
    });
  }

  /** Commits what is in pieces, all of which is there; what is in memory follows when that is durable. */
  commitPieces(isHeuristic: boolean): void {
    const { engine, sink } = this.#session;
    if (this.#stored !== undefined) commitStored(engine, this.#stored, isHeuristic);
    this.#release();
    if (this.#deferred.length > 0) sink.afterCommit(this);
    for (const work of this.#works) sink.afterCommit(work);
  }

  /** Rolls back what is in pieces and prepared. */
  rollbackPieces(isHeuristic: boolean): void {
    if (this.#stored !== undefined) {
      rollbackStored(this.#session.engine, this.#stored, isHeuristic);
    }
    this.#stored = undefined;
    this.#kept?.releaseBodies();
  }

  /** Gives back what was acknowledged, counted as attempts, and drops what was sent. */
  rollback(): void {
    const { redelivery } = this.#session.engine;
    this.rollbackPieces(false);
    for (const [queue, keys] of this.#acknowledgements) {
      for (const key of keys) redelivery.giveBack(queue, key, true);
    }
    this.#acknowledgements.clear();
    this.#refuseSequences();
    this.#deferred = [];
    this.#release();
  }

  /** Adds the messages that needed no record, now that the rest of the transaction is committed. */
  run(): void {
    for (const send of this.#deferred) this.#add(send);
    for (const { sends } of this.#deferred) sends.releaseBodies();
    this.#session.engine.router.largeBody = undefined;
  }

  /** Does a thing that may fail. @throws EverholdError after it was rolled back */
  #orRollBack<T>(work: () => T): T {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      return work();
    } catch (error) {
      if (!(error instanceof EverholdError)) throw error;
      this.fail(error);
      this.rollback();
      throw error;
    }
  }

  #checkLimits(bytes: number): void {
    if (this.#storedCount + this.#sends.count >= limits.transactionSendsMax) {
      this.fail(tooLarge("messages", limits.transactionSendsMax));
    } else if (this.#storedBytes + this.#sends.byteCount + bytes > limits.transactionBytesMax) {
      this.fail(tooLarge("bytes", limits.transactionBytesMax));
    } else if ((this.#kept?.byteCount ?? 0) + bytes > limits.transactionMemoryBytesMax) {
      this.fail(tooLarge("bytes in memory only", limits.transactionMemoryBytesMax));
    }
  }

  /** Counts bytes that are held in memory, of all open transactions together. */
  #hold(bytes: number): void {
    this.#session.engine.transactionBytes += bytes;
  }

  /** Lets go of what is held in memory, but for the bytes that the deferred sends need. */
  #release(): void {
    this.#session.engine.router.largeBody = undefined;
    this.#hold(-this.#sends.byteCount);
    const isNeeded = this.#deferred.some((send) => send.sends === this.#sends);
    if (!isNeeded) this.#sends.releaseBodies();
    this.#sends = new TransactionSends();
  }

  #isLarge(): boolean {
    const { byteCount, count } = this.#sends;
    if (byteCount > limits.transactionHeldBytesMax) return true;
    if (count > limits.transactionHeldSendsMax) return true;
    const isCrowded = this.#session.engine.transactionBytes > limits.transactionsHeldBytesMax;
    return isCrowded && byteCount > limits.transactionHeldBytesMin;
  }

  /** Checks everything, then appends one atomic group. False when it is too large for one: nothing is done. */
  #append(): boolean {
    const { engine } = this.#session;
    const stored: CheckedSend[] = [];
    let payloadBytes = this.#checkSends(stored, new MarkedRuns());
    engine.credits.checkReserve(payloadBytes);
    let recordCount = stored.length;
    for (const [queue, keys] of this.#acknowledgements) {
      if (queue.isDeleted) continue;
      keys.sort((left, right) => left - right);
      const bytes = engine.state.acknowledgeRecordBytes(queue.state, keys, keys.length);
      payloadBytes += bytes;
      if (bytes > 0) recordCount += 1;
    }
    // Each record has a header of 8 bytes and is padded to a multiple of 8.
    if (payloadBytes + recordCount * 16 > engine.journal.groupBytesMax) {
      this.#deferred = [];
      this.#duplicateKeys = undefined;
      return false;
    }
    if (recordCount > 0) engine.journal.reserve(payloadBytes, recordCount);
    for (const send of stored) this.#add(send);
    for (const [queue, keys] of this.#acknowledgements) {
      if (!queue.isDeleted) engine.state.acknowledge(queue.state, keys, keys.length);
      if (queue.gate !== undefined) engine.touch(queue);
    }
    this.commitPieces(false);
    return true;
  }

  /** Puts what was sent and acknowledged into the journal. @throws EverholdError when a check fails */
  #storeAll(): void {
    this.#store();
    const { transactions } = this.#session.engine.state;
    for (const [queue, keys] of this.#acknowledgements) {
      if (queue.isDeleted) continue;
      this.#stored ??= new StoredTransaction();
      keys.sort((left, right) => left - right);
      for (let from = 0; from < keys.length; from += limits.transactionAcksPerRecord) {
        const some = keys.slice(from, from + limits.transactionAcksPerRecord);
        transactions.addAcknowledgements(this.#stored, queue.state, some);
      }
    }
    this.#acknowledgements.clear();
  }

  /** Puts what was sent so far into the journal. @throws EverholdError when a check fails, and nothing is done */
  #store(): void {
    if (this.#sends.count === 0) return;
    const { credits, router } = this.#session.engine;
    credits.checkReserve(this.#sends.byteCount);
    const checked: CheckedSend[] = [];
    const deferredCount = this.#deferred.length;
    const runs = this.#storedRuns?.copy() ?? new MarkedRuns();
    this.#checkSends(checked, runs);
    const inMemory = this.#deferred.splice(deferredCount);
    const stored = this.#stored ?? new StoredTransaction();
    this.#stored = stored;
    for (const send of checked) {
      this.#prepareAgain(send);
      router.addPiece(stored);
    }
    for (const { index, sends, ...rest } of inMemory) {
      const body = sends.largeBodyOf(index);
      this.#kept ??= new TransactionSends();
      const start = sends.startOf(index);
      const id = sends.bridgeIdOf(index);
      const kept = this.#kept.add(sends.bytes, start, sends.endOf(index), body, id);
      this.#deferred.push({ ...rest, sends: this.#kept, index: kept });
    }
    this.#storedRuns = runs;
    this.#storedCount += this.#sends.count;
    this.#storedBytes += this.#sends.byteCount;
    this.#rowCount += checked.reduce((sum, send) => sum + send.targets.length, 0);
    this.#release();
    if (stored.memoryBytes > limits.transactionIdBytesMax) {
      // At once: no snapshot could describe it.
      this.rollbackPieces(false);
      throw tooLarge("bytes of duplicate ids", limits.transactionIdBytesMax);
    }
  }

  /** Fills `stored` with the sends that need a record, and sums up what these take. */
  #checkSends(stored: CheckedSend[], runs: MarkedRuns): number {
    const { router } = this.#session.engine;
    const sends = this.#sends;
    let payloadBytes = 0;
    let rowCount = this.#rowCount;
    for (let index = 0; index < sends.count; index += 1) {
      this.#identify(sends, index);
      const { address, verdict } = this.#prepare(index, runs);
      const isDuplicate = verdict === "duplicate";
      const key = router.preparedDuplicateKey(address);
      if (isDuplicate || (key !== undefined && this.#duplicateKeys?.has(key) === true)) {
        throw duplicate();
      }
      if (key !== undefined) {
        this.#duplicateKeys ??= new Set();
        this.#duplicateKeys.add(key);
      }
      const found = router.prepared(address);
      rowCount += found.targets.length;
      router.checkRows(address, rowCount);
      const bytes = router.preparedRecordBytes();
      payloadBytes += bytes;
      if (!router.isPreparedForMemory) stored.push({ sends, index, ...found, part: "whole" });
      else {
        // What is in memory appears together, in order, once the rest is committed.
        if (bytes > 0) stored.push({ sends, index, address, targets: [], part: "note" });
        this.#deferred.push({ sends, index, ...found, part: bytes > 0 ? "rows" : "whole" });
      }
    }
    return payloadBytes;
  }

  /** Others may have used a duplicate id meanwhile that was free when its message went into the journal. */
  #checkDuplicates(stored: StoredTransaction): void {
    if (this.#session.engine.state.transactions.hasUsedDuplicate(stored)) throw duplicate();
  }

  #identify(sends: TransactionSends, index: number): void {
    const { router } = this.#session.engine;
    const { bytes, view } = sends;
    scanMessage(view, sends.startOf(index), sends.endOf(index), router.scan);
    const bridgeId = sends.bridgeIdOf(index);
    if (bridgeId !== undefined) router.identifyBridged(bridgeId);
    else router.identify(bytes, view, this.#session.sink.link.sendsMarks);
    router.largeBody = sends.largeBodyOf(index);
  }

  /** Finds out where one of the sends goes, which was scanned last. */
  #prepare(index: number, runs: MarkedRuns): { address: LiveAddress; verdict: RouteVerdict } {
    const { router } = this.#session.engine;
    const { bytes, view } = this.#sends;
    const target = router.targetOf(this.#session, bytes);
    this.#checkSequence(runs);
    const start = this.#sends.startOf(index);
    const verdict = router.prepare(target, bytes, view, start, this.#sends.endOf(index));
    return { address: target.address, verdict };
  }

  /** Prepares a send for the queues that were found when it was checked: room is reserved for these. */
  #prepareAgain(send: CheckedSend): void {
    const { router } = this.#session.engine;
    const { sends, index } = send;
    this.#identify(sends, index);
    if (send.part === "rows") router.identity.clear();
    const { bytes, view } = sends;
    router.prepareAgain(send, bytes, view, sends.startOf(index), sends.endOf(index));
  }

  #add(send: CheckedSend): void {
    const { router } = this.#session.engine;
    this.#prepareAgain(send);
    if (send.part === "note") router.note();
    else router.add();
  }

  /** Judges a marked send as if those before it in this transaction had been accepted. */
  #checkSequence(runs: MarkedRuns): void {
    const { router, state } = this.#session.engine;
    const { idOffset, epoch, sequence } = router.identity;
    const { bytes } = this.#sends;
    if (idOffset < 0 || runs.add(bytes, idOffset, epoch, sequence)) return;
    const verdict = state.judgeProducer(bytes, idOffset, epoch, sequence);
    if (verdict === "new") return;
    if (verdict !== "repeat-applied") throw producerError(verdict, state.producers.verdictCode);
    throw new EverholdError(
      "EVH_DUPLICATE_ID",
      "the transaction holds a message that was applied before",
    );
  }

  /** Sequences that were rolled back are used up; a repeat of one learns that it was not applied. */
  #refuseSequences(): void {
    const { router, state } = this.#session.engine;
    const runs = new MarkedRuns();
    for (let index = 0; index < this.#sends.count; index += 1) {
      this.#identify(this.#sends, index);
      const { idOffset, epoch, sequence } = router.identity;
      if (idOffset >= 0) runs.add(this.#sends.bytes, idOffset, epoch, sequence);
    }
    const code = this.#failure?.code ?? "EVH_TRANSACTION_ROLLED_BACK";
    for (const part of [this.#storedRuns, runs, this.#failedRuns]) {
      for (const { id, epoch, first, last } of part?.all ?? []) {
        if (state.judgeProducer(id, 0, epoch, first) !== "new") continue;
        state.refuseSequence(id, 0, epoch, first, last, code);
      }
    }
  }
}

function tooLarge(what: string, limit: number): EverholdError {
  return new EverholdError(
    "EVH_REJECTED",
    `the transaction holds more ${what} than a transaction may, ${limit}`,
  );
}

function duplicate(): EverholdError {
  return new EverholdError(
    "EVH_DUPLICATE_ID",
    "the transaction holds a message whose duplicate id was used before",
  );
}
