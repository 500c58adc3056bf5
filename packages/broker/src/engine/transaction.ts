import { EverholdError, ProtocolError } from "@everhold/base";
import { ByteWriter, scanMessage } from "@everhold/wire";

import { limits } from "../limits.ts";
import type { LargeBody } from "../state/large-body.ts";
import type { LiveAddress, LiveQueue } from "./live-queue.ts";
import { MarkedRuns } from "./marked-runs.ts";
import { producerError } from "./producer-check.ts";
import type { PreparedSend, RouteVerdict } from "./router.ts";
import type { Session } from "./session.ts";
import type { DeferredWork } from "./waiters.ts";

/** One of the sends of a transaction, by its number, and where it goes. */
interface CheckedSend extends PreparedSend {
  readonly index: number;
  /** What is to be added: its mark and duplicate id are noted apart when its queues are in memory only. */
  readonly part: "whole" | "note" | "rows";
}

/**
 * A local transaction. What is sent is kept as the bytes that came, what is acknowledged as row keys;
 * nothing is in the journal before the commit, which is one atomic group of records: no begin, no commit
 * record, the batch's checksum is the commit (ARCHITECTURE.md, "The journal").
 *
 * It has *failed* once a part of it cannot be done; COMMIT then rolls back and answers with that reason.
 */
export class Transaction implements DeferredWork {
  readonly #session: Session;
  readonly #sends = new ByteWriter();
  /** Where each send ends in `#sends`. */
  readonly #sendEnds: number[] = [];
  /** The bodies of those sends that are large, by their numbers. */
  #largeBodies: Map<number, LargeBody> | undefined;
  readonly #acknowledgements = new Map<LiveQueue, number[]>();
  #acknowledgementCount = 0;
  #failure: EverholdError | undefined;
  /** Sends that need no record, and must wait until the others are committed. */
  readonly #deferred: CheckedSend[] = [];
  readonly #works: DeferredWork[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Adds the message that was scanned last. What cannot be done comes out at COMMIT.
   * @throws ProtocolError when its identity cannot be one
   */
  addSend(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const { credits, router } = this.#session.engine;
    try {
      router.identify(bytes, view, this.#session.sink.link.sendsMarks);
    } catch (error) {
      if (!EverholdError.is(error) || error instanceof ProtocolError) throw error;
      this.fail(error);
      return;
    }
    if (this.#sendEnds.length >= limits.transactionSendsMax) {
      this.fail(tooLarge("messages", limits.transactionSendsMax));
      return;
    }
    if (this.#sends.offset + (end - start) > limits.transactionBytesMax) {
      this.fail(tooLarge("bytes", limits.transactionBytesMax));
      return;
    }
    if (router.largeBody !== undefined) this.#hold(router.largeBody);
    this.#sends.raw(bytes, start, end);
    this.#sendEnds.push(this.#sends.offset);
    if (this.#failure !== undefined) return;
    try {
      router.checkSize(end - start);
      credits.checkRoom(router.targetOf(this.#session, bytes).address);
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
    try {
      if (this.#failure !== undefined) throw this.#failure;
      this.#append();
    } catch (error) {
      if (!(error instanceof EverholdError)) throw error;
      this.fail(error);
      this.rollback();
      throw error;
    }
  }

  /** Gives back what was acknowledged, counted as attempts, and drops what was sent. */
  rollback(): void {
    const { redelivery } = this.#session.engine;
    for (const [queue, keys] of this.#acknowledgements) {
      for (const key of keys) redelivery.giveBack(queue, key, true);
    }
    this.#acknowledgements.clear();
    this.#refuseSequences();
    this.#releaseBodies();
  }

  /** Adds the messages that needed no record, now that the rest of the transaction is committed. */
  run(): void {
    for (const send of this.#deferred) this.#add(send);
    this.#releaseBodies();
  }

  #hold(body: LargeBody): void {
    body.hold();
    this.#largeBodies ??= new Map();
    this.#largeBodies.set(this.#sendEnds.length, body);
  }

  /** From here on the messages hold their bodies themselves, or nobody does. */
  #releaseBodies(): void {
    this.#session.engine.router.largeBody = undefined;
    if (this.#largeBodies === undefined) return;
    for (const body of this.#largeBodies.values()) body.release();
    this.#largeBodies = undefined;
  }

  /** Checks everything, then appends one atomic group. Nothing is appended when a check fails. */
  #append(): void {
    const { engine } = this.#session;
    const stored: CheckedSend[] = [];
    let payloadBytes = this.#checkSends(stored);
    let recordCount = stored.length;
    for (const [queue, keys] of this.#acknowledgements) {
      if (queue.isDeleted) continue;
      keys.sort((left, right) => left - right);
      const bytes = engine.state.acknowledgeRecordBytes(queue.state, keys, keys.length);
      payloadBytes += bytes;
      if (bytes > 0) recordCount += 1;
    }
    if (recordCount > 0) this.#reserve(payloadBytes, recordCount);
    for (const send of stored) this.#add(send);
    for (const [queue, keys] of this.#acknowledgements) {
      if (!queue.isDeleted) engine.state.acknowledge(queue.state, keys, keys.length);
      if (queue.gate !== undefined) engine.touch(queue);
    }
    if (this.#deferred.length > 0) this.#session.sink.afterCommit(this);
    else this.#releaseBodies();
    for (const work of this.#works) this.#session.sink.afterCommit(work);
  }

  /** Fills `stored` with the sends that need a record, and sums up what these take. */
  #checkSends(stored: CheckedSend[]): number {
    const { router } = this.#session.engine;
    const duplicateKeys = new Set<string>();
    const runs = new MarkedRuns();
    let payloadBytes = 0;
    let rowCount = 0;
    for (let index = 0; index < this.#sendEnds.length; index += 1) {
      this.#identify(index);
      const { address, verdict } = this.#prepare(index, runs);
      const isDuplicate = verdict === "duplicate";
      const key = router.preparedDuplicateKey(address);
      if (isDuplicate || (key !== undefined && duplicateKeys.has(key))) {
        throw new EverholdError(
          "EVH_DUPLICATE_ID",
          "the transaction holds a message whose duplicate id was used before",
        );
      }
      if (key !== undefined) duplicateKeys.add(key);
      const found = router.prepared(address);
      rowCount += found.targets.length;
      router.checkRows(address, rowCount);
      const bytes = router.preparedRecordBytes();
      payloadBytes += bytes;
      if (!router.isPreparedForMemory) stored.push({ index, ...found, part: "whole" });
      else {
        // What is in memory appears together, in order, once the rest is committed.
        if (bytes > 0) stored.push({ index, address, targets: [], part: "note" });
        this.#deferred.push({ index, ...found, part: bytes > 0 ? "rows" : "whole" });
      }
    }
    return payloadBytes;
  }

  #reserve(payloadBytes: number, recordCount: number): void {
    const { journal } = this.#session.engine;
    // Each record has a header of 8 bytes and is padded to a multiple of 8.
    const groupBytes = payloadBytes + recordCount * 16;
    if (groupBytes > journal.groupBytesMax) throw tooLarge("bytes", journal.groupBytesMax);
    journal.reserve(payloadBytes, recordCount);
  }

  #identify(index: number): void {
    const { router } = this.#session.engine;
    scanMessage(this.#sends.view, this.#startOf(index), this.#endOf(index), router.scan);
    const { bytes, view } = this.#sends;
    router.identify(bytes, view, this.#session.sink.link.sendsMarks);
    router.largeBody = this.#largeBodies?.get(index);
  }

  /** Finds out where one of the sends goes, which was scanned last. */
  #prepare(index: number, runs: MarkedRuns): { address: LiveAddress; verdict: RouteVerdict } {
    const { router } = this.#session.engine;
    const { bytes, view } = this.#sends;
    const target = router.targetOf(this.#session, bytes);
    this.#checkSequence(runs);
    const verdict = router.prepare(target, bytes, view, this.#startOf(index), this.#endOf(index));
    return { address: target.address, verdict };
  }

  /** Adds a send to the queues that were found for it when it was checked: room is reserved for these. */
  #add(send: CheckedSend): void {
    const { router } = this.#session.engine;
    const { bytes, view } = this.#sends;
    this.#identify(send.index);
    if (send.part === "rows") router.identity.clear();
    router.prepareAgain(send, bytes, view, this.#startOf(send.index), this.#endOf(send.index));
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
    for (let index = 0; index < this.#sendEnds.length; index += 1) {
      this.#identify(index);
      const { idOffset, epoch, sequence } = router.identity;
      if (idOffset >= 0) runs.add(this.#sends.bytes, idOffset, epoch, sequence);
    }
    const code = this.#failure?.code ?? "EVH_TRANSACTION_ROLLED_BACK";
    for (const { id, epoch, first, last } of runs.all) {
      if (state.judgeProducer(id, 0, epoch, first) !== "new") continue;
      state.refuseSequence(id, 0, epoch, first, last, code);
    }
  }

  #startOf(index: number): number {
    return index === 0 ? 0 : (this.#sendEnds[index - 1] ?? 0);
  }

  #endOf(index: number): number {
    return this.#sendEnds[index] ?? 0;
  }
}

function tooLarge(what: string, limit: number): EverholdError {
  return new EverholdError(
    "EVH_REJECTED",
    `the transaction holds more ${what} than a transaction may, ${limit}`,
  );
}
