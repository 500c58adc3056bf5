import { packets } from "@everhold/wire";

import type { CoreConnection } from "./core-connection.ts";
import type { SignsOfLife } from "./signs-of-life.ts";

/**
 * Channel 0 of a connection, which belongs to no session: pings and the topology. Handles the packet under way;
 * false when it does not belong there.
 * @throws ProtocolError when it is not valid
 */
export function handleConnectionPacket(
  link: CoreConnection,
  life: SignsOfLife,
  id: number,
): boolean {
  switch (id) {
    case packets.ping.id:
      answerPing(link, life);
      return true;
    case packets.subscribeTopology.id:
      link.read(packets.subscribeTopology);
      link.subscribeToTopology();
      return true;
    case packets.subscribeTopologyV2.id:
      link.fixVersion(link.read(packets.subscribeTopologyV2).clientVersion);
      link.subscribeToTopology();
      return true;
    default:
      return false;
  }
}

function answerPing(link: CoreConnection, life: SignsOfLife): void {
  const ping = link.read(packets.ping);
  if (link.engine.config.connectionTtlOverrideMs === undefined) life.ttlMs = ping.connectionTtl;
  for (const session of link.table) session.flushConfirmations();
  link.write(packets.ping, 0, ping);
}
