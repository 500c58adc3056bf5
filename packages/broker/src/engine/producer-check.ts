import { EverholdError, type ErrorCode } from "@everhold/base";
import {
  isProducerMark,
  producerMarkEpoch,
  producerMarkIdOffset,
  producerMarkSequence,
  type MessageScan,
  valueTags,
} from "@everhold/wire";

import type { BrokerState } from "../state/broker-state.ts";
import { stateLimits } from "../state/state-limits.ts";

const noBytes = new Uint8Array(0);

/**
 * What a message says about who sent it as which one in a row, and which duplicate id the application
 * gave it. One holder serves many messages; −1 means absent.
 */
export class MessageIdentity {
  /** Where the 16 bytes of the producer's id are. */
  idOffset = -1;
  epoch = 0;
  sequence = 0;
  /** The duplicate id is `duplicateBytes[duplicateStart … duplicateEnd)`. */
  duplicateBytes: Uint8Array = noBytes;
  duplicateStart = -1;
  duplicateEnd = -1;

  /**
   * Reads the identity of a scanned message: a producer mark rides in `_AMQ_DUPL_ID`, or in `_EVH_SEQ`
   * where the application uses the former for itself. Unless the client sends marks (`sendsMarks`), one is
   * of somebody else, whose message is passed on, and says nothing of this send.
   *
   * @throws EverholdError EVH_PROTOCOL for a mark that cannot be one
   */
  read(bytes: Uint8Array, view: DataView, scan: MessageScan, sendsMarks: boolean): void {
    this.clear();
    if (sendsMarks && scan.producerMarkStart >= 0) {
      this.#readMark(view, scan.producerMarkStart, scan.producerMarkEnd);
    }
    if (scan.duplicateIdTag === 0) return;
    const start = scan.duplicateIdStart;
    const end = scan.duplicateIdEnd;
    if (this.idOffset < 0 && scan.duplicateIdTag === valueTags.bytes) {
      if (sendsMarks) this.#readMark(view, start, end);
      if (this.idOffset >= 0 || isProducerMark(view, start, end)) return;
    }
    this.#setDuplicateId(bytes, start, end);
  }

  /** Takes the id that a bridge gave a message. */
  readBridged(id: Uint8Array): void {
    this.clear();
    this.#setDuplicateId(id, 0, id.length);
  }

  /**
   * Refuses too long a duplicate id. Not while reading: a refusal is recorded under the producer's mark, else
   * its next send would skip a number.
   *
   * @throws EverholdError EVH_REJECTED
   */
  checkDuplicateId(): void {
    const length = this.duplicateEnd - this.duplicateStart;
    if (length <= stateLimits.duplicateIdBytesMax) return;
    throw new EverholdError(
      "EVH_REJECTED",
      `the duplicate id has ${length} bytes, at most ${stateLimits.duplicateIdBytesMax} are allowed`,
    );
  }

  /** It says nothing. */
  clear(): void {
    this.idOffset = -1;
    this.duplicateBytes = noBytes;
    this.duplicateStart = -1;
    this.duplicateEnd = -1;
  }

  #setDuplicateId(bytes: Uint8Array, start: number, end: number): void {
    this.duplicateBytes = bytes;
    this.duplicateStart = start;
    this.duplicateEnd = end;
  }

  #readMark(view: DataView, start: number, end: number): void {
    if (!isProducerMark(view, start, end)) return;
    this.epoch = producerMarkEpoch(view, start);
    this.sequence = producerMarkSequence(view, start);
    this.idOffset = start + producerMarkIdOffset;
  }
}

/**
 * Whether a message is none that was applied before, by its mark in `bytes`.
 * @throws EverholdError when its sequence may not be accepted
 */
export function isNewSequence(
  state: BrokerState,
  identity: MessageIdentity,
  bytes: Uint8Array,
): boolean {
  const { idOffset, epoch, sequence } = identity;
  if (idOffset < 0) return true;
  const verdict = state.judgeProducer(bytes, idOffset, epoch, sequence);
  if (verdict === "new") return true;
  if (verdict === "repeat-applied") return false;
  throw producerError(verdict, state.producers.verdictCode);
}

/** Records that a message was refused: its outcome is as durable as that of an accepted one. */
export function recordRefusal(
  state: BrokerState,
  identity: MessageIdentity,
  bytes: Uint8Array,
  error: unknown,
): void {
  const { idOffset, epoch, sequence } = identity;
  if (idOffset < 0 || !EverholdError.is(error)) return;
  state.refuseSequence(bytes, idOffset, epoch, sequence, sequence, error.code);
}

/** The error for a send whose sequence may not be accepted, by what the state said of it. */
export function producerError(
  verdict: "gap" | "fenced" | "unknown" | "repeat-refused",
  refusedWith: ErrorCode,
): EverholdError {
  switch (verdict) {
    case "gap":
      return new EverholdError(
        "EVH_PRODUCER_GAP",
        "the producer's sequence skips a number; resend from the last one that was answered",
      );
    case "fenced":
      return new EverholdError(
        "EVH_PRODUCER_FENCED",
        "a newer incarnation of this producer has sent; this one may send no more",
      );
    case "unknown":
      return new EverholdError(
        "EVH_PRODUCER_UNKNOWN",
        "the producer is not known here, so the outcome of its earlier sends is not either",
        { outcome: "unknown" },
      );
    case "repeat-refused":
      return new EverholdError(refusedWith, "this send was refused when it came first");
  }
}
