import { assert } from "@everhold/base";
import type { Journal, RecoverySink, SnapshotSource, SnapshotWriter } from "@everhold/journal";

/** One thing that was done: `value` was added to `entity`, with `size` bytes of payload. */
export interface Operation {
  readonly entity: number;
  readonly value: number;
  readonly position: number;
  readonly length: number;
  /** Operations of one group have the same number; it grows. */
  readonly group: number;
}

interface Entity {
  count: number;
  hash: number;
  asOf: number;
}

const entityCount = 7;
const addType = 16;
const sectionKind = 3;

/**
 * A state as small as one can be and yet order-sensitive: a few entities, each with a count and a hash of
 * the values added to it. Its snapshot has one section an entity, so it is as fuzzy as the broker's.
 */
export class ModelState implements RecoverySink, SnapshotSource {
  /** What was done in this life, in order. */
  readonly operations: Operation[] = [];
  /** Positions and lengths of all records seen by recovery. */
  readonly replayed: { readonly position: number; readonly length: number }[] = [];
  readonly #journal: Journal;
  readonly #entities: Entity[] = Array.from({ length: entityCount }, newEntity);
  #group = 0;
  #nextSection = 0;
  recoveredCount = 0;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** Adds one value, in a group of its own. */
  add(entity: number, value: number, size: number): Operation {
    this.#group += 1;
    return this.#add(entity, value, size);
  }

  /** Adds several values that must be found all or none. */
  addGroup(members: readonly { entity: number; value: number; size: number }[]): void {
    this.#group += 1;
    const total = members.reduce((sum, { size }) => sum + Math.max(size, 8), 0);
    this.#journal.reserve(total, members.length);
    for (const { entity, value, size } of members) this.#add(entity, value, size);
  }

  fingerprint(): string {
    return fingerprintOf(this.#entities);
  }

  /** Values added so far, in all lives. */
  get count(): number {
    return this.#entities.reduce((sum, entity) => sum + entity.count, 0);
  }

  applyRecord(
    type: number,
    reference: number,
    position: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    _end: number,
    length: number,
  ): void {
    assert(type === addType, "the model writes one type only");
    const value = view.getUint32(start);
    checkPayload(bytes, view, start);
    this.replayed.push({ position, length });
    apply(this.#entity(reference), value, position);
  }

  restoreSection(
    kind: number,
    asOf: number,
    _bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    assert(kind === sectionKind, "the model writes one kind only");
    assert(end - start === 12, "sections keep their size");
    const entity = this.#entity(view.getUint32(start));
    entity.count = view.getUint32(start + 4);
    entity.hash = view.getInt32(start + 8);
    entity.asOf = asOf;
  }

  recovered(): void {
    this.recoveredCount += 1;
  }

  beginSnapshot(): void {
    this.#nextSection = 0;
  }

  nextSnapshotSection(writer: SnapshotWriter): boolean {
    const entity = this.#entity(this.#nextSection);
    writer.begin(sectionKind, 100);
    writer.view.setUint32(writer.payloadOffset, this.#nextSection);
    writer.view.setUint32(writer.payloadOffset + 4, entity.count);
    writer.view.setInt32(writer.payloadOffset + 8, entity.hash);
    writer.end(12);
    this.#nextSection += 1;
    return this.#nextSection < entityCount;
  }

  #add(entity: number, value: number, size: number): Operation {
    const payloadBytes = Math.max(size, 8);
    const position = this.#journal.append(addType, entity, payloadBytes);
    writePayload(this.#journal, value, payloadBytes);
    apply(this.#entity(entity), value, position);
    const length = 8 + Math.ceil(payloadBytes / 8) * 8;
    const operation = { entity, value, position, length, group: this.#group };
    this.operations.push(operation);
    return operation;
  }

  #entity(number: number): Entity {
    const entity = this.#entities[number];
    assert(entity !== undefined, "entities are numbered from 0");
    return entity;
  }
}

/** The fingerprint after the first `count` operations. */
export function fingerprintAfter(operations: readonly Operation[], count: number): string {
  const entities = Array.from({ length: entityCount }, newEntity);
  for (const { entity, value, position } of operations.slice(0, count)) {
    const target = entities[entity];
    assert(target !== undefined, "entities are numbered from 0");
    apply(target, value, position);
  }
  return fingerprintOf(entities);
}

/** Checks a payload that {@link ModelState} wrote. */
export function checkPayload(bytes: Uint8Array, view: DataView, start: number): void {
  const value = view.getUint32(start);
  const size = view.getUint32(start + 4);
  for (let index = 8; index < size; index += 1) {
    assert(bytes[start + index] === ((value + index) & 0xff), "a payload is what was written");
  }
}

function writePayload(journal: Journal, value: number, payloadBytes: number): void {
  const { bytes, view, payloadOffset } = journal;
  view.setUint32(payloadOffset, value);
  view.setUint32(payloadOffset + 4, payloadBytes);
  for (let index = 8; index < payloadBytes; index += 1) {
    bytes[payloadOffset + index] = (value + index) & 0xff;
  }
}

function newEntity(): Entity {
  return { count: 0, hash: 0, asOf: 0 };
}

function apply(entity: Entity, value: number, position: number): void {
  if (position < entity.asOf) return;
  entity.count += 1;
  entity.hash = (Math.imul(entity.hash, 31) + value) | 0;
}

function fingerprintOf(entities: readonly Entity[]): string {
  return entities.map(({ count, hash }) => `${count}:${hash}`).join(" ");
}
