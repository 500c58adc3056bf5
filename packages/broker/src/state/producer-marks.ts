import { assert, type ErrorCode } from "@everhold/base";
import type { MarkedRun } from "./marked-runs.ts";
import { judgeSequence, type ProducerVerdict } from "./producer-verdict.ts";
import { stateLimits } from "./state-limits.ts";

/** Bytes of a producer's id. */
export const producerIdBytes = 16;

const none = -1;
const slotsInitial = 64;

/** One number of a producer: of a send or of a commit. */
export interface ProducerNumber {
  /** 16 bytes. */
  readonly producerId: Uint8Array;
  readonly epoch: number;
  /** From 1. */
  readonly number: number;
}

/**
 * What is known of a number. `notSeen`: none came so far. `unknown`: the producer, or what became of the
 * number, is forgotten, or a newer incarnation has come since.
 */
export type NumberOutcome =
  | { readonly outcome: "notSeen" | "applied" | "unknown" }
  | { readonly outcome: "refused"; readonly code: ErrorCode };

/** Sequences of one producer that were consumed without taking effect. */
export interface Refusal {
  readonly first: number;
  readonly last: number;
  readonly code: ErrorCode;
}

/**
 * What is remembered of producers: epoch, last sequence that has an outcome, and the recent refusals.
 * Columns of typed memory, found by id through a hash table with linear probing: about 60 bytes each.
 * A slot names a producer until it is forgotten.
 */
export class ProducerMarks {
  #ids = new Uint8Array(0);
  #epochs = new Uint32Array(0);
  #sequences = new Float64Array(0);
  /** Position of the record that changed the producer last, −1 for a free slot. */
  #positions = new Float64Array(0);
  #table = new Int32Array(0);
  readonly #refusals = new Map<number, Refusal[]>();
  readonly #freeSlots: number[] = [];
  #slotCount = 0;
  #count = 0;

  /** Of the last verdict `repeat-refused`: why it was refused. */
  verdictCode: ErrorCode = "EVH_REJECTED";
  /** Of the last verdict on a repeat: the answer waits until this position is committed. */
  verdictPosition = 0;

  /** Whether some producer was ever forgotten, so that one that is not known may have been. */
  hasForgotten = false;

  /** Producers that are remembered. */
  get count(): number {
    return this.#count;
  }

  /** Slots run from 0 to here; some are free. */
  get slotEnd(): number {
    return this.#slotCount;
  }

  /** The slot of a producer, −1 when it is not known. The id lies at `offset`, 16 bytes long. */
  find(bytes: Uint8Array, offset: number): number {
    if (this.#count === 0) return none;
    const mask = this.#table.length - 1;
    for (let place = idHash(bytes, offset) & mask; ; place = (place + 1) & mask) {
      const slot = this.#table[place] ?? none;
      if (slot === none) return none;
      if (this.#hasId(slot, bytes, offset)) return slot;
    }
  }

  /** Applies the rule to a send; see {@link judgeSequence}, `verdictCode` and `verdictPosition`. */
  judge(bytes: Uint8Array, offset: number, epoch: number, sequence: number): ProducerVerdict {
    const slot = this.find(bytes, offset);
    const refusal = slot === none ? undefined : this.refusalOf(slot, sequence);
    if (refusal !== undefined) this.verdictCode = refusal.code;
    if (slot !== none) this.verdictPosition = this.positionOf(slot);
    return judgeSequence({
      isKnown: slot !== none,
      knownEpoch: slot === none ? 0 : this.epochOf(slot),
      lastSequence: slot === none ? 0 : this.lastSequenceOf(slot),
      wasRefused: refusal !== undefined,
      epoch,
      sequence,
    });
  }

  /** What is known of a number, now and for nobody's good: nothing changes. */
  outcomeOf({ producerId, epoch, number }: ProducerNumber): NumberOutcome {
    const slot = this.find(producerId, 0);
    if (slot === none) return { outcome: this.hasForgotten ? "unknown" : "notSeen" };
    if (epoch < this.epochOf(slot)) return { outcome: "unknown" };
    if (epoch > this.epochOf(slot) || number > this.lastSequenceOf(slot) || number < 1) {
      return { outcome: "notSeen" };
    }
    const refusal = this.refusalOf(slot, number);
    if (refusal !== undefined) return { outcome: "refused", code: refusal.code };
    return { outcome: this.#hasForgottenOf(slot, number) ? "unknown" : "applied" };
  }

  /** A number has its outcome, by the record at `position`. */
  consume({ producerId, epoch, number }: ProducerNumber, position: number): void {
    this.advance(producerId, 0, epoch, number, position);
  }

  /** Whether a slot names a producer. */
  isUsed(slot: number): boolean {
    return (this.#positions[slot] ?? none) >= 0;
  }

  epochOf(slot: number): number {
    return this.#epochs[slot] ?? 0;
  }

  /** The last sequence of the current epoch that has an outcome, 0 when none has. */
  lastSequenceOf(slot: number): number {
    return this.#sequences[slot] ?? 0;
  }

  /** Position of the record that changed the producer last. */
  positionOf(slot: number): number {
    return this.#positions[slot] ?? 0;
  }

  /** The 16 bytes of the id, shared with the table: for this step only. */
  idOf(slot: number): Uint8Array {
    return this.#ids.subarray(slot * producerIdBytes, (slot + 1) * producerIdBytes);
  }

  /** The refusals that are remembered, ascending. */
  refusalsOf(slot: number): readonly Refusal[] {
    return this.#refusals.get(slot) ?? [];
  }

  /** The refusal of a sequence, if it was refused. */
  refusalOf(slot: number, sequence: number): Refusal | undefined {
    const refusals = this.#refusals.get(slot);
    if (refusals === undefined) return undefined;
    let low = 0;
    let high = refusals.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const one = refusals[middle];
      if (one === undefined) return undefined;
      if (sequence < one.first) high = middle - 1;
      else if (sequence > one.last) low = middle + 1;
      else return one;
    }
    return undefined;
  }

  /**
   * Records that everything up to `sequence` of `epoch` has an outcome. Opens the producer if need be; an older
   * incarnation, whose transaction is decided late, changes nothing.
   */
  advance(
    bytes: Uint8Array,
    offset: number,
    epoch: number,
    sequence: number,
    position: number,
  ): number {
    const slot = this.#open(bytes, offset);
    if (epoch < this.epochOf(slot)) return slot;
    if (epoch > this.epochOf(slot) || this.positionOf(slot) === none) {
      this.#refusals.delete(slot);
      this.#sequences[slot] = 0;
    }
    this.#epochs[slot] = epoch;
    this.#sequences[slot] = Math.max(sequence, this.lastSequenceOf(slot));
    this.#positions[slot] = position;
    return slot;
  }

  /** Adds a refusal behind those that are known. The oldest one is forgotten when there are too many. */
  refuse(slot: number, first: number, last: number, code: ErrorCode): void {
    let refusals = this.#refusals.get(slot);
    if (refusals === undefined) {
      refusals = [];
      this.#refusals.set(slot, refusals);
    }
    const previous = refusals.at(-1);
    if (previous !== undefined && previous.code === code && previous.last + 1 === first) {
      refusals[refusals.length - 1] = { first: previous.first, last, code };
      return;
    }
    refusals.push({ first, last, code });
    if (refusals.length > stateLimits.refusalsPerProducerMax) refusals.shift();
  }

  /**
   * Sequences that counted as applied were not: the record at `position` rolled back the prepared transaction
   * that had them. Nothing changes where the producer was forgotten, or has a newer incarnation.
   */
  revoke({ id, epoch, first, last }: MarkedRun, position: number): void {
    const slot = this.find(id, 0);
    if (slot === none || this.epochOf(slot) !== epoch) return;
    this.#positions[slot] = position;
    const code = "EVH_TRANSACTION_ROLLED_BACK";
    const refusals = this.refusalsOf(slot);
    this.#refusals.delete(slot);
    // Later sequences may have been refused since; what was refused before stays as it is.
    let next = first;
    for (const one of refusals) {
      const end = Math.min(last, one.first - 1);
      if (next <= end) this.refuse(slot, next, end, code);
      this.refuse(slot, one.first, one.last, one.code);
      next = Math.max(next, one.last + 1);
    }
    const end = Math.min(last, this.lastSequenceOf(slot));
    if (next <= end) this.refuse(slot, next, end, code);
  }

  /** Forgets a producer. */
  forget(slot: number): void {
    const mask = this.#table.length - 1;
    let free = this.#homeOf(slot);
    while (this.#table[free] !== slot) free = (free + 1) & mask;
    for (let place = (free + 1) & mask; ; place = (place + 1) & mask) {
      const other = this.#table[place] ?? none;
      if (other === none) break;
      // It may move when its home is not between the hole and where it is now.
      if (((place - this.#homeOf(other)) & mask) >= ((place - free) & mask)) {
        this.#table[free] = other;
        free = place;
      }
    }
    this.#table[free] = none;
    this.#positions[slot] = none;
    this.#refusals.delete(slot);
    this.#freeSlots.push(slot);
    this.#count -= 1;
  }

  /** The slots of at most `countMax` producers that changed before `position`, those idle for longest first. */
  idle(position: number, countMax: number): number[] {
    const slots: number[] = [];
    for (let slot = 0; slot < this.#slotCount; slot += 1) {
      const changed = this.#positions[slot] ?? none;
      if (changed >= 0 && changed < position) slots.push(slot);
    }
    slots.sort((left, right) => this.positionOf(left) - this.positionOf(right));
    return slots.slice(0, countMax);
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    let used = 0;
    for (let slot = 0; slot < this.#slotCount; slot += 1) {
      if (!this.isUsed(slot)) continue;
      used += 1;
      assert(this.find(this.idOf(slot), 0) === slot, "a producer is found by its id");
      let before = 0;
      for (const refusal of this.refusalsOf(slot)) {
        assert(refusal.first > before, "refusals ascend");
        assert(refusal.last >= refusal.first, "a refusal has a sequence");
        before = refusal.last;
      }
      assert(before <= this.lastSequenceOf(slot), "what was refused has an outcome");
    }
    assert(used === this.#count, "producers are counted");
    assert(used + this.#freeSlots.length === this.#slotCount, "free slots are listed");
  }

  /** Whether a refusal of this number may have been forgotten, because there were so many later ones. */
  #hasForgottenOf(slot: number, number: number): boolean {
    const refusals = this.refusalsOf(slot);
    const isFull = refusals.length >= stateLimits.refusalsPerProducerMax;
    return isFull && number < (refusals[0]?.first ?? 0);
  }

  #open(bytes: Uint8Array, offset: number): number {
    const known = this.find(bytes, offset);
    if (known !== none) return known;
    if (this.#freeSlots.length === 0 && this.#slotCount === this.#epochs.length) this.#grow();
    const slot = this.#freeSlots.pop() ?? this.#slotCount;
    if (slot === this.#slotCount) this.#slotCount += 1;
    for (let index = 0; index < producerIdBytes; index += 1) {
      this.#ids[slot * producerIdBytes + index] = bytes[offset + index] ?? 0;
    }
    this.#epochs[slot] = 0;
    this.#sequences[slot] = 0;
    this.#positions[slot] = none;
    this.#insert(slot);
    this.#count += 1;
    return slot;
  }

  #insert(slot: number): void {
    const mask = this.#table.length - 1;
    let place = this.#homeOf(slot);
    while (this.#table[place] !== none) place = (place + 1) & mask;
    this.#table[place] = slot;
  }

  #homeOf(slot: number): number {
    return idHash(this.#ids, slot * producerIdBytes) & (this.#table.length - 1);
  }

  #hasId(slot: number, bytes: Uint8Array, offset: number): boolean {
    const from = slot * producerIdBytes;
    for (let index = 0; index < producerIdBytes; index += 1) {
      if (this.#ids[from + index] !== bytes[offset + index]) return false;
    }
    return true;
  }

  #grow(): void {
    const size = Math.max(slotsInitial, this.#epochs.length * 2);
    this.#ids = resized(this.#ids, size * producerIdBytes, (length) => new Uint8Array(length));
    this.#epochs = resized(this.#epochs, size, (length) => new Uint32Array(length));
    this.#sequences = resized(this.#sequences, size, (length) => new Float64Array(length));
    this.#positions = resized(this.#positions, size, (length) => new Float64Array(length));
    this.#table = new Int32Array(size * 2).fill(none);
    for (let slot = 0; slot < this.#slotCount; slot += 1) if (this.isUsed(slot)) this.#insert(slot);
  }
}

function resized<T extends Uint8Array | Uint32Array | Float64Array>(
  from: T,
  size: number,
  create: (size: number) => T,
): T {
  const larger = create(size);
  larger.set(from);
  return larger;
}

/** Ids are random, so some of their bits are as good as a hash; all are mixed in for those that are not. */
function idHash(bytes: Uint8Array, offset: number): number {
  let hash = 0x811c9dc5;
  for (let index = offset; index < offset + producerIdBytes; index += 1) {
    hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}
