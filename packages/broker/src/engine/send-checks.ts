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
  /** What is to be added: its mark and duplicate id are noted apart when its queues are in memory only. */
  readonly part: "whole" | "note" | "rows";
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
   * Checks the sends of a transaction, which has `rowCount` rows already. Fills `stored` with those that need
   * a record and `inMemory` with those that can only be added once the others are committed. Gives the payload
   * bytes that all the records take.
   * @throws EverholdError with the reason for which one of them cannot be done
   */
  check(
    sends: TransactionSends,
    runs: MarkedRuns,
    rowCount: number,
    stored: CheckedSend[],
    inMemory: CheckedSend[],
  ): number {
    const { router } = this.#session.engine;
    let payloadBytes = 0;
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
      const bytes = router.preparedRecordBytes();
      payloadBytes += bytes;
      if (!router.isPreparedForMemory) stored.push({ sends, index, ...found, part: "whole" });
      else {
        // What is in memory appears together, in order, once the rest is committed.
        if (bytes > 0) stored.push({ sends, index, address, targets: [], part: "note" });
        inMemory.push({ sends, index, ...found, part: bytes > 0 ? "rows" : "whole" });
      }
    }
    return payloadBytes;
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

  /** Prepares a send for the queues that were found when it was checked: room is reserved for these. */
  prepareAgain(send: CheckedSend): void {
    const { router } = this.#session.engine;
    const { sends, index } = send;
    this.#identify(sends, index);
    if (send.part === "rows") router.identity.clear();
    const { bytes, view } = sends;
    router.prepareAgain(send, bytes, view, sends.startOf(index), sends.endOf(index));
  }

  /** Adds a send that was checked. */
  add(send: CheckedSend): void {
    const { router } = this.#session.engine;
    this.prepareAgain(send);
    if (send.part === "note") router.note();
    else router.add();
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
