import { deadlineIn } from "@everhold/env";
import { runnerAfterwards } from "./api/afterwards.ts";
import { Caller } from "./api/caller.ts";
import { ZooKeeper } from "./api/zookeeper.ts";
import { HeldNodes } from "./managed/held-nodes.ts";
import { restoringHost } from "./managed/restoring-host.ts";
import { resolveOptions, type ZooKeeperOptions } from "./options.ts";
import type { SessionPorts } from "./session/session-settings.ts";
import { Session } from "./session/session.ts";
import { Watches } from "./watches/watches.ts";

/**
 * Connects to a ZooKeeper ensemble and settles when the first session stands. Afterwards the client looks for servers
 * without end, until `close()`. `@everhold/zookeeper` binds the ports of Node, so that programs write
 * `connect(connectString, options)`.
 *
 * @throws EverholdError EVH_URL, EVH_CONFIG, EVH_NOT_CONNECTED, EVH_SECURITY, EVH_ABORTED
 */
export async function connect(
  ports: SessionPorts,
  connectString: string,
  options: ZooKeeperOptions = {},
): Promise<ZooKeeper> {
  const resolved = resolveOptions(connectString, options, ports.log);
  const watches: Watches = new Watches({
    requests: { request: (spec, wait) => session.request(spec, wait) },
    onError: (error) => session.reportError(error),
    ports,
  });
  const host = restoringHost(watches, () => nodes);
  const session = new Session({ ports, settings: resolved.settings, watches: host });
  const nodes: HeldNodes = new HeldNodes(session);
  const closing = new AbortController();
  session.listen(({ type }) => {
    if (type === "closed") closing.abort();
  });
  const { retry, requestTimeout, chroot, connectTimeout, signal } = resolved;
  const retrying = { ports, retry, requestTimeout, closed: closing.signal };
  const context = {
    ...retrying,
    sessionId: () => session.sessionId,
    afterwards: runnerAfterwards(retrying, (error) => session.reportError(error)),
  };
  const client = new ZooKeeper(
    { session, watches, nodes, chroot, closing },
    new Caller(session, context, chroot),
  );
  session.start();
  try {
    await session.ready({ deadlineMs: deadlineIn(ports, connectTimeout), signal });
  } catch (error) {
    await client.close({ timeout: 0 });
    throw error;
  }
  return client;
}
