import { EverholdError, type ErrorCode } from "@everhold/base";
import { scanMessage } from "@everhold/wire";

import { MarkedRuns } from "../state/marked-runs.ts";
import type { StoredTransaction } from "../state/stored-transaction.ts";
import type { LiveAddress } from "./live-queue.ts";
import { producerError } from "./producer-check.ts";
import type { PreparedSend, RouteVerdict } from "./router.ts";
import { sendTarget } from "./send-target.ts";
import type { Session } from "./session.ts";
import type { TransactionSends } from "./transaction-sends.ts";

/** One of the sends of a transaction, by its number, and where it goes. */
export interface CheckedSend extends PreparedSend {
  readonly sends: TransactionSends;
  readonly index: number;
  /** Payload bytes of its record; 0 for none. */
  readonly recordBytes: number;
  /** Whether all its queues hold it in memory only, so that a record notes its mark and duplicate id at most. */
  readonly isInMemory: boolean;
}

/**
 * Finds out whether the sends of one transaction can be done, and where they go; then adds them to the queues
 * that were found. A check leaves no trace but the duplicate ids that later sends may not have.
 */
export class SendChecks {
  readonly #session: Session;
  /** The duplicate ids of what was checked, which no later send may have. */
  #duplicateKeys: Set<string> | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Checks the sends of a transaction, which has `rowCount` rows already, and says where each of them goes.
   * @throws EverholdError with the reason for which one of them cannot be done
   */
  check(sends: TransactionSends, runs: MarkedRuns, rowCount: number): readonly CheckedSend[] {
    const { router } = this.#session.engine;
    const checked: CheckedSend[] = [];
    let rows = rowCount;
    for (let index = 0; index < sends.count; index += 1) {
      this.#identify(sends, index);
      const { address, verdict } = this.#prepare(sends, index, runs);
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
      rows += found.targets.length;
      router.checkRows(address, rows);
      const recordBytes = router.preparedRecordBytes();
      const isInMemory = router.isPreparedForMemory;
      checked.push({ sends, index, ...found, recordBytes, isInMemory });
    }
    return checked;
  }

  /** What was checked is checked anew: its duplicate ids are not taken. */
  forget(): void {
    this.#duplicateKeys = undefined;
  }

  /**
   * Others may have used a duplicate id meanwhile that was free when its message went into the journal.
   * @throws EverholdError EVH_DUPLICATE_ID
   */
  checkDuplicates(stored: StoredTransaction): void {
    if (this.#session.engine.state.transactions.hasUsedDuplicate(stored)) throw duplicate();
  }

  /**
   * Adds a send that was checked; one that is in memory only is hidden until the record at a position is
   * committed. Returns the position of its own record, or the same where it has none.
   */
  add(send: CheckedSend, hiddenUntil: number): number {
    this.#identify(send.sends, send.index);
    this.#addIdentified(send, hiddenUntil);
    const { recordPosition } = this.#session.engine.router;
    return recordPosition < 0 ? hiddenUntil : recordPosition;
  }

  /** Puts a send into the journal as a piece: all of it, or the mark and duplicate id of one in memory. */
  addPiece(send: CheckedSend, transaction: StoredTransaction): void {
    this.#identify(send.sends, send.index);
    const { address } = send;
    this.#prepareAgain(send, send.isInMemory ? { address, targets: [] } : send);
    this.#session.engine.router.addPiece(transaction);
  }

  /** As {@link add} for one in memory whose mark and duplicate id are in the journal. */
  addNoted(send: CheckedSend, hiddenUntil: number): void {
    this.#identify(send.sends, send.index);
    this.#session.engine.router.identity.clear();
    this.#addIdentified(send, hiddenUntil);
  }

  /** Sequences that were rolled back are used up; a repeat of one learns that it was not applied. */
  refuse(
    sends: TransactionSends,
    storedRuns: MarkedRuns | undefined,
    failedRuns: MarkedRuns | undefined,
    code: ErrorCode,
  ): void {
    const { router, state } = this.#session.engine;
    const runs = new MarkedRuns();
    for (let index = 0; index < sends.count; index += 1) {
      this.#identify(sends, index);
      const { idOffset, epoch, sequence } = router.identity;
      if (idOffset >= 0) runs.add(sends.bytes, idOffset, epoch, sequence);
    }
    for (const part of [storedRuns, runs, failedRuns]) {
      for (const { id, epoch, first, last } of part?.all ?? []) {
        if (state.judgeProducer(id, 0, epoch, first) !== "new") continue;
        state.refuseSequence(id, 0, epoch, first, last, code);
      }
    }
  }

  #addIdentified(send: CheckedSend, hiddenUntil: number): void {
    this.#prepareAgain(send, send);
    this.#session.engine.router.add(hiddenUntil);
  }

  /** Prepares a send for the queues that were found when it was checked: room is reserved for these. */
  #prepareAgain({ sends, index }: CheckedSend, found: PreparedSend): void {
    const { bytes, view } = sends;
    const { router } = this.#session.engine;
    router.prepareAgain(found, bytes, view, sends.startOf(index), sends.endOf(index));
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
  #prepare(
    sends: TransactionSends,
    index: number,
    runs: MarkedRuns,
  ): { address: LiveAddress; verdict: RouteVerdict } {
    const { router } = this.#session.engine;
    const { bytes, view } = sends;
    const target = sendTarget(this.#session, router.scan, bytes);
    this.#checkSequence(bytes, runs);
    const start = sends.startOf(index);
    const verdict = router.prepare(target, bytes, view, start, sends.endOf(index));
    return { address: target.address, verdict };
  }

  /** Judges a marked send as if those before it in this transaction had been accepted. */
  #checkSequence(bytes: Uint8Array, runs: MarkedRuns): void {
    const { router, state } = this.#session.engine;
    const { idOffset, epoch, sequence } = router.identity;
    if (idOffset < 0 || runs.add(bytes, idOffset, epoch, sequence)) return;
    const verdict = state.judgeProducer(bytes, idOffset, epoch, sequence);
    if (verdict === "new") return;
    if (verdict !== "repeat-applied") throw producerError(verdict, state.producers.verdictCode);
    throw new EverholdError(
      "EVH_DUPLICATE_ID",
      "the transaction holds a message that was applied before",
    );
  }
}

function duplicate(): EverholdError {
  return new EverholdError(
    "EVH_DUPLICATE_ID",
    "the transaction holds a message whose duplicate id was used before",
  );
}
