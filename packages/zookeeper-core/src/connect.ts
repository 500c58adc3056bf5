import { deadlineIn } from "@everhold/env";
import { runnerAfterwards } from "./api/afterwards.ts";
import { Caller } from "./api/caller.ts";
import { trackEnsemble } from "./api/ensemble-tracker.ts";
import { ZooKeeper } from "./api/zookeeper.ts";
import { HeldNodes } from "./managed/held-nodes.ts";
import { restoringHost } from "./managed/restoring-host.ts";
import {
  connectTimeoutOf,
  nameUnknownOptions,
  readConnectString,
  readServers,
  resolveOptions,
  type ZooKeeperOptions,
} from "./options.ts";
import { type ConnectStringSource, ServerSource } from "./session/server-source.ts";
import { SessionKeeper } from "./session/session-keeper.ts";
import type { SessionPorts } from "./session/session-settings.ts";
import { Session } from "./session/session.ts";
import { Watches } from "./watches/watches.ts";

/**
 * Connects to a ZooKeeper ensemble and settles when the first session stands. Afterwards the client looks for servers
 * without end, until `close()`. `@everhold/zookeeper` binds the ports of Node, so that programs write
 * `connect(connectString, options)`.
 *
 * @throws EverholdError EVH_URL, EVH_CONFIG, EVH_NOT_CONNECTED, EVH_SECURITY, EVH_ABORTED; EVH_TIMEOUT where a source of
 *   connect strings or a store takes too long; what a source throws, and what a store's `load` does
 */
export async function connect(
  ports: SessionPorts,
  connectString: string | ConnectStringSource,
  options: ZooKeeperOptions = {},
): Promise<ZooKeeper> {
  nameUnknownOptions(options, ports.log);
  const deadlineMs = deadlineIn(ports, connectTimeoutOf(options));
  const source = new ServerSource({
    ports,
    source: connectString,
    onAnswer: (text) => session.useServers(readServers(text, chroot)),
    onError: (error) => session.reportError(error),
  });
  const resolved = resolveOptions(options);
  const { servers, chroot } = readConnectString(
    await source.ask({ deadlineMs, signal: options.signal }),
  );
  const keeper =
    resolved.sessionStore &&
    new SessionKeeper(resolved.sessionStore, ports, (error) => session.reportError(error));
  const loadedFromMs = ports.monotonicClock.nowMs();
  const former = await keeper?.load(options.signal);
  const loadMs = ports.monotonicClock.nowMs() - loadedFromMs;
  const watches: Watches = new Watches({
    requests: { request: (spec, wait) => session.request(spec, wait) },
    onError: (error) => session.reportError(error),
    ports,
  });
  const host = restoringHost(watches, () => nodes);
  const settings = {
    ...resolved.settings,
    servers: servers.map((server) => ({ ...server, ...resolved.wrapping })),
  };
  const onRoundFailed = (): void => source.onRoundFailed();
  const session = new Session({ ports, settings, watches: host, onRoundFailed, keeper, former });
  const nodes: HeldNodes = new HeldNodes(session);
  const closing = new AbortController();
  session.listen(({ type }) => {
    if (type === "closed") closing.abort();
  });
  const { retry, requestTimeout, signal } = resolved;
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
  if (resolved.trackEnsemble) trackEnsemble(session, new Caller(session, context, ""), ports.log);
  session.start();
  try {
    // Whether a store's other user lives may take longer to see than a server takes to answer.
    await session.ready({ deadlineMs: deadlineMs + loadMs, signal });
  } catch (error) {
    await client.close({ timeout: 0 });
    // Who tries again at once finds the store free.
    await keeper?.close();
    throw error;
  }
  return client;
}
