import {
  disconnectReasons,
  encodePacket,
  nettyConnectorFactory,
  packets,
  type ByteWriter,
  type ConnectorParameter,
} from "@everhold/wire";

import type { Connector } from "./connector.ts";
import { versionNewest } from "./versions.ts";

/** What clients are told of their node: where it is, and where it will be when that fails. */
export interface NodePair {
  readonly nodeId: string;
  /** Of two things told of a node the one with the greater number counts. */
  readonly eventId: number;
  /** Null: clients go by the address that they were given. */
  readonly primary: Connector | null;
  readonly backup: Connector | null;
}

/**
 * Tells a client the whole topology, which is one node, so it is the last one. Without it the first session of every
 * client would wait 30 s.
 */
export function writeTopology(writer: ByteWriter, node: NodePair, version: number): void {
  const { nodeId, eventId } = node;
  const pair = { primary: wireForm(node.primary), backup: wireForm(node.backup), last: true };
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

/** As Artemis writes it: all parameters are texts. A client whose own list has a connector of this name prefers that. */
function wireForm(connector: Connector | null) {
  if (connector === null) return null;
  const { host, port, tls = false } = connector;
  const texts = { host, port: String(port), ...(tls ? { sslEnabled: "true" } : {}) };
  const parameters = new Map<string, ConnectorParameter>();
  for (const [key, value] of Object.entries(texts)) parameters.set(key, { type: "string", value });
  return { name: `${host}:${port}`, factoryClassName: nettyConnectorFactory, parameters };
}
