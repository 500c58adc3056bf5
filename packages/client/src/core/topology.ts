import { decodePacket, packets, type ByteReader } from "@everhold/wire";

/** What a topology update says that this client acts on. */
export interface TopologyUpdate {
  /** Whether the broker has told its whole topology. */
  readonly last: boolean;
  /** The broker's newest protocol version; 0 in the older forms of the packet. */
  readonly serverVersion: number;
}

/** Reads any form of CLUSTER_TOPOLOGY; `undefined` for other packets, which may be newer than we are. */
export function readTopology(
  id: number,
  reader: ByteReader,
  version: number,
): TopologyUpdate | undefined {
  switch (id) {
    case packets.clusterTopology.id: {
      const update = decodePacket(packets.clusterTopology, reader, version);
      return { last: update.pair?.last ?? false, serverVersion: 0 };
    }
    case packets.clusterTopologyV2.id: {
      const update = decodePacket(packets.clusterTopologyV2, reader, version);
      return { last: update.pair?.last ?? false, serverVersion: 0 };
    }
    case packets.clusterTopologyV3.id: {
      const update = decodePacket(packets.clusterTopologyV3, reader, version);
      return { last: update.pair?.last ?? false, serverVersion: 0 };
    }
    case packets.clusterTopologyV4.id: {
      const update = decodePacket(packets.clusterTopologyV4, reader, version);
      return { last: update.pair?.last ?? false, serverVersion: update.serverVersion };
    }
    default:
      return undefined;
  }
}
