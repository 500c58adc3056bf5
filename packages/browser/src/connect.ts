import { EverholdError } from "@everhold/base";
import {
  connect as connectWithPorts,
  formatEndpoint,
  parseUrl,
  type Connection,
  type ConnectOptions,
} from "@everhold/client";
import type { Log, Ports } from "@everhold/env";
import { browserPorts } from "./ports.ts";

/** How to connect from a browser, which decides itself whose certificates it trusts. */
export interface BrowserConnectOptions extends Omit<ConnectOptions, "tls"> {
  /** Where log lines go. Default: warnings and errors, to the console. */
  readonly log?: Log;
}

/** All connections of a page share the ports. */
let sharedPorts: Ports | undefined;

/**
 * Connects a page to an Everhold or Artemis broker by WebSocket and stays connected until `close()`, also while the
 * page is hidden; one that was suspended connects again when it goes on.
 *
 * `url` is `ws://host:port` or `wss://host:port/path`, or a list of these, with parameters as everywhere.
 *
 * @throws EverholdError EVH_URL, EVH_CONFIG, EVH_NOT_CONNECTED, EVH_CONNECTION_TIMEOUT, EVH_SECURITY,
 *   EVH_ABORTED
 * @example
 * const connection = await connect("wss://broker.example:61617");
 * await connection.producer("orders").send({ json: { apples: 2 } });
 * await connection.close();
 */
export async function connect(
  url: string | readonly string[],
  options: BrowserConnectOptions = {},
): Promise<Connection> {
  for (const endpoint of parseUrl(url).endpoints) {
    if (endpoint.webSocket !== undefined) continue;
    throw new EverholdError(
      "EVH_URL",
      `Cannot connect to ${formatEndpoint(endpoint)}: a page can open WebSockets only, ` +
        "expected ws:// or wss://",
    );
  }
  sharedPorts ??= browserPorts();
  const { log, ...connectOptions } = options;
  const ports = log === undefined ? sharedPorts : { ...sharedPorts, log };
  return connectWithPorts(ports, url, connectOptions);
}
