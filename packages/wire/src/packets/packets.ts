import type { PacketDefinition } from "../packet.ts";
import { administrationPackets } from "./administration-packets.ts";
import { connectionPackets } from "./connection-packets.ts";
import { everholdPackets } from "./everhold-packets.ts";
import { messagePackets } from "./message-packets.ts";
import { transactionPackets } from "./transaction-packets.ts";

/** Every packet between client and broker, by name, ours last. Source: Artemis, `PacketImpl`, `PacketDecoder`. */
export const packets = {
  ...connectionPackets,
  ...administrationPackets,
  ...messagePackets,
  ...transactionPackets,
  ...everholdPackets,
} as const;

/** The name of a packet in {@link packets}. */
export type PacketName = keyof typeof packets;

const byId: readonly (PacketDefinition | undefined)[] = definitionsById();

/** The packet of an id (0 … 255), `undefined` where there is none. */
export function packetById(id: number): PacketDefinition | undefined {
  return byId[id];
}

function definitionsById(): (PacketDefinition | undefined)[] {
  const table = new Array<PacketDefinition | undefined>(256).fill(undefined);
  for (const definition of Object.values<PacketDefinition>(packets))
    table[definition.id] = definition;
  return table;
}
