import {
  connect as connectWithPorts,
  defaultUrl,
  type Connection,
  type ConnectOptions,
} from "@everhold/client";
import type { Log, Ports } from "@everhold/env";
import { nodePorts } from "@everhold/node";

/** How to connect from Node. */
export interface NodeConnectOptions extends ConnectOptions {
  /** Where log lines go. Default: warnings, errors, and that a connection is back, on standard error. */
  readonly log?: Log;
}

/** All connections of a process share the ports. */
let sharedPorts: Ports | undefined;

/**
 * Connects to an Everhold or Artemis broker and stays connected until `close()`.
 *
 * `url` is `tcp://host:port`, `host:port`, a list of them, Artemis' `(tcp://a,tcp://b)?name=value`,
 * or OpenWire's `failover:(tcp://a,tcp://b)`. docs/CONNECTIONS.md says all about it.
 *
 * @throws EverholdError EVH_URL, EVH_CONFIG, EVH_NOT_CONNECTED, EVH_CONNECTION_TIMEOUT, EVH_SECURITY,
 *   EVH_ABORTED
 * @example
 * const connection = await connect("tcp://127.0.0.1:61616");
 * await connection.producer("orders").send("two apples");
 * await connection.close();
 */
export function connect(
  url: string | readonly string[] = defaultUrl,
  options: NodeConnectOptions = {},
): Promise<Connection> {
  sharedPorts ??= nodePorts({ log: { level: "info" } });
  const { log, ...connectOptions } = options;
  const ports = log === undefined ? sharedPorts : { ...sharedPorts, log };
  return connectWithPorts(ports, url, connectOptions);
}
