import { laneOfKey, rowKey, volatileLaneOffset } from "./row-key.ts";
import type { QueueState } from "./queue-state.ts";
import type { StateTables } from "./state-tables.ts";
import { createPendingMessage } from "./stored-transaction.ts";
import { xidKey } from "./xid.ts";

/**
 * Emits all that is durable, line by line, in an order that depends on nothing but the state. What is in
 * flight, and what a restart loses, is left out.
 */
export function describeState(tables: StateTables, emit: (line: string) => void): void {
  emit(`catalog nextId=${tables.nextId} expiryBaseMs=${tables.expiry.baseMs}`);
  for (const [match, settings] of byName(tables.rules.settings))
    emit(`settings ${match} ${settings}`);
  for (const [name, divert] of byName(tables.rules.diverts)) {
    emit(`divert ${name} ${JSON.stringify(divert)}`);
  }
  for (const address of sorted(tables.addresses.values())) {
    if (!address.isStored) continue;
    emit(`address ${address.id} ${JSON.stringify(address.definition)}`);
    for (const id of address.duplicates.ids()) emit(`  duplicate ${hex(id)}`);
  }
  for (const queue of sorted(tables.queues.values())) {
    if (queue.isStored) describeQueue(tables, queue, emit);
  }
  for (const name of [...tables.sessions.all.keys()].toSorted()) {
    const session = tables.sessions.all.get(name);
    emit(`session ${name} user=${session?.user} queues=${session?.queueIds.join(",")}`);
  }
  const moved = [...tables.moved.entries()].map(({ queueId, messageId, isForgotten }) => {
    return `moved ${queueId} ${messageId}${isForgotten ? " and before" : ""}`;
  });
  for (const line of moved.toSorted()) emit(line);
  for (const line of producerLines(tables).toSorted()) emit(line);
  describeTransactions(tables, emit);
}

/** A 64-bit hash of lines, as 16 hex digits. */
export function hashLines(produce: (emit: (line: string) => void) => void): string {
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  produce((line) => {
    for (let index = 0; index <= line.length; index += 1) {
      const unit = index === line.length ? 0x1_0000 : line.charCodeAt(index);
      low = Math.imul(low ^ unit, 0x01000193);
      high = Math.imul(high ^ unit ^ (low >>> 13), 0x85ebca6b);
    }
  });
  return hex32(high) + hex32(low);
}

function describeQueue(tables: StateTables, queue: QueueState, emit: (line: string) => void): void {
  const { rows, expiry, origins } = tables;
  emit(`queue ${queue.id} address=${queue.address.id} ${JSON.stringify(queue.definition)}`);
  for (let number = 0; number < volatileLaneOffset; number += 1) {
    const lane = queue.lanes.lane(number);
    const limit = queue.limits.recorded(number);
    if (lane === undefined && limit === 0) continue;
    emit(`  lane ${number} next=${lane?.nextSequence ?? 0} limit=${limit}`);
    if (lane === undefined) continue;
    for (let next = lane.liveFrom(0); next >= 0; next = lane.liveFrom(next + 1)) {
      const row = lane.find(next);
      const place = `${rows.position(row)}+${rows.messageOffset(row)}:${rows.messageLength(row)}`;
      const expires = expiry.msOf(rows.expiryUnits(row));
      const count = rows.deliveryCount(row);
      const due = rows.dueMs(row);
      const origin = origins.nameOf(rows.origin(row));
      const group = rows.group(row) === 0 ? "" : ` group=${rows.group(row)}`;
      const hold = rows.isHolding(row) ? " holds" : "";
      const value = queue.lastValueOf(rowKey(next, number));
      const named = value === undefined ? "" : ` value=${JSON.stringify(value)}`;
      const times = due > 0 ? `expires=${expires} due=${due}${hold}` : `expires=${expires}`;
      const from = origin === "" ? "" : ` from=${JSON.stringify(origin)}`;
      const large = rows.isLarge(row) ? ` large=${partsOf(tables, rows.position(row))}` : "";
      const rest = `${from}${group}${named}${large}`;
      emit(`    row ${rowKey(next, number)} at ${place} ${times} count=${count}${rest}`);
    }
  }
}

function partsOf(tables: StateTables, position: number): string {
  const body = tables.large.bodyOf(position);
  const parts = Array.from(
    { length: body.partCount },
    (_, index) => `${body.partPosition(index)}:${body.partBytes(index)}`,
  );
  return parts.join(",");
}

/** Only what is prepared: the others are gone after a crash. */
function describeTransactions(tables: StateTables, emit: (line: string) => void): void {
  const { transactions } = tables;
  const message = createPendingMessage();
  const isStored = (id: number): boolean => tables.queues.get(id)?.isStored === true;
  const prepared = [...transactions.prepared()].toSorted((left, right) => left.id - right.id);
  for (const transaction of prepared) {
    const { xid, createdMs } = transaction;
    emit(`prepared ${transaction.id} xid=${xid === undefined ? "" : xidKey(xid)} at=${createdMs}`);
    for (let index = 0; index < transaction.messageCount; index += 1) {
      transaction.readMessage(index, message);
      const targets: string[] = [];
      const end = transaction.targetsEnd(index);
      for (let place = transaction.targetsBegin(index); place < end; place += 1) {
        const id = transaction.targetAt(place);
        if (!isStored(id)) continue;
        const origin = transaction.originAt(place);
        const value = transaction.lastValueAt(place);
        const from = origin === "" ? "" : ` from=${JSON.stringify(origin)}`;
        targets.push(id + from + (value === undefined ? "" : ` value=${JSON.stringify(value)}`));
      }
      emit(`  message ${JSON.stringify(message)} for ${targets.join(",")}`);
    }
    for (const { addressId, id } of transaction.duplicates) {
      emit(`  duplicate ${addressId} ${hex(id)}`);
    }
    for (const { id, epoch, first, last } of transaction.marks.all) {
      emit(`  mark ${hex(id)} epoch=${epoch} ${first}-${last}`);
    }
    for (const [id, keys] of [...transaction.acknowledged].toSorted(([a], [b]) => a - b)) {
      const stored = keys.filter((key) => laneOfKey(key) < volatileLaneOffset);
      if (isStored(id) && stored.length > 0) emit(`  acknowledged ${id} ${stored.join(",")}`);
    }
  }
  const outcomes = [
    ...[...transactions.heuristics].map(([key, one]) => `by hand ${key} ${one.isCommitted}`),
    ...[...transactions.decided].map(([key, one]) => `decided ${key} ${one.isCommitted}`),
  ];
  for (const line of outcomes.toSorted()) emit(line);
}

function producerLines(tables: StateTables): string[] {
  const { producers } = tables;
  const lines: string[] = [];
  for (let slot = 0; slot < producers.slotEnd; slot += 1) {
    if (!producers.isUsed(slot)) continue;
    const refusals = producers
      .refusalsOf(slot)
      .map(({ first, last, code }) => `${first}-${last}:${code}`)
      .join(",");
    const mark = `epoch=${producers.epochOf(slot)} last=${producers.lastSequenceOf(slot)}`;
    const position = producers.positionOf(slot);
    lines.push(`producer ${hex(producers.idOf(slot))} ${mark} at=${position} refused=${refusals}`);
  }
  if (producers.hasForgotten) lines.push("producers were forgotten");
  return lines;
}

function sorted<T extends { readonly id: number }>(items: Iterable<T>): T[] {
  return [...items].toSorted((left, right) => left.id - right.id);
}

function byName<T>(items: ReadonlyMap<string, T>): [string, T][] {
  return [...items].toSorted(([one], [other]) => (one < other ? -1 : 1));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
