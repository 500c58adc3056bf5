import { packets } from "@everhold/wire";
import { queryAddress } from "../core/administration.ts";
import { readNull, type Channel } from "../core/channel.ts";

/** The address whose "queues" are the features of an Everhold broker. */
const featuresAddress = "$everhold.features";

/**
 * Tells the broker who this is. The first time a client id must be nobody else's.
 *
 * @throws EverholdError EVH_DUPLICATE_METADATA when it is
 */
export async function introduceClient(
  channel: Channel,
  { clientId, isFirst }: { readonly clientId: string | undefined; readonly isFirst: boolean },
): Promise<void> {
  await addMetadata(channel, "jms-session", "");
  if (clientId === undefined) return;
  if (isFirst) {
    await channel.call(
      packets.addUniqueMetadata,
      { key: "jms-client-id", data: clientId, requiresConfirmation: true },
      `connect with the client id ${clientId}`,
      readNull,
    );
  }
  await addMetadata(channel, "jms-client-id", clientId);
}

/** Names of what the broker can beyond CORE; `undefined`: it is not Everhold. @throws EverholdError */
export async function readFeatures(channel: Channel): Promise<ReadonlySet<string> | undefined> {
  const description = await queryAddress(channel, featuresAddress);
  return description.exists ? new Set(description.queueNames) : undefined;
}

async function addMetadata(channel: Channel, key: string, data: string): Promise<void> {
  const value = { key, data, requiresConfirmation: true };
  await channel.call(packets.addMetadataV2, value, "introduce the client", readNull);
}
