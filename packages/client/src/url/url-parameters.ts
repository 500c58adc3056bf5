import { EverholdError } from "@everhold/base";
import type { Log } from "@everhold/env";
import type { ConnectOptions, HeartbeatOptions, ReconnectOptions } from "../options.ts";
import { isTlsParameter } from "./tls-parameters.ts";

/** Options that a URL can set, before they are put together. */
interface Draft {
  options: { -readonly [K in keyof ConnectOptions]: ConnectOptions[K] };
  heartbeat: { -readonly [K in keyof HeartbeatOptions]: HeartbeatOptions[K] };
  retry: { -readonly [K in keyof ReconnectOptions]: ReconnectOptions[K] };
  /** Artemis: rounds through all brokers that follow those through the current one and its backup. */
  failoverAttempts?: number;
}

type Setter = (draft: Draft, value: string, name: string) => void;

/**
 * What a parameter means here: how it is set; `unneeded`, because this client always, or never, does what it asks
 * for; or what is not done because of it, which is warned about.
 */
type Meaning = Setter | "unneeded" | { readonly warning: string };

const inCode = { warning: "is not taken from a URL here: say it where messages are sent" } as const;

/**
 * The parameters of an Artemis URL.
 * Source: Artemis, `ActiveMQConnectionFactory`, `ServerLocatorImpl` and `TransportConstants`.
 */
const artemisParameters: Readonly<Record<string, Meaning>> = {
  user: (draft, value) => void (draft.options.username = value),
  username: (draft, value) => void (draft.options.username = value),
  password: (draft, value) => void (draft.options.password = value),
  clientID: (draft, value) => void (draft.options.clientId = value),
  minLargeMessageSize: (draft, value, name) =>
    void (draft.options.minLargeMessageSize = integer(name, value)),
  callTimeout: (draft, value, name) => void (draft.options.callTimeout = integer(name, value)),
  callFailoverTimeout: setFailoverTimeout,
  connectTimeout: setConnectTimeout,
  "connect-timeout-millis": setConnectTimeout,
  "netty-connect-timeout": setConnectTimeout,
  connectionTTL: setTtl,
  connectionTtl: setTtl,
  clientFailureCheckPeriod: setCheckPeriod,
  ha: (draft, value, name) => void (draft.options.ha = boolean(name, value)),
  reconnectAttempts: (draft, value, name) => void (draft.retry.attempts = attempts(name, value)),
  failoverAttempts: (draft, value, name) => void (draft.failoverAttempts = attempts(name, value)),
  initialConnectAttempts: (draft, value, name) =>
    void (draft.retry.initialAttempts = Math.max(1, attempts(name, value))),
  retryInterval: (draft, value, name) =>
    void (draft.retry.initialDelay = Math.max(1, integer(name, value))),
  retryIntervalMultiplier: setMultiplier,
  maxRetryInterval: (draft, value, name) => void (draft.retry.maxDelay = integer(name, value)),
  connectionLoadBalancingPolicyClassName: (draft, value) => {
    if (/Random|RoundRobin/.test(value)) draft.retry.randomize = true;
  },
  consumerWindowSize: setConsumerWindow,
  producerWindowSize: (draft, value, name) =>
    void (draft.options.producerWindow = integer(name, value)),
  confirmationWindowSize: (draft, value, name) =>
    void (draft.options.confirmationWindow = integer(name, value)),
  blockOnDurableSend: setBlockOnDurableSend,
  blockOnNonDurableSend: setBlockOnNonDurableSend,
  autoGroup: inCode,
  groupID: inCode,
  preAcknowledge: { warning: 'is said at each consumer here: ack: "pre"' },
  enableSharedClientID: { warning: "is not known here: a client id is one connection's" },
  httpEnabled: refuseIfTrue,
  httpUpgradeEnabled: refuseIfTrue,
  proxyEnabled: refuseIfTrue,
  useServlet: refuseIfTrue,
  // Endpoints of the list are tried at the first connection as well, and what brokers tell of others is heeded.
  failoverOnInitialConnection: "unneeded",
  ...unneeded(
    "ackBatchSize,activemqServerName,batchDelay,blockOnAcknowledge,cacheDestinations,cacheLargeMessagesClient",
    "compressLargeMessage,compressLargeMessages,compressionLevel,consumerMaxRate,dupsOKBatchSize",
    "enable1xPrefixes,forceSSLParameters,ignoreJTA,initialMessagePacketSize,localAddress,localPort,name",
    "nioRemotingThreads,passwordCodec,producerMaxRate,protocolManagerFactoryStr,protocols,remotingThreads",
    "scheduledThreadPoolMaxSize,tcpNoDelay,tcpReceiveBufferSize,tcpSendBufferSize,threadPoolMaxSize",
    "transactionBatchSize,type,useEpoll,useGlobalPools,useIOUring,useKQueue,useNio,useNioGlobalWorkerPool",
    "useTopologyForLoadBalancing,writeBufferHighWaterMark,writeBufferLowWaterMark",
  ),
};

/**
 * The parameters of OpenWire's `failover:` URLs. A list is tried in its order unless `randomize=true` says otherwise.
 * Source: ActiveMQ, "Failover Transport Reference".
 */
const openWireParameters: Readonly<Record<string, Meaning>> = {
  initialReconnectDelay: (draft, value, name) =>
    void (draft.retry.initialDelay = Math.max(1, integer(name, value))),
  maxReconnectDelay: (draft, value, name) => void (draft.retry.maxDelay = integer(name, value)),
  useExponentialBackOff: (draft, value, name) => {
    if (!boolean(name, value)) draft.retry.multiplier = 1;
  },
  backOffMultiplier: setMultiplier,
  reconnectDelayExponent: setMultiplier,
  maxReconnectAttempts: (draft, value, name) => void (draft.retry.attempts = attempts(name, value)),
  startupMaxReconnectAttempts: (draft, value, name) => {
    const count = attempts(name, value);
    if (count > 0) draft.retry.initialAttempts = count;
  },
  randomize: (draft, value, name) => void (draft.retry.randomize = boolean(name, value)),
  timeout: setFailoverTimeout,
  connectionTimeout: setConnectTimeout,
  "jms.userName": (draft, value) => void (draft.options.username = value),
  "jms.password": (draft, value) => void (draft.options.password = value),
  "jms.clientID": (draft, value) => void (draft.options.clientId = value),
  "wireFormat.maxInactivityDuration": setTtl,
  ...unneeded(
    "backup,keepAlive,maxCacheSize,priorityBackup,priorityURIs,rebalanceUpdates,reconnectSupported,soTimeout",
    "trackMessages,updateURIsSupported,updateURIsURL,warnAfterReconnectAttempts",
  ),
};

const parametersByName: ReadonlyMap<string, Meaning> = new Map([
  ...Object.entries(artemisParameters),
  ...Object.entries(openWireParameters),
]);

/**
 * The options that a URL's parameters stand for. A parameter that nobody knows is warned about once
 * and ignored, as an Artemis client does, so that a URL can be shared with Java programs.
 *
 * @throws EverholdError EVH_URL when a known parameter's value is not one it can have
 */
export function applyUrlParameters(
  parameters: ReadonlyMap<string, string>,
  log: Pick<Log, "warn" | "debug">,
): ConnectOptions {
  const draft: Draft = { options: {}, heartbeat: {}, retry: {} };
  for (const [written, value] of parameters) {
    // OpenWire: what is meant for each URL of a list.
    const name = written.startsWith("nested.") ? written.slice("nested.".length) : written;
    if (isTlsParameter(name)) continue;
    const meaning = parametersByName.get(name);
    const fields = { parameter: written };
    if (meaning === undefined) log.warn("URL parameter is not known and was ignored", fields);
    else if (meaning === "unneeded") log.debug("URL parameter has no effect", fields);
    else if (typeof meaning === "function") meaning(draft, value, written);
    else if (value !== "false") log.warn(`URL parameter ${meaning.warning}`, fields);
  }
  return { ...draft.options, ...joined(draft) };
}

function unneeded(...lists: readonly string[]): Readonly<Record<string, Meaning>> {
  const names = lists.flatMap((list) => list.split(","));
  return Object.fromEntries(names.map((name) => [name, "unneeded"]));
}

function joined(draft: Draft): ConnectOptions {
  const { heartbeat } = draft;
  const retry = joinedRetry(draft);
  // Artemis checks every 30 s by default and lets a TTL below that stand; ours must fit the TTL.
  const ttl = heartbeat.ttl;
  const period =
    heartbeat.period ?? (ttl === undefined ? undefined : Math.floor(Math.min(5000, ttl / 2)));
  const beat: HeartbeatOptions = {
    ...(ttl === undefined ? {} : { ttl }),
    ...(period === undefined ? {} : { period }),
  };
  return {
    ...(Object.keys(beat).length === 0 ? {} : { heartbeat: beat }),
    ...(Object.keys(retry).length === 0 ? {} : { reconnect: retry }),
  };
}

function joinedRetry({ retry, failoverAttempts }: Draft): ReconnectOptions {
  const { initialDelay, maxDelay, attempts: count } = retry;
  return {
    ...retry,
    // Each of our rounds goes through all brokers that are known.
    ...(count === undefined ? {} : { attempts: count + (failoverAttempts ?? 0) }),
    ...(maxDelay === undefined ? {} : { maxDelay: Math.max(maxDelay, initialDelay ?? 1) }),
  };
}

function setConnectTimeout(draft: Draft, value: string, name: string): void {
  draft.options.connectTimeout = integer(name, value);
}

/** −1: without a limit, which here is 0. */
function setFailoverTimeout(draft: Draft, value: string, name: string): void {
  draft.options.failoverTimeout = Math.max(0, integer(name, value));
}

/** −1, in OpenWire 0: nobody is given up for being silent. */
function setTtl(draft: Draft, value: string, name: string): void {
  const ttl = integer(name, value);
  draft.heartbeat.ttl = ttl <= 0 ? Infinity : ttl;
}

/** −1: as above. Pings go on, since the broker wants them. */
function setCheckPeriod(draft: Draft, value: string, name: string): void {
  const period = integer(name, value);
  if (period < 0) draft.heartbeat.ttl = Infinity;
  else draft.heartbeat.period = period;
}

function setMultiplier(draft: Draft, value: string, name: string): void {
  const multiplier = /^\d{1,3}(?:\.\d{1,9})?$/.test(value) ? Number(value) : 0;
  if (multiplier < 1 || multiplier > 100) throw valueError(name, value, "a number, 1 to 100");
  draft.retry.multiplier = multiplier;
}

/** A broker that wants it so can't be reached otherwise. */
function refuseIfTrue(_draft: Draft, value: string, name: string): void {
  if (boolean(name, value)) throw valueError(name, value, "false, as there is no HTTP here");
}

/** Artemis: 0 is one message for each who waits, −1 no limit. */
function setConsumerWindow(draft: Draft, value: string, name: string): void {
  const bytes = integer(name, value);
  draft.options.prefetch = bytes === 0 ? 0 : { bytes };
}

/** Artemis: sends that are not durable do not block by default, so this means all of them. */
function setBlockOnDurableSend(draft: Draft, value: string, name: string): void {
  if (!boolean(name, value)) draft.options.asyncSend = "always";
}

function setBlockOnNonDurableSend(draft: Draft, value: string, name: string): void {
  if (!boolean(name, value)) draft.options.asyncSend ??= "nonDurable";
}

/** Artemis: −1 is without end. */
function attempts(name: string, value: string): number {
  const count = integer(name, value);
  return count === -1 ? Infinity : count;
}

function boolean(name: string, value: string): boolean {
  if (value === "true" || value === "false") return value === "true";
  throw valueError(name, value, "true or false");
}

function integer(name: string, value: string): number {
  if (!/^-?\d{1,15}$/.test(value)) throw valueError(name, value, "a whole number");
  return Number(value);
}

function valueError(name: string, value: string, expected: string): EverholdError {
  return new EverholdError(
    "EVH_URL",
    `Cannot use the URL parameter ${name}: found "${value}", expected ${expected}`,
  );
}
