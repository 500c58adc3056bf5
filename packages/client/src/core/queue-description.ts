import { decodePacket, packets, type ByteReader, type PacketOf } from "@everhold/wire";

/** Reads the answer to CREATECONSUMER and to QUEUEQUERY; `undefined` for other packets. */
export function readQueueDescription(
  id: number,
  reader: ByteReader,
  version: number,
): PacketOf<typeof packets.queueQueryResponseV3> | undefined {
  if (id !== packets.queueQueryResponseV3.id) return undefined;
  return decodePacket(packets.queueQueryResponseV3, reader, version);
}
