import { disconnectReasons, encodePacket, packets, type ByteWriter } from "@everhold/wire";

import { versionNewest } from "./versions.ts";

/**
 * Tells a client the topology of a broker that is alone: one node, no connectors, last one. Without it
 * the first session of every client would wait 30 s.
 */
export function writeTopology(
  writer: ByteWriter,
  nodeId: string,
  eventId: number,
  version: number,
): void {
  const pair = { primary: null, backup: null, last: true } as const;
  if (version < 122) {
    const value = { exit: false, nodeId, pair };
    encodePacket(writer, packets.clusterTopology, 0, value, version);
    return;
  }
  const value = { exit: false, nodeId, eventId, pair, backupGroupName: null };
  if (version < 125) {
    encodePacket(writer, packets.clusterTopologyV2, 0, value, version);
    return;
  }
  const grouped = { ...value, scaleDownGroupName: null };
  if (version < 131) {
    encodePacket(writer, packets.clusterTopologyV3, 0, grouped, version);
    return;
  }
  const full = { ...grouped, serverVersion: versionNewest };
  encodePacket(writer, packets.clusterTopologyV4, 0, full, version);
}

/** Tells a client that the broker stops, in the form that its version knows. */
export function writeDisconnect(writer: ByteWriter, nodeId: string, version: number): void {
  if (version < 125) {
    encodePacket(writer, packets.disconnect, 0, { nodeId }, version);
  } else if (version < 131) {
    encodePacket(writer, packets.disconnectV2, 0, { nodeId, scaleDownNodeId: null }, version);
  } else {
    const reason = disconnectReasons.shutDown;
    const value = { nodeId, reason, targetNodeId: null, target: null };
    encodePacket(writer, packets.disconnectV3, 0, value, version);
  }
}
