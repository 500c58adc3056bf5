import { ConnectionError, EverholdError } from "@everhold/base";
import type { Endpoint, Log } from "@everhold/env";
import { limits } from "./limits.ts";
import { applyUrlParameters } from "./url/url-parameters.ts";
import { parseUrl } from "./url/parse-url.ts";
import { asyncSends, type AsyncSend } from "./send/send-decision.ts";
import { withTls, type TlsOptions } from "./tls-options.ts";

/** How to connect. Times are in milliseconds, sizes in bytes. What is said here wins over the URL. */
export interface ConnectOptions {
  /** The user's name, or how to get it; asked again at every attempt to connect. */
  readonly username?: string | (() => string | Promise<string>);
  /**
   * The password or a token, or how to get it; asked again at every attempt to connect. One that throws fails
   * the attempt, and the next one asks again.
   */
  readonly password?: string | (() => string | Promise<string>);
  /**
   * TLS, with the options that Node's own has. `true`, `tls://` and `sslEnabled=true` mean TLS with defaults: the
   * broker's certificate must be signed by somebody that Node trusts, and be for the host of the URL.
   */
  readonly tls?: boolean | TlsOptions;
  /** Unique among live connections; part of the names of durable subscriptions. At most one connection. */
  readonly clientId?: string;
  /** What to do when the connection breaks: default as in {@link ReconnectOptions}, `false` closes. */
  readonly reconnect?: false | ReconnectOptions;
  /** One attempt to connect, session included. Default 10 000. */
  readonly connectTimeout?: number;
  /** One request to the broker. Default 30 000. */
  readonly callTimeout?: number;
  readonly heartbeat?: HeartbeatOptions;
  /** What a consumer may be sent ahead. Default: the bytes that the broker advises for its queue, else 1 MiB. */
  readonly prefetch?: Prefetch;
  /** Bytes that may be sent to one address ahead of the broker's grant. Default 1 MiB, −1 is no limit. */
  readonly producerWindow?: number;
  /**
   * Bytes of sends that the broker has not confirmed. Further sends wait; above 16 times as many bytes
   * they are refused with EVH_OVERLOADED. Default 16 MiB.
   */
  readonly sendBuffer?: number;
  /**
   * Bytes of a body above which a message is sent in parts of as many bytes, and of the parts of large messages
   * that come. Default 102,400, as in Artemis; from 4,096 to 1 MiB.
   */
  readonly minLargeMessageSize?: number;
  /** How long each send may take; it makes sends wait for their answer. Default 0: without a limit. */
  readonly sendTimeout?: number;
  /**
   * Which sends settle as they leave, rather than when the broker has them: `never`, `transacted`
   * (default), `nonDurable` (those in transactions and those that are not durable) or `always`. What the
   * broker refuses of them is told by `error` events; durable ones are sent again after a reconnect as ever.
   */
  readonly asyncSend?: AsyncSend;
  /**
   * Bytes of one producer's asynchronous sends that the broker has not answered. Further sends of it wait;
   * exceeded by less than one message. Default 0: only `sendBuffer` bounds them.
   */
  readonly asyncSendWindow?: number;
  /** Bytes after which received packets are confirmed to the broker; −1 never. Default 1 MiB. */
  readonly confirmationWindow?: number;
  /** Ends the attempt to connect. */
  readonly signal?: AbortSignal;
}

/** When to try again. The first attempt after a break is made at once. */
export interface ReconnectOptions {
  /** Rounds through the URLs after a break. Default without end. */
  readonly attempts?: number;
  /** Rounds through the URLs for the first connection. Default 1, so that a wrong URL shows at once. */
  readonly initialAttempts?: number;
  /** The shortest pause between rounds. Default 100. */
  readonly initialDelay?: number;
  /** The longest pause. Default 10 000. */
  readonly maxDelay?: number;
}

/** How a dead connection is noticed. */
export interface HeartbeatOptions {
  /** Time between pings. Default 5 000. */
  readonly period?: number;
  /** Silence after which either side gives the connection up. Default 10 000; at least `period`. */
  readonly ttl?: number;
}

/**
 * What a consumer may hold: so many messages that are not settled, exactly; or so many bytes waiting to be
 * taken (−1: no limit), and not settled so many `messages` (default 100,000; with −1 no limit either). 0 holds
 * nothing in advance: a message is delivered only to somebody who waits for it, one for each, whatever else is
 * unsettled.
 */
export type Prefetch = number | { readonly bytes: number; readonly messages?: number };

/** Options with every default filled in; internal names carry their unit. */
export interface ResolvedOptions {
  readonly endpoints: readonly Endpoint[];
  readonly username: () => Promise<string | undefined>;
  readonly password: () => Promise<string | undefined>;
  readonly clientId: string | undefined;
  readonly reconnectRounds: number;
  readonly initialRounds: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly connectTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly heartbeatPeriodMs: number;
  readonly heartbeatTtlMs: number;
  /** `undefined`: what the broker advises. */
  readonly prefetch: Prefetch | undefined;
  readonly producerWindowBytes: number;
  readonly sendBufferBytes: number;
  readonly minLargeMessageBytes: number;
  /** `Infinity` for no limit. */
  readonly sendTimeoutMs: number;
  readonly asyncSend: AsyncSend;
  readonly asyncSendWindowBytes: number;
  readonly confirmationWindowBytes: number;
}

/** Where a connection goes when no URL is given. */
export const defaultUrl = "tcp://127.0.0.1:61616";

/**
 * Fills in the defaults. Precedence: options, URL parameters, defaults.
 *
 * @throws EverholdError EVH_URL, EVH_CONFIG naming the option, what was found and what is allowed
 */
export function resolveOptions(
  url: string | readonly string[],
  given: ConnectOptions,
  log: Pick<Log, "warn" | "debug">,
): ResolvedOptions {
  const parsed = parseUrl(url);
  const fromUrl = applyUrlParameters(parsed.parameters, log);
  const merged = mergeOptions(fromUrl, given);
  const reconnect = merged.reconnect === false ? { attempts: 0 } : (merged.reconnect ?? {});
  const retry: ReconnectOptions = reconnect;
  const initialDelayMs = between("reconnect.initialDelay", retry.initialDelay ?? 100, 1);
  const heartbeatPeriodMs = between("heartbeat.period", merged.heartbeat?.period ?? 5000, 10);
  return {
    endpoints: withTls({ ...parsed, given: given.tls }, log),
    username: () => credential("username", merged.username),
    password: () => credential("password", merged.password),
    clientId: merged.clientId,
    reconnectRounds: between("reconnect.attempts", retry.attempts ?? Infinity, 0),
    initialRounds: between("reconnect.initialAttempts", retry.initialAttempts ?? 1, 1),
    initialDelayMs,
    maxDelayMs: between("reconnect.maxDelay", retry.maxDelay ?? 10_000, initialDelayMs),
    connectTimeoutMs: between("connectTimeout", merged.connectTimeout ?? 10_000, 1),
    callTimeoutMs: between("callTimeout", merged.callTimeout ?? 30_000, 1),
    heartbeatPeriodMs,
    heartbeatTtlMs: between("heartbeat.ttl", merged.heartbeat?.ttl ?? 10_000, heartbeatPeriodMs),
    prefetch: merged.prefetch === undefined ? undefined : checkPrefetch(merged.prefetch),
    producerWindowBytes: window("producerWindow", merged.producerWindow ?? 1024 * 1024, 1),
    sendBufferBytes: between("sendBuffer", merged.sendBuffer ?? 16 * 1024 * 1024, 1),
    minLargeMessageBytes: between(
      "minLargeMessageSize",
      merged.minLargeMessageSize ?? 102_400,
      4_096,
      1024 * 1024,
    ),
    sendTimeoutMs: checkSendTimeout(merged.sendTimeout),
    asyncSend: checkAsyncSend(merged.asyncSend ?? "transacted"),
    asyncSendWindowBytes: checkAsyncSendWindow(merged.asyncSendWindow ?? 0),
    confirmationWindowBytes: window(
      "confirmationWindow",
      merged.confirmationWindow ?? 1024 * 1024,
      0,
    ),
  };
}

/** @throws ConnectionError EVH_NOT_CONNECTED when the application could not tell */
async function credential(
  name: string,
  value: string | (() => string | Promise<string>) | undefined,
): Promise<string | undefined> {
  if (typeof value !== "function") return value;
  try {
    return await value();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConnectionError(
      "EVH_NOT_CONNECTED",
      `Cannot log in: the option ${name} failed: ${reason}`,
      { cause },
    );
  }
}

/** @throws EverholdError EVH_CONFIG */
export function checkPrefetch(prefetch: Prefetch): Prefetch {
  if (typeof prefetch === "number") between("prefetch", prefetch, 0);
  else {
    window("prefetch.bytes", prefetch.bytes, 0);
    if (prefetch.messages !== undefined) between("prefetch.messages", prefetch.messages, 1);
  }
  return prefetch;
}

/** @throws EverholdError EVH_CONFIG */
export function checkStreamAbove(bytes: number): number {
  return between("streamAbove", bytes, 0, limits.largeMessageBytesMax);
}

/** Milliseconds, `Infinity` for no limit. @throws EverholdError EVH_CONFIG */
export function checkSendTimeout(timeout: number | undefined): number {
  if (timeout === undefined || timeout === 0) return Infinity;
  return between("sendTimeout", timeout, 0);
}

/** @throws EverholdError EVH_CONFIG */
export function checkAsyncSend(value: AsyncSend): AsyncSend {
  if (asyncSends.includes(value)) return value;
  throw new EverholdError(
    "EVH_CONFIG",
    `Cannot use the option asyncSend: found "${value}", expected ${asyncSends.join(", ")}`,
  );
}

/** @throws EverholdError EVH_CONFIG */
export function checkAsyncSendWindow(bytes: number): number {
  return between("asyncSendWindow", bytes, 0, 0x7fff_ffff);
}

function mergeOptions(fromUrl: ConnectOptions, given: ConnectOptions): ConnectOptions {
  const merged = { ...fromUrl, ...withoutUndefined(given) };
  const heartbeat = { ...fromUrl.heartbeat, ...given.heartbeat };
  if (given.reconnect === false || (given.reconnect === undefined && fromUrl.reconnect === false)) {
    return { ...merged, heartbeat, reconnect: false };
  }
  const base = fromUrl.reconnect === false ? {} : fromUrl.reconnect;
  return { ...merged, heartbeat, reconnect: { ...base, ...given.reconnect } };
}

/** `{ ...defaults, x: undefined }` would hide the default of x. */
function withoutUndefined(options: ConnectOptions): ConnectOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function window(name: string, value: number, min: number): number {
  return value === -1 ? -1 : between(name, value, min, 0x7fff_ffff);
}

function between(name: string, value: number, min: number, max: number = Infinity): number {
  if (!(value >= min) || value > max || (!Number.isInteger(value) && value !== Infinity)) {
    throw new EverholdError(
      "EVH_CONFIG",
      `Cannot use the option ${name}: found ${String(value)}, expected ` +
        (max === Infinity
          ? `a whole number of at least ${min}`
          : `a whole number, ${min} to ${max}`),
    );
  }
  return value;
}
