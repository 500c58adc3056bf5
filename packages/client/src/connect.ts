import type { Ports } from "@everhold/env";
import { Connection } from "./api/connection.ts";
import { ConnectionCore } from "./connection/connection-core.ts";
import { slotFor } from "./connection/shared-slots.ts";
import { formatEndpoint } from "./url/parse-url.ts";
import { defaultUrl, resolveOptions, type ConnectOptions } from "./options.ts";

/**
 * Connects to a broker and settles when the first session stands. `url` may be a list, in which any
 * broker will do. `everhold` binds the ports of the real world, so that programs write
 * `connect(url, options)`.
 *
 * @example
 * const connection = await connect(ports, "tcp://127.0.0.1:61616");
 * await connection.producer("orders").send({ json: { id: 1 } });
 * for await (const message of connection.consumer("orders")) await message.ack();
 *
 * @throws EverholdError EVH_URL, EVH_CONFIG, EVH_NOT_CONNECTED, EVH_SECURITY, EVH_VERSION, …
 */
export async function connect(
  ports: Ports,
  url: string | readonly string[] = defaultUrl,
  options: ConnectOptions = {},
): Promise<Connection> {
  const resolved = resolveOptions(url, options, ports.log);
  const core = new ConnectionCore(slotFor(ports, resolved), resolved);
  const connection = new Connection(core);
  const { tracing } = ports;
  if (tracing?.watches("connect") === true) {
    const destination = core.options.endpoints.map(formatEndpoint).join(",");
    await tracing.trace("connect", { destination }, () => core.start(options.signal));
  } else {
    await core.start(options.signal);
  }
  return connection;
}
