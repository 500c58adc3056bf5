import { EverholdError, RejectedError } from "@everhold/base";
import {
  decodePacket,
  packets,
  routingTypes,
  unsaidQueueAttributes,
  type ByteReader,
  type PacketOf,
} from "@everhold/wire";
import { readQueueDescription } from "./queue-description.ts";
import type { Routing, SendTarget } from "../message/send-options.ts";
import { readNull, type Channel } from "./channel.ts";
import { kindAttributes, type QueueKind } from "./queue-kind.ts";

/** What a broker says of a queue. */
export type QueueDescription = PacketOf<typeof packets.queueQueryResponseV3>;

/** What a broker says of an address, in the words of every version of its answer. */
export interface AddressDescription {
  readonly exists: boolean;
  readonly queueNames: readonly string[];
  readonly autoCreateQueues: boolean;
  readonly autoCreateAddresses: boolean;
}

/** A queue to create. */
export interface QueueDefinition {
  readonly address: string;
  readonly name: string;
  readonly routing: Routing;
  readonly filter: string | null;
  readonly durable: boolean;
  readonly temporary: boolean;
  readonly autoCreated: boolean;
  readonly maxConsumers: number;
  /** What kind of queue it is; what is left out is the broker's to say. */
  readonly kind?: QueueKind;
}

/** `address::queue` in its two parts; a plain name is both. */
export function splitName(name: string): { address: string; queue: string } {
  const at = name.indexOf("::");
  return at < 0
    ? { address: name, queue: name }
    : { address: name.slice(0, at), queue: name.slice(at + 2) };
}

/** Asks about a queue. */
export function queryQueue(channel: Channel, queueName: string): Promise<QueueDescription> {
  return channel.call(
    packets.queueQuery,
    { queueName },
    `ask about the queue ${queueName}`,
    readQueueDescription,
  );
}

/** Asks about an address. */
export function queryAddress(channel: Channel, address: string): Promise<AddressDescription> {
  return channel.call(
    packets.bindingQuery,
    { address },
    `ask about the address ${address}`,
    readAddressDescription,
  );
}

/** Creates a queue and, where it may, its address; one that exists already is as good. */
export async function createQueue(channel: Channel, queue: QueueDefinition): Promise<void> {
  try {
    await channel.call(
      packets.createQueueV2,
      {
        address: queue.address,
        queueName: queue.name,
        filter: queue.filter,
        durable: queue.durable,
        temporary: queue.temporary,
        requiresResponse: true,
        autoCreated: queue.autoCreated,
        routingType: routingTypes[queue.routing],
        maxConsumers: queue.maxConsumers,
        ...kindAttributes(queue.kind ?? {}),
      },
      `create the queue ${queue.name}`,
      readNull,
    );
  } catch (error) {
    if (!EverholdError.is(error, "EVH_QUEUE_EXISTS")) throw error;
  }
}

/** Creates a queue, and before it the address where the broker does not make that by itself. */
export async function createQueueAndAddress(
  channel: Channel,
  queue: QueueDefinition,
): Promise<void> {
  try {
    return await createQueue(channel, queue);
  } catch (error) {
    if (!EverholdError.is(error, "EVH_ADDRESS_DOES_NOT_EXIST")) throw error;
  }
  try {
    await createAddress(channel, queue.address, queue.routing, false);
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (!EverholdError.is(error, "EVH_ADDRESS_EXISTS")) throw error;
  }
  await createQueue(channel, queue);
}

/** Creates a subscription's queue that several consumers share, or checks the one that exists. */
export async function createSharedQueue(channel: Channel, queue: QueueDefinition): Promise<void> {
  await channel.call(
    packets.createSharedQueueV2,
    {
      address: queue.address,
      queueName: queue.name,
      filter: queue.filter,
      durable: queue.durable,
      routingType: routingTypes[queue.routing],
      requiresResponse: true,
      maxConsumers: null,
      purgeOnNoConsumers: null,
      ...unsaidQueueAttributes,
    },
    `create the shared subscription ${queue.name}`,
    readNull,
  );
}

/** Deletes a queue. @throws RejectedError EVH_QUEUE_DOES_NOT_EXIST */
export async function deleteQueue(channel: Channel, queueName: string): Promise<void> {
  await channel.call(packets.deleteQueue, { queueName }, `delete the queue ${queueName}`, readNull);
}

/**
 * Makes sure that an address can be sent to: creating what is missing is the client's task in CORE.
 *
 * @throws RejectedError EVH_ADDRESS_DOES_NOT_EXIST, EVH_QUEUE_DOES_NOT_EXIST
 */
export async function ensureAddress(channel: Channel, target: SendTarget): Promise<void> {
  const { address: name, routing } = target;
  const { address, queue } = splitName(name);
  const description = await queryAddress(channel, address);
  if (target.isTemporary === true) {
    if (description.exists && (routing === "multicast" || description.queueNames.includes(queue))) {
      return;
    }
    throw goneError(name);
  }
  if (!description.exists) {
    if (!description.autoCreateAddresses) {
      throw missingError("EVH_ADDRESS_DOES_NOT_EXIST", `send to ${name}`, `the address ${address}`);
    }
    await createAddress(channel, address, routing, true);
  }
  if (routing === "multicast" && queue === address) return;
  if (description.queueNames.includes(queue)) return;
  await ensureQueue(channel, name, `send to ${name}`);
}

/** Makes sure that a queue can be consumed from. @throws RejectedError EVH_QUEUE_DOES_NOT_EXIST */
export async function ensureQueue(channel: Channel, name: string, attempt: string): Promise<void> {
  const { address, queue } = splitName(name);
  const description = await queryQueue(channel, name);
  if (description.exists) return;
  if (!description.autoCreateQueues) {
    throw missingError("EVH_QUEUE_DOES_NOT_EXIST", attempt, `the queue ${queue}`);
  }
  await createQueue(channel, {
    address,
    name: queue,
    routing: "anycast",
    filter: null,
    durable: true,
    temporary: false,
    autoCreated: true,
    maxConsumers: -1,
  });
}

async function createAddress(
  channel: Channel,
  address: string,
  routing: Routing,
  autoCreated: boolean,
): Promise<void> {
  await channel.call(
    packets.createAddress,
    { address, routingTypes: [routingTypes[routing]], requiresResponse: true, autoCreated },
    `create the address ${address}`,
    readNull,
  );
}

function readAddressDescription(
  id: number,
  reader: ByteReader,
  version: number,
): AddressDescription | undefined {
  switch (id) {
    case packets.bindingQueryResponseV4.id:
      return decodePacket(packets.bindingQueryResponseV4, reader, version);
    case packets.bindingQueryResponseV5.id:
      return decodePacket(packets.bindingQueryResponseV5, reader, version);
    default:
      return undefined;
  }
}

function missingError(
  code: "EVH_ADDRESS_DOES_NOT_EXIST" | "EVH_QUEUE_DOES_NOT_EXIST",
  attempt: string,
  what: string,
): RejectedError {
  return new RejectedError(
    code,
    `Cannot ${attempt}: ${what} does not exist, and the broker lets clients create none by the way; ` +
      "create it first, or switch auto-creation on in the broker's address settings",
  );
}

function goneError(name: string): RejectedError {
  return new RejectedError(
    "EVH_QUEUE_DOES_NOT_EXIST",
    `Cannot send to ${name}: it was temporary, and has gone with the connection that made it`,
  );
}
