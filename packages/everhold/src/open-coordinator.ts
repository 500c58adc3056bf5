import { EverholdError } from "@everhold/base";
import { LocalCoordinator, ZooKeeperCoordinator } from "@everhold/coordinator";
import { pause, type Ports } from "@everhold/env";
import type { Coordinator, CoordinatorListener } from "@everhold/group";
import { NodeClaims, NodeDisk } from "@everhold/node";
import { accessLists, connect, type ZooKeeper } from "@everhold/zookeeper-core";

import { Absence } from "./absence.ts";
import type { ResolvedGroup, Settling } from "./config/group.ts";
import { limits } from "./limits.ts";

/**
 * Opens what settles who leads a group. ZooKeeper is waited for, however long it takes.
 *
 * @param signal ends the waiting
 * @throws EverholdError EVH_CONFIG, EVH_SECURITY, EVH_URL, EVH_ABORTED
 */
export async function openCoordinator(
  ports: Ports,
  { name, settling }: Pick<ResolvedGroup, "name" | "settling">,
  listener: CoordinatorListener,
  signal: AbortSignal,
): Promise<Coordinator> {
  if (settling.kind === "folder") {
    const { folder } = settling;
    const disk = new NodeDisk({ folder });
    const claims = new NodeClaims({ folder });
    return new LocalCoordinator({ ports, disk, claims, groupId: name, listener });
  }
  const client = await connectPatiently(ports, settling, signal);
  const acl = settling.login === undefined ? {} : { acl: accessLists.creator };
  const coordinator = new ZooKeeperCoordinator({ ports, client, groupId: name, listener, ...acl });
  return withClient(coordinator, client);
}

/** ZooKeeper may be down while machines start: whoever waits for it is there when it comes. */
async function connectPatiently(
  ports: Ports,
  { servers, sessionTimeoutMs, login }: Extract<Settling, { kind: "zookeeper" }>,
  signal: AbortSignal,
): Promise<ZooKeeper> {
  const options = {
    signal,
    sessionTimeout: sessionTimeoutMs ?? limits.groupSessionTimeoutMs,
    ...(login === undefined
      ? {}
      : { auth: { scheme: "digest", auth: `${login.user}:${login.password}` } }),
  };
  const absence = new Absence(ports, servers);
  for (;;) {
    try {
      const client = await connect(ports, servers, options);
      absence.isOver();
      return client;
    } catch (error) {
      if (!EverholdError.is(error, "EVH_NOT_CONNECTED")) throw error;
      absence.goesOn(error.message);
      await pause(ports, limits.zooKeeperAgainMs, signal);
    }
  }
}

/** The client lives as long as its one coordinator. */
function withClient(coordinator: Coordinator, client: ZooKeeper): Coordinator {
  return {
    read: () => coordinator.read(),
    create: (state) => coordinator.create(state),
    request: (kind, next) => coordinator.request(kind, next),
    register: (address) => coordinator.register(address),
    async close() {
      await coordinator.close();
      await client.close();
    },
  };
}
