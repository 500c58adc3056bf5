import { EverholdError, ProtocolError } from "@everhold/base";
import {
  ByteWriter,
  flag,
  i32,
  i64,
  nullable,
  string,
  struct,
  unsaidQueueAttributes,
  type Field,
  type ValueOf,
} from "@everhold/wire";
import { stateLimits } from "./state-limits.ts";

/** Who gets a message of an address: one of its anycast queues, and each of its multicast queues. */
export type RoutingType = "multicast" | "anycast";

/** A routing type as in CORE packets: 0 multicast, 1 anycast. */
export const routingType: Field<RoutingType> = {
  shape: { kind: "integer", notation: "u8", bytes: 1, min: 0, max: 1 },
  write: (writer, value) => writer.u8(value === "anycast" ? 1 : 0),
  read(reader) {
    const found = reader.u8();
    if (found > 1) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read routing type at byte ${reader.offset - 1}: found ${found}, expected 0 or 1`,
      );
    }
    return found === 1 ? "anycast" : "multicast";
  },
};

const name = string(stateLimits.nameCharsMax);

/** What a queue was created with, every attribute of CREATE_QUEUE_V2; `null` is "not said". */
export const queueDefinition = struct({
  name,
  addressName: name,
  routingType,
  filter: nullable(string(stateLimits.filterCharsMax)),
  /** Whether it survives a restart; if not, it and its messages are in memory only. */
  durable: flag,
  /** Whether it ends with the connection that created it; such a queue is in memory only, too. */
  temporary: flag,
  autoCreated: flag,
  /** −1 is no limit. */
  maxConsumers: i32,
  purgeOnNoConsumers: flag,
  exclusive: nullable(flag),
  lastValue: nullable(flag),
  lastValueKey: nullable(name),
  nonDestructive: nullable(flag),
  consumersBeforeDispatch: nullable(i32),
  delayBeforeDispatch: nullable(i64),
  groupRebalance: nullable(flag),
  groupBuckets: nullable(i32),
  autoDelete: nullable(flag),
  autoDeleteDelay: nullable(i64),
  autoDeleteMessageCount: nullable(i64),
  groupFirstKey: nullable(name),
  ringSize: nullable(i64),
  enabled: nullable(flag),
  groupRebalancePauseDispatch: nullable(flag),
});
export type QueueDefinition = ValueOf<typeof queueDefinition>;

const checked = new ByteWriter(256);

/**
 * Refuses a definition that no record can hold, such as one with a number of more than 32 bits.
 * @throws EverholdError EVH_INVALID_QUEUE
 */
export function checkDefinition(definition: QueueDefinition): void {
  checked.clear();
  try {
    queueDefinition.write(checked, definition, 0);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new EverholdError(
      "EVH_INVALID_QUEUE",
      `cannot define the queue "${definition.name}": ${error.message}`,
      { cause: error },
    );
  }
}

/** A definition with Artemis' defaults: durable, no filter, any number of consumers, nothing else said. */
export function defaultQueueDefinition(
  queueName: string,
  addressName: string,
  type: RoutingType,
): QueueDefinition {
  return {
    name: queueName,
    addressName,
    routingType: type,
    filter: null,
    durable: true,
    temporary: false,
    autoCreated: false,
    maxConsumers: -1,
    purgeOnNoConsumers: false,
    ...unsaidQueueAttributes,
  };
}
