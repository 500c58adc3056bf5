import { errorCodes, EverholdError, type ErrorCode } from "@everhold/base";
import {
  bytes,
  ByteReader,
  counter,
  flag,
  list,
  string,
  struct,
  u16,
  u32,
  u8,
  type Field,
} from "@everhold/wire";
import { producerIdBytes } from "./producer-marks.ts";
import { queueDefinition, routingType } from "./queue-definition.ts";
import { stateLimits } from "./state-limits.ts";

/**
 * The types of the records that hold the broker's state. `reference` is the u32 in each record's header.
 *
 * | type | name             | reference    | payload                                              |
 * |------|------------------|--------------|------------------------------------------------------|
 * | 16   | CATALOG          | 0            | what is set once for the whole journal               |
 * | 17   | ADDRESS          | address id   | definition; also replaces an earlier one             |
 * | 18   | ADDRESS_DELETE   | address id   | –                                                    |
 * | 19   | QUEUE            | queue id     | address id and definition; also replaces an earlier one |
 * | 20   | QUEUE_DELETE     | queue id     | –                                                    |
 * | 21   | MESSAGE          | address id   | `message-layout.ts`                                  |
 * | 22   | ACKNOWLEDGE      | queue id     | `acknowledge-record.ts`                              |
 * | 23   | DISPATCH_LIMIT   | queue id     | lane, first sequence that may not be handed out      |
 * | 24   | DELIVERY_COUNT   | queue id     | row key, count                                       |
 * | 25   | MOVE             | queue id     | as RELOCATE; written before there was that           |
 * | 26   | PRODUCER         | 0            | id and epoch: opened                                 |
 * | 27   | PRODUCER_REFUSED | 0            | id, epoch, range of sequences, code                  |
 * | 28   | PRODUCER_FORGET  | 0            | ids                                                  |
 * | 32   | PART             | 0            | bytes of the body of a large message; its MESSAGE    |
 * |      |                  |              | names it, and without one nobody wants it            |
 * | 33   | PREPARED         | 0            | `transaction-records.ts`, as the next two            |
 * | 34   | COMMITTED        | 0            | which rows the messages of a transaction become      |
 * | 35   | ROLLED_BACK      | 0            | a transaction is dropped, or forgotten               |
 * | 36   | DUE              | queue id     | `acknowledge-record.ts`: rows whose time has come    |
 * | 38   | SESSION          | 0            | a session to which its client comes back, or that it is gone |
 * | 39   | COMMITTED_AS     | 0            | as COMMITTED, and the number that the commit used up |
 * | 40   | NUMBER_APPLIED   | 0            | id, epoch, number: a commit whose records lie in the same batch |
 * | 41   | RELOCATE         | queue id     | row key, where its body is, its times, the name of   |
 * |      |                  |              | the queue it came from, target queues and keys       |
 * | 42   | TRANSACTION_MESSAGE | address id | as MESSAGE, a piece of a transaction                |
 * | 43   | TRANSACTION_ACKNOWLEDGE | queue id | u64 transaction, then as ACKNOWLEDGE               |
 * | 44   | SETTINGS         | 0            | what is said of the addresses of a match             |
 * | 45   | DIVERT           | 0            | a divert, or that it is no more                      |
 * | 46   | REDELIVER_LATER  | queue id     | row key, count, due time, whether others wait for it |
 * | 47   | RELOCATE_GROUPED | queue id     | as RELOCATE, of a row with a message group           |
 * | 48   | LAST_VALUE       | queue id     | row key, the key of its value, since which position  |
 *
 * Reserved: 37 batch of a log topic, 49 copy by compaction.
 */
export const recordTypes = {
  catalog: 16,
  address: 17,
  addressDelete: 18,
  queue: 19,
  queueDelete: 20,
  message: 21,
  acknowledge: 22,
  dispatchLimit: 23,
  deliveryCount: 24,
  move: 25,
  producer: 26,
  producerRefused: 27,
  producerForget: 28,
  part: 32,
  prepared: 33,
  committed: 34,
  rolledBack: 35,
  due: 36,
  session: 38,
  committedAs: 39,
  numberApplied: 40,
  relocate: 41,
  transactionMessage: 42,
  transactionAcknowledge: 43,
  settings: 44,
  divert: 45,
  redeliverLater: 46,
  relocateGrouped: 47,
  lastValue: 48,
} as const;

/** An error code by its name. A name that this version does not know reads as EVH_REJECTED. */
const errorCode: Field<ErrorCode> = {
  shape: { kind: "string", form: "Str", charactersMax: 64 },
  write: (writer, value, version) => string(64).write(writer, value, version),
  read(reader, version) {
    const name = string(64).read(reader, version);
    return isErrorCode(name) ? name : "EVH_REJECTED";
  },
};

/** Why a row went to another queue. Fixed numbers: 0 … 3 in this order. */
export const moveReasons = ["attempts", "expired", "admin", "other"] as const;
export type MoveReason = (typeof moveReasons)[number];

/** CATALOG: where the expiry units of rows count from, in ms since 1970. */
export const catalogRecord = struct({ expiryBaseMs: counter });

/** ADDRESS: the definition, whole; it replaces an earlier one of the same id. */
export const addressRecord = struct({
  name: string(stateLimits.nameCharsMax),
  routingTypes: list(routingType, 2),
  autoCreated: flag,
});

/** QUEUE: the address it belongs to, and all its attributes. */
export const queueRecord = struct({ addressId: u32, definition: queueDefinition });

/** ADDRESS_DELETE and QUEUE_DELETE: the reference in the header says it all. */
export const emptyRecord = struct({});

/** DISPATCH_LIMIT: rows of `lane` from `limit` on were certainly never handed out. */
export const dispatchLimitRecord = struct({ lane: u8, limit: counter });

/** DELIVERY_COUNT: how often the row has been delivered. */
export const deliveryCountRecord = struct({ key: counter, count: u16 });

/**
 * REDELIVER_LATER: the row came back, has been delivered `count` times, and is not ready before `dueMs`.
 * `holdsOthers` says that what stands behind it in its queue waits as well.
 */
export const redeliverLaterRecord = struct({
  key: counter,
  count: u16,
  dueMs: counter,
  holdsOthers: flag,
});

const moved = {
  key: counter,
  reason: u8,
  position: counter,
  messageOffset: u32,
  messageLength: u32,
  expirationMs: counter,
} as const;
const targets = list(struct({ queueId: u32, key: counter }), stateLimits.messageTargetsMax);

/** MOVE: as {@link relocateRecord}, of a row that was not scheduled. Read, and written no more. */
export const moveRecord = struct({ ...moved, targets });

/**
 * RELOCATE: one row leaves its queue for others; the bytes of the message stay where they are. `dueMs` is
 * 0 where it waits for no time, `origin` empty where the new rows do not name the queue they came from;
 * behind "::" it may say why they were moved.
 */
export const relocateRecord = struct({
  ...moved,
  dueMs: counter,
  origin: string(stateLimits.nameCharsMax),
  targets,
});

/** RELOCATE_GROUPED: as {@link relocateRecord}, of a row with a message group. */
export const relocateGroupedRecord = struct({
  ...moved,
  dueMs: counter,
  origin: string(stateLimits.nameCharsMax),
  group: u32,
  targets,
});

/** LAST_VALUE: the key of a row's value, found after the row came; it has it last as of `since`. */
export const lastValueRecord = struct({
  key: counter,
  lastValue: string(stateLimits.lastValueCharsMax),
  since: counter,
});

const producerId = bytes(producerIdBytes);

/** PRODUCER: opened under this epoch; older ones are fenced from here on. */
export const producerRecord = struct({ id: producerId, epoch: u32 });

/** PRODUCER_REFUSED: the sequences `first` … `last` were refused with `code`, for good. */
export const producerRefusedRecord = struct({
  id: producerId,
  epoch: u32,
  first: counter,
  last: counter,
  code: errorCode,
});

/** NUMBER_APPLIED: a commit of this number took effect, by the records of the same batch. */
export const numberAppliedRecord = struct({ producerId, epoch: u32, number: counter });

/** Payload bytes of {@link numberAppliedRecord}. */
export const numberAppliedBytes: number = producerIdBytes + 4 + 8;

/** PRODUCER_FORGET: producers that were idle for longest and are no longer known. */
export const producerForgetRecord = struct({
  ids: list(producerId, stateLimits.producersPerEvictionMax),
});

/** A refusal as snapshots keep it. */
export const refusalEntry = struct({ first: counter, last: counter, code: errorCode });

const reader = new ByteReader(undefined, { strict: true });

/**
 * Reads the payload of a record that is defined as data; behind it only the padding of the record may
 * follow.
 * @throws EverholdError EVH_DATA_CORRUPT naming the position
 */
export function readRecord<T>(
  field: Field<T>,
  position: number,
  payload: Uint8Array,
  view: DataView,
  start: number,
  end: number,
): T {
  let value: T;
  try {
    value = field.read(reader.reset(payload, view, start, end), 0);
  } catch (error) {
    throw new EverholdError("EVH_DATA_CORRUPT", `cannot read the record at position ${position}`, {
      cause: error,
    });
  }
  checkPadding(position, payload, reader.offset, end);
  return value;
}

/** Refuses what is not the padding of a record: more than 7 bytes, or one that is not 0. */
export function checkPadding(
  position: number,
  payload: Uint8Array,
  start: number,
  end: number,
): void {
  if (end - start > 7 || end < start) {
    throw corrupt(position, `found ${end - start} bytes after its payload, expected 0 to 7`);
  }
  for (let index = start; index < end; index += 1) {
    if (payload[index] !== 0) throw corrupt(position, "found bytes in its padding, expected zeros");
  }
}

/** The error for a record that cannot be applied. */
export function corrupt(position: number, what: string): EverholdError {
  return new EverholdError(
    "EVH_DATA_CORRUPT",
    `cannot apply the record at position ${position}: ${what}`,
  );
}

function isErrorCode(name: string): name is ErrorCode {
  return Object.hasOwn(errorCodes, name);
}
