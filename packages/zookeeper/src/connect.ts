import type { Log } from "@everhold/env";
import { NodeDigests, nodePorts } from "@everhold/node";
import {
  connect as connectWithPorts,
  digestId as digestIdWithPort,
  type ConnectStringSource,
  type SessionPorts,
  type ZooKeeper,
  type ZooKeeperOptions,
} from "@everhold/zookeeper-core";

/** How to connect from Node. */
export interface ConnectOptions extends ZooKeeperOptions {
  /** Where log lines go. Default: warnings and errors, and that a server is connected, on standard error. */
  readonly log?: Log;
}

/** All clients of a process share the ports. */
let sharedPorts: SessionPorts | undefined;

/**
 * Connects to a ZooKeeper ensemble and stays connected until `close()`.
 *
 * `connectString` is `host:port,host:port/chroot`; the port is 2181 where it is left out, IPv6 addresses are written in
 * brackets, and with a chroot all paths are below it. A function that gives one is asked again whenever none of the
 * servers it named last can be reached; what it throws then is told by the event `error`.
 *
 * @throws EverholdError EVH_URL, EVH_CONFIG, EVH_NOT_CONNECTED, EVH_SECURITY, EVH_ABORTED; EVH_TIMEOUT where the function
 *   or a store takes too long; with a `sessionFolder` EVH_DATA_LOCKED, EVH_DATA_FOLDER, EVH_DATA_FORMAT, EVH_IO,
 *   EVH_DISK_FULL; what the function throws
 * @example
 * const client = await connect("127.0.0.1:2181");
 * const { path } = await client.create("/orders/order-", "two apples", { mode: "persistentSequential", parents: true });
 * const { data, stat } = await client.getData(path);
 * await client.close();
 */
export function connect(
  connectString: string | ConnectStringSource,
  options: ConnectOptions = {},
): Promise<ZooKeeper> {
  const { log, ...connectOptions } = options;
  sharedPorts ??= nodePorts({ log: { level: "info" } });
  const ports = log === undefined ? sharedPorts : { ...sharedPorts, log };
  return connectWithPorts(ports, connectString, connectOptions);
}

/** The id of the scheme `digest` for a user and password, for an access list: `user:` and a SHA-1 in base64. */
export function digestId(user: string, password: string): string {
  return digestIdWithPort(new NodeDigests(), { user, password });
}
