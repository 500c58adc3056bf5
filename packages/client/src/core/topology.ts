import { decodePacket, packets, type ByteReader, type ConnectorParameter } from "@everhold/wire";

/** How to reach a broker, as a broker says it. */
export interface Connector {
  readonly parameters: ReadonlyMap<string, ConnectorParameter>;
}

/** What one topology packet says: a node came, changed, or went. */
export interface TopologyUpdate {
  /** The node, or the pair of a primary and its backup: a backup that takes over keeps it. */
  readonly nodeId: string;
  /** Grows with every change of a node; `undefined` in the oldest form of the packet. */
  readonly eventId: number | undefined;
  /** Whether the node has gone. */
  readonly exit: boolean;
  /** `null`: the broker does not say, as one that is alone. */
  readonly primary: Connector | null;
  readonly backup: Connector | null;
  /** Whether the broker has told its whole topology. */
  readonly last: boolean;
  /** The broker's newest protocol version; 0 in the older forms of the packet. */
  readonly serverVersion: number;
}

/** Why the broker ends the connection, and where it sends its client. */
export interface Goodbye {
  readonly nodeId: string | null;
  /** One of `disconnectReasons`; `undefined` in the older forms of the packet. */
  readonly reason: number | undefined;
  /** The node that takes over what this one has. */
  readonly targetNodeId: string | null;
  readonly target: Connector | null;
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
      return { ...nodeOf(update), eventId: undefined, serverVersion: 0 };
    }
    case packets.clusterTopologyV2.id: {
      const update = decodePacket(packets.clusterTopologyV2, reader, version);
      return { ...nodeOf(update), eventId: update.eventId, serverVersion: 0 };
    }
    case packets.clusterTopologyV3.id: {
      const update = decodePacket(packets.clusterTopologyV3, reader, version);
      return { ...nodeOf(update), eventId: update.eventId, serverVersion: 0 };
    }
    case packets.clusterTopologyV4.id: {
      const update = decodePacket(packets.clusterTopologyV4, reader, version);
      const { eventId, serverVersion } = update;
      return { ...nodeOf(update), eventId, serverVersion };
    }
    default:
      return undefined;
  }
}

/** Reads any form of DISCONNECT; `undefined` for other packets. */
export function readGoodbye(id: number, reader: ByteReader, version: number): Goodbye | undefined {
  const unsaid = { reason: undefined, targetNodeId: null, target: null } as const;
  switch (id) {
    case packets.disconnect.id: {
      const { nodeId } = decodePacket(packets.disconnect, reader, version);
      return { ...unsaid, nodeId };
    }
    case packets.disconnectV2.id: {
      const { nodeId, scaleDownNodeId } = decodePacket(packets.disconnectV2, reader, version);
      return { ...unsaid, nodeId, targetNodeId: scaleDownNodeId };
    }
    case packets.disconnectV3.id:
      return decodePacket(packets.disconnectV3, reader, version);
    default:
      return undefined;
  }
}

interface Update {
  readonly nodeId: string;
  readonly exit: boolean;
  readonly pair: {
    readonly primary: Connector | null;
    readonly backup: Connector | null;
    readonly last: boolean;
  } | null;
}

function nodeOf({
  nodeId,
  exit,
  pair,
}: Update): Pick<TopologyUpdate, "nodeId" | "exit" | "primary" | "backup" | "last"> {
  return {
    nodeId,
    exit,
    primary: pair?.primary ?? null,
    backup: pair?.backup ?? null,
    last: pair?.last ?? false,
  };
}
