import { deferred, type EverholdError } from "@everhold/base";
import { Broker, type BrokerOptions, type QueueInfo } from "@everhold/broker";
import type { Endpoint, Log } from "@everhold/env";
import { GroupBroker, type GroupBrokerOptions } from "@everhold/member";
import type { JournalHealth } from "@everhold/journal";
import { NodeLog, NodeNetwork, nodePorts } from "@everhold/node";

import { formatAcceptorUrl, isLoopbackHost } from "./config/acceptor-url.ts";
import { settingsByMatch } from "./config/address-settings.ts";
import { divertsByName } from "./config/diverts.ts";
import type { ResolvedGroup } from "./config/group.ts";
import { loadConfig, type ResolvedConfig } from "./config/load-config.ts";
import { HeldLog } from "./held-log.ts";
import { Monitor } from "./monitor/monitor.ts";
import type { MonitorSource } from "./monitor/monitor-source.ts";
import { openCoordinator } from "./open-coordinator.ts";
import type { RunningBroker, RunningMember, StartOptions } from "./start-broker.ts";
import { packageVersion } from "./package-version.ts";
import { openLogins } from "./users/broker-logins.ts";
import { limits as ownLimits } from "./limits.ts";

/** Does what `startBroker` promises; in a file of its own because it loads the whole broker. */
export async function launchBroker(
  config: string | URL | object | undefined,
  options: StartOptions,
): Promise<RunningBroker> {
  const resolved = loadConfig({
    config,
    environment: options.environment ?? process.env,
    folder: options.folder ?? process.cwd(),
    ...(options.flags === undefined ? {} : { flags: options.flags }),
    ...(options.listen === undefined ? {} : { listen: options.listen }),
  });
  const { log: logging, journal } = resolved.document;
  const log = new HeldLog(
    options.log ??
      new NodeLog({
        ...(logging?.level === undefined ? {} : { level: logging.level }),
        format: logging?.format ?? "human",
      }),
  );
  const disk = { folder: resolved.dataFolder };
  const ports = nodePorts({
    disk: journal?.sync === undefined ? disk : { ...disk, syncMode: journal.sync },
  });
  const failure = deferred<never>();
  // Whoever does not ask must not be ended by an unhandled rejection.
  failure.promise.catch(() => undefined);
  const watchedLogins = openLogins(resolved, log);
  const { logins } = watchedLogins;
  const started = {
    ports: { ...ports, log, logins, network: new NodeNetwork(log) },
    config: brokerOptions(resolved),
    onFailed: (error: EverholdError) => failure.reject(error),
  };
  const { group } = resolved;
  let server: Server;
  let monitor: Monitor | undefined;
  // A start that takes so long is to be seen at work, or seen waiting: for a disk that does not answer, say.
  const late = setTimeout(() => log.release(), ownLimits.startHeldMs);
  try {
    monitor = await startMonitor(resolved, log);
    if (group === undefined) server = await startAlone(started);
    else {
      // A member may wait for its group: what it waits for is to be seen.
      log.release();
      server = await startMember(started, group, options.signal);
    }
    log.release();
  } catch (error) {
    await monitor?.stop();
    watchedLogins.close();
    log.releaseWarnings();
    throw error;
  } finally {
    clearTimeout(late);
  }
  monitor?.use(monitorSource(server));
  const stop = async (): Promise<void> => {
    watchedLogins.close();
    try {
      await server.stop();
    } finally {
      await monitor?.stop();
    }
  };
  return {
    get urls() {
      return server.endpoints.map((endpoint) => formatAcceptorUrl(endpoint));
    },
    dataFolder: resolved.dataFolder,
    loopbackOnly: resolved.acceptors.every(({ endpoint }) => isLoopbackHost(endpoint.host)),
    get loginRequired() {
      return logins.isRequired && resolved.document.security?.allowAnonymous !== true;
    },
    member: server.member,
    monitorUrl: monitor?.url,
    failed: failure.promise,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A broker at work, alone or in a group. */
interface Server {
  readonly endpoints: readonly Endpoint[];
  readonly connectionCount: number;
  readonly health: JournalHealth | undefined;
  readonly member: RunningMember | undefined;
  queues(): readonly QueueInfo[];
  stop(): Promise<void>;
}

type Started = Pick<GroupBrokerOptions, "ports" | "onFailed"> & { readonly config: BrokerOptions };

async function startAlone(started: Started): Promise<Server> {
  const broker = await Broker.start(started);
  return {
    endpoints: broker.endpoints,
    get connectionCount() {
      return broker.connectionCount;
    },
    get health() {
      return broker.health;
    },
    member: undefined,
    queues: () => broker.queues(),
    stop: () => broker.stop(),
  };
}

async function startMember(
  started: Started,
  group: ResolvedGroup,
  signal: AbortSignal | undefined,
): Promise<Server> {
  const { ports } = started;
  const member = await GroupBroker.start({
    ...started,
    // Clients that ask who leads are told a place, also where the configuration names none for them.
    config: { ...started.config, connector: group.connector },
    group: group.options,
    openCoordinator: (listener, ending) => openCoordinator(ports, group, listener, ending),
    ...(signal === undefined ? {} : { signal }),
  });
  return {
    get endpoints() {
      return member.endpoints;
    },
    get connectionCount() {
      return member.connectionCount;
    },
    get health() {
      return member.health;
    },
    queues: () => member.queues(),
    member: {
      group: group.name,
      get status() {
        return member.status;
      },
      handOver: (to) => member.handOver(to),
      promoteUncleanly: (created, version) => member.promoteUncleanly(created, version),
    },
    stop: () => member.close(),
  };
}

/** Listens before the broker starts: a member may wait for long, and is alive meanwhile. */
async function startMonitor({ document }: ResolvedConfig, log: Log): Promise<Monitor | undefined> {
  const { monitor } = document;
  if (monitor === undefined) return undefined;
  const { url: endpoint, token } = monitor;
  return Monitor.start({ endpoint, token, version: packageVersion(), log });
}

function monitorSource(server: Server): MonitorSource {
  return {
    get isServing() {
      return server.endpoints.length > 0;
    },
    get connectionCount() {
      return server.connectionCount;
    },
    get health() {
      return server.health;
    },
    queues: () => server.queues(),
    member: server.member,
  };
}

/** What a configuration says, in the broker's own words. */
function brokerOptions({ document, acceptors }: ResolvedConfig): BrokerOptions {
  const { name, connector, limits, journal } = document;
  const { frameSize, messageSize, largeMessageSize, memory } = limits ?? {};
  const { connectionsAllowed, handshakesAllowed, parkedSessionsAllowed } = limits ?? {};
  const { handshakeTimeout, connectionTtl, connectionTtlOverride } = limits ?? {};
  return {
    ...(name === undefined ? {} : { name }),
    ...(connector === undefined ? {} : { connector }),
    endpoints: acceptors.map((acceptor) => acceptor.endpoint),
    ...(frameSize === undefined ? {} : { frameBytesMax: frameSize }),
    ...(messageSize === undefined ? {} : { messageBytesMax: messageSize }),
    ...(largeMessageSize === undefined ? {} : { largeMessageBytesMax: largeMessageSize }),
    ...(memory === undefined ? {} : { memoryBytesMax: memory }),
    ...(connectionsAllowed === undefined ? {} : { connectionCountMax: connectionsAllowed }),
    ...(handshakesAllowed === undefined ? {} : { strangerCountMax: handshakesAllowed }),
    ...(parkedSessionsAllowed === undefined ? {} : { parkedSessionsMax: parkedSessionsAllowed }),
    ...(handshakeTimeout === undefined ? {} : { handshakeTimeoutMs: handshakeTimeout }),
    ...(connectionTtl === undefined ? {} : { connectionTtlMs: connectionTtl }),
    ...(connectionTtlOverride === undefined
      ? {}
      : { connectionTtlOverrideMs: connectionTtlOverride }),
    diverts: divertsByName(document.diverts ?? {}),
    addressSettings: settingsByMatch(document.addressSettings ?? {}),
    journal: {
      ...(journal?.fileSize === undefined ? {} : { segmentBytes: journal.fileSize }),
      ...(journal?.snapshotSize === undefined ? {} : { snapshotBytes: journal.snapshotSize }),
      ...(journal?.cacheSize === undefined ? {} : { tailCacheBytes: journal.cacheSize }),
      scrubBytesPerSecond: journal?.scrubRate ?? ownLimits.scrubBytesPerSecondDefault,
    },
  };
}
