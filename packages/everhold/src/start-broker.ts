import { deferred } from "@everhold/base";
import { Broker, type AddressSettings, type BrokerOptions } from "@everhold/broker";
import type { Endpoint, Log } from "@everhold/env";
import { nodePorts } from "@everhold/node";

import { formatAcceptorUrl, isLoopbackHost } from "./config/acceptor-url.ts";
import type { Environment } from "./config/expand-references.ts";
import { loadConfig, type ConfigFlag, type ResolvedConfig } from "./config/load-config.ts";

/** What may be said about a start besides the configuration. */
export interface StartOptions {
  /** Where `${NAME}` and `EVERHOLD__…` come from. Default the environment of this process. */
  readonly environment?: Environment;
  /** What command-line flags say; stronger than environment and configuration. */
  readonly flags?: readonly ConfigFlag[];
  /** Where the first acceptor listens instead. */
  readonly listen?: Partial<Endpoint>;
  /** Where log lines go instead of standard error. */
  readonly log?: Log;
  /** What relative paths are relative to. Default the current folder. */
  readonly folder?: string;
}

/** A broker at work in this process. */
export interface RunningBroker extends AsyncDisposable {
  /** One URL for each acceptor, with the ports that were chosen where 0 was asked for. */
  readonly urls: readonly string[];
  /** Its data folder, absolute. */
  readonly dataFolder: string;
  /** Whether nobody but programs on this machine can reach it. */
  readonly loopbackOnly: boolean;
  /** Rejects when the storage fails; the broker has stopped by then. Never settles otherwise. */
  readonly failed: Promise<never>;
  /** Lets clients go, makes everything durable, and frees ports and folder. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a durable broker in this process.
 *
 * `config` is a file (default `everhold.yaml` or `everhold.json` of the current folder, if there is
 * one) or an object of the same shape. Without any: data in `./everhold-data`, port 61616 of 127.0.0.1.
 *
 * @throws EverholdError EVH_CONFIG, EVH_PORT_IN_USE, EVH_DATA_LOCKED, EVH_DATA_FOLDER,
 *   EVH_DATA_CORRUPT, EVH_DATA_FORMAT, EVH_IO
 * @example
 * await using broker = await startBroker({ data: "./orders", acceptors: { core: { url: "tcp://127.0.0.1:0" } } });
 * console.log(broker.urls);
 */
export async function startBroker(
  config?: string | URL | object,
  options: StartOptions = {},
): Promise<RunningBroker> {
  const resolved = loadConfig({
    config,
    environment: options.environment ?? process.env,
    folder: options.folder ?? process.cwd(),
    ...(options.flags === undefined ? {} : { flags: options.flags }),
    ...(options.listen === undefined ? {} : { listen: options.listen }),
  });
  const { log, journal } = resolved.document;
  const ports = nodePorts({
    disk: { folder: resolved.dataFolder, ...(journal?.sync && { syncMode: journal.sync }) },
    log: {
      ...(log?.level && { level: log.level }),
      format: log?.format === "json" ? "json" : "human",
    },
  });
  const failure = deferred<never>();
  // Whoever does not ask must not be ended by an unhandled rejection.
  failure.promise.catch(() => undefined);
  const broker = await Broker.start({
    ports: options.log === undefined ? ports : { ...ports, log: options.log },
    config: brokerOptions(resolved),
    onFailed: (error) => failure.reject(error),
  });
  return {
    urls: broker.endpoints.map((endpoint) => formatAcceptorUrl(endpoint)),
    dataFolder: resolved.dataFolder,
    loopbackOnly: resolved.acceptors.every(({ endpoint }) => isLoopbackHost(endpoint.host)),
    failed: failure.promise,
    stop: () => broker.stop(),
    [Symbol.asyncDispose]: () => broker.stop(),
  };
}

/** What a configuration says, in the broker's own words. */
function brokerOptions({ document, acceptors }: ResolvedConfig): BrokerOptions {
  const { name, limits, journal, security } = document;
  const { frameSize, messageSize, handshakeTimeout, connectionTtl, connectionTtlOverride } =
    limits ?? {};
  return {
    ...(name === undefined ? {} : { name }),
    endpoints: acceptors.map((acceptor) => acceptor.endpoint),
    ...(frameSize === undefined ? {} : { frameBytesMax: frameSize }),
    ...(messageSize === undefined ? {} : { messageBytesMax: messageSize }),
    ...(handshakeTimeout === undefined ? {} : { handshakeTimeoutMs: handshakeTimeout }),
    ...(connectionTtl === undefined ? {} : { connectionTtlMs: connectionTtl }),
    ...(connectionTtlOverride === undefined
      ? {}
      : { connectionTtlOverrideMs: connectionTtlOverride }),
    addressSettings: withoutUndefined(document.addressSettings?.["#"] ?? {}),
    users: Object.entries(security?.users ?? {}).map(([user, { password }]) => ({
      user,
      password,
    })),
    journal: {
      ...(journal?.fileSize === undefined ? {} : { segmentBytes: journal.fileSize }),
      ...(journal?.snapshotSize === undefined ? {} : { snapshotBytes: journal.snapshotSize }),
      ...(journal?.cacheSize === undefined ? {} : { tailCacheBytes: journal.cacheSize }),
    },
  };
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** A key that is there without a value would hide the broker's default. */
function withoutUndefined(settings: {
  readonly [K in keyof AddressSettings]?: AddressSettings[K] | undefined;
}): Defined<AddressSettings> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
