import { EverholdError, ProtocolError } from "@everhold/base";

import { limits } from "../limits.ts";
import { MarkedRuns } from "../state/marked-runs.ts";
import type { ProducerNumber } from "../state/producer-marks.ts";
import { numberAppliedBytes } from "../state/records.ts";
import { StoredTransaction } from "../state/stored-transaction.ts";
import type { Xid } from "../state/xid.ts";
import type { LiveQueue } from "./live-queue.ts";
import { SendChecks, type CheckedSend } from "./send-checks.ts";
import { sendTarget } from "./send-target.ts";
import type { Session } from "./session.ts";
import { commitStored, rollbackStored } from "./stored-transactions.ts";
import { TransactionSends } from "./transaction-sends.ts";
import type { DeferredWork } from "./waiters.ts";

/**
 * What one transaction has sent and acknowledged. A small one is kept in memory, sends as the bytes that
 * came: nothing is in the journal before the commit, which is one atomic group of records, without begin
 * and commit record (ARCHITECTURE.md, "Transactions"). One that grows large goes into the journal in
 * pieces, and so does one that is prepared. In both, messages come in the order of their sends, whether
 * they are in the journal or in memory only.
 *
 * It has *failed* once a part of it cannot be done; COMMIT then rolls back and answers with that reason.
 *
 *     in memory ──large, or prepare──▶ in pieces ──prepare──▶ prepared
 *         └──commit, rollback────────────┴──────────────────────┴──▶ ended
 */
export class Transaction {
  readonly #session: Session;
  readonly #checks: SendChecks;
  #sends = new TransactionSends();
  /** What goes to queues in memory only, of a transaction in pieces. */
  #kept: TransactionSends | undefined;
  #keptSends: KeptSend[] = [];
  #stored: StoredTransaction | undefined;
  readonly #acknowledgements = new Map<LiveQueue, number[]>();
  #acknowledgementCount = 0;
  #failure: EverholdError | undefined;
  readonly #works: DeferredWork[] = [];
  /** The producers' sequences of what is in pieces, and of what came after the failure. */
  #storedRuns: MarkedRuns | undefined;
  #failedRuns: MarkedRuns | undefined;
  /** Of what is in pieces. */
  #storedCount = 0;
  #storedBytes = 0;
  #rowCount = 0;

  constructor(session: Session) {
    this.#session = session;
    this.#checks = new SendChecks(session);
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
      credits.checkRoom(sendTarget(this.#session, router.scan, bytes).address);
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

  /**
   * Everything or nothing; `number` is used up with it.
   * @throws EverholdError with the reason, after it was rolled back, which leaves the number to the caller
   */
  commit(number?: ProducerNumber): void {
    this.#orRollBack(() => {
      if (this.#stored === undefined && this.#append(number)) return;
      this.#storeAll();
      if (this.#stored !== undefined) this.#checks.checkDuplicates(this.#stored);
      this.commitPieces(false, number);
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
      this.#checks.checkDuplicates(stored);
      this.#session.engine.state.transactions.prepare(stored, xid, createdMs);
      return stored;
    });
  }

  /** Commits what is in pieces, all of which is there; what is kept in memory comes at its place between them. */
  commitPieces(isHeuristic: boolean, number?: ProducerNumber): void {
    const { engine, sink } = this.#session;
    let next = 0;
    const between = (pieceCount: number, position: number): void => {
      for (; next < this.#keptSends.length; next += 1) {
        const kept = this.#keptSends[next];
        if (kept === undefined || kept.pieceCount > pieceCount) return;
        if (kept.send.recordBytes > 0) this.#checks.addNoted(kept.send, position);
        else this.#checks.add(kept.send, position);
      }
    };
    if (this.#stored !== undefined) {
      commitStored(engine, this.#stored, isHeuristic, { number, between });
    } else if (number !== undefined) engine.state.applyNumber(number);
    this.#keptSends = [];
    this.#kept?.releaseBodies();
    this.#release();
    for (const work of this.#works) sink.afterCommit(work);
  }

  /** Rolls back what is in pieces and prepared. */
  rollbackPieces(isHeuristic: boolean): void {
    if (this.#stored !== undefined) {
      rollbackStored(this.#session.engine, this.#stored, isHeuristic);
    }
    this.#stored = undefined;
    this.#keptSends = [];
    this.#kept?.releaseBodies();
  }

  /** Gives back what was acknowledged, counted as attempts, and drops what was sent. */
  rollback(): void {
    const { redelivery } = this.#session.engine;
    this.rollbackPieces(false);
    for (const [queue, keys] of this.#acknowledgements) {
      redelivery.giveBackAll(queue, keys);
    }
    this.#acknowledgements.clear();
    const code = this.#failure?.code ?? "EVH_TRANSACTION_ROLLED_BACK";
    this.#checks.refuse(this.#sends, this.#storedRuns, this.#failedRuns, code);
    this.#release();
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

  /** Lets go of what was sent and is neither in the journal nor kept. */
  #release(): void {
    this.#session.engine.router.largeBody = undefined;
    this.#hold(-this.#sends.byteCount);
    this.#sends.releaseBodies();
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
  #append(number: ProducerNumber | undefined): boolean {
    const { engine } = this.#session;
    const checked = this.#checks.check(this.#sends, new MarkedRuns(), this.#rowCount);
    let payloadBytes = checked.reduce((sum, { recordBytes }) => sum + recordBytes, 0);
    engine.credits.checkReserve(payloadBytes);
    let recordCount = checked.filter(({ recordBytes }) => recordBytes > 0).length;
    for (const [queue, keys] of this.#acknowledgements) {
      if (queue.isDeleted) continue;
      keys.sort((left, right) => left - right);
      const bytes = engine.state.acknowledgeRecordBytes(queue.state, keys, keys.length);
      payloadBytes += bytes;
      if (bytes > 0) recordCount += 1;
    }
    if (number !== undefined) {
      payloadBytes += numberAppliedBytes;
      recordCount += 1;
    }
    // Each record has a header of 8 bytes and is padded to a multiple of 8.
    if (payloadBytes + recordCount * 16 > engine.journal.groupBytesMax) {
      this.#checks.forget();
      return false;
    }
    if (recordCount > 0) engine.journal.reserve(payloadBytes, recordCount);
    // What is in memory takes its place among the others, and is seen when the group is committed.
    let hiddenUntil = recordCount > 0 ? engine.journal.endPosition : -1;
    for (const send of checked) hiddenUntil = this.#checks.add(send, hiddenUntil);
    for (const [queue, keys] of this.#acknowledgements) {
      if (!queue.isDeleted) engine.state.acknowledge(queue.state, keys, keys.length);
      if (queue.gate !== undefined) engine.touch(queue);
    }
    // There are none; the number is the last record of the group.
    this.commitPieces(false, number);
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
    this.#session.engine.credits.checkReserve(this.#sends.byteCount);
    const runs = this.#storedRuns?.copy() ?? new MarkedRuns();
    const checked = this.#checks.check(this.#sends, runs, this.#rowCount);
    const stored = this.#stored ?? new StoredTransaction();
    this.#stored = stored;
    for (const send of checked) {
      if (send.recordBytes > 0) this.#checks.addPiece(send, stored);
      if (send.isInMemory) this.#keep(send, stored.messageCount);
    }
    this.#storedRuns = runs;
    this.#storedCount += this.#sends.count;
    this.#storedBytes += this.#sends.byteCount;
    this.#rowCount += checked.reduce((sum, { targets }) => sum + targets.length, 0);
    this.#release();
    if (stored.memoryBytes > limits.transactionIdBytesMax) {
      // At once: no snapshot could describe it.
      this.rollbackPieces(false);
      throw tooLarge("bytes of duplicate ids", limits.transactionIdBytesMax);
    }
  }

  /** Keeps a send that no record holds, with its place among the pieces. */
  #keep(send: CheckedSend, pieceCount: number): void {
    const { sends, index } = send;
    const body = sends.largeBodyOf(index);
    const start = sends.startOf(index);
    const id = sends.bridgeIdOf(index);
    this.#kept ??= new TransactionSends();
    const number = this.#kept.add(sends.bytes, start, sends.endOf(index), body, id);
    this.#keptSends.push({ send: { ...send, sends: this.#kept, index: number }, pieceCount });
  }
}

/** A send in memory of a transaction in pieces, and how many pieces go before it. */
interface KeptSend {
  readonly send: CheckedSend;
  readonly pieceCount: number;
}

function tooLarge(what: string, limit: number): EverholdError {
  return new EverholdError(
    "EVH_REJECTED",
    `the transaction holds more ${what} than a transaction may, ${limit}`,
  );
}
