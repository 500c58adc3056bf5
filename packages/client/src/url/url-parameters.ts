import { EverholdError } from "@everhold/base";
import type { Log } from "@everhold/env";
import type { ConnectOptions, HeartbeatOptions, ReconnectOptions } from "../options.ts";
import { isTlsParameter } from "./tls-parameters.ts";

/** Options that a URL can set, before they are put together. */
interface Draft {
  options: { -readonly [K in keyof ConnectOptions]: ConnectOptions[K] };
  heartbeat: { -readonly [K in keyof HeartbeatOptions]: HeartbeatOptions[K] };
  retry: { -readonly [K in keyof ReconnectOptions]: ReconnectOptions[K] };
}

type Setter = (draft: Draft, value: string, name: string) => void;

/**
 * What each parameter of an Artemis URL means here. `undefined`: known, and without an effect, because
 * this client always, or never, does what it asks for.
 * Source: Artemis, `ActiveMQConnectionFactory` and `TransportConstants`.
 */
const setters = new Map<string, Setter | undefined>([
  ["user", (draft, value) => void (draft.options.username = value)],
  ["username", (draft, value) => void (draft.options.username = value)],
  ["password", (draft, value) => void (draft.options.password = value)],
  ["clientID", (draft, value) => void (draft.options.clientId = value)],
  [
    "minLargeMessageSize",
    (draft, value, name) => void (draft.options.minLargeMessageSize = integer(name, value)),
  ],
  ["callTimeout", (draft, value, name) => void (draft.options.callTimeout = integer(name, value))],
  ["connectTimeout", setConnectTimeout],
  ["connect-timeout-millis", setConnectTimeout],
  ["connectionTTL", (draft, value, name) => void (draft.heartbeat.ttl = integer(name, value))],
  ["connectionTtl", (draft, value, name) => void (draft.heartbeat.ttl = integer(name, value))],
  [
    "clientFailureCheckPeriod",
    (draft, value, name) => void (draft.heartbeat.period = integer(name, value)),
  ],
  [
    "reconnectAttempts",
    (draft, value, name) => void (draft.retry.attempts = attempts(name, value)),
  ],
  [
    "initialConnectAttempts",
    (draft, value, name) => void (draft.retry.initialAttempts = attempts(name, value)),
  ],
  ["retryInterval", (draft, value, name) => void (draft.retry.initialDelay = integer(name, value))],
  ["maxRetryInterval", (draft, value, name) => void (draft.retry.maxDelay = integer(name, value))],
  ["consumerWindowSize", setConsumerWindow],
  [
    "producerWindowSize",
    (draft, value, name) => void (draft.options.producerWindow = integer(name, value)),
  ],
  [
    "confirmationWindowSize",
    (draft, value, name) => void (draft.options.confirmationWindow = integer(name, value)),
  ],
  ["blockOnDurableSend", setBlockOnDurableSend],
  ["blockOnNonDurableSend", setBlockOnNonDurableSend],
  ["ha", undefined],
  ["failoverAttempts", undefined],
  ["retryIntervalMultiplier", undefined],
  ["callFailoverTimeout", undefined],
  ["compressLargeMessage", undefined],
  ["blockOnAcknowledge", undefined],
  ["ackBatchSize", undefined],
  ["autoGroup", undefined],
  ["cacheLargeMessagesClient", undefined],
  ["preAcknowledge", undefined],
  ["useGlobalPools", undefined],
  ["useTopologyForLoadBalancing", undefined],
  ["failoverOnInitialConnection", undefined],
  ["tcpNoDelay", undefined],
  ["protocols", undefined],
  ["type", undefined],
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
  for (const [name, value] of parameters) {
    if (isTlsParameter(name)) continue;
    const setter = setters.get(name);
    if (setter !== undefined) setter(draft, value, name);
    else if (setters.has(name)) log.debug("URL parameter has no effect", { parameter: name });
    else log.warn("URL parameter is not known and was ignored", { parameter: name });
  }
  return { ...draft.options, ...joined(draft) };
}

function joined({ heartbeat, retry }: Draft): ConnectOptions {
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

function setConnectTimeout(draft: Draft, value: string, name: string): void {
  draft.options.connectTimeout = integer(name, value);
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
  throw new EverholdError(
    "EVH_URL",
    `Cannot use the URL parameter ${name}: found "${value}", expected true or false`,
  );
}

function integer(name: string, value: string): number {
  if (!/^-?\d{1,15}$/.test(value)) {
    throw new EverholdError(
      "EVH_URL",
      `Cannot use the URL parameter ${name}: found "${value}", expected a whole number`,
    );
  }
  return Number(value);
}
