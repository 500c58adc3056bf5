import { ConnectionError, EverholdError } from "@everhold/base";
import type { Endpoint, Log } from "@everhold/env";
import { limits } from "./limits.ts";
import { nameUnknownOptions } from "./option-names.ts";
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
  /**
   * Whether the broker's topology is followed beyond its own backup: after all others the further nodes of the
   * cluster are tried. They hold other messages. Default false, as in Artemis; the backup is followed always.
   */
  readonly ha?: boolean;
  /**
   * What becomes of calls and sends that begin while the connection is away: they `wait` for it (default), or are
   * refused at once with EVH_NOT_CONNECTED. What began before waits in any case.
   */
  readonly whileReconnecting?: "wait" | "refuse";
  /**
   * How long calls and sends wait for a connection that broke. Then they are rejected, and new ones refused, until
   * it is back; it is looked for all the same. That holds for every call that waits but `reconnect()`; a loop over a
   * consumer and `run()` go on with the connection. Default 0: without a limit. Artemis: `callFailoverTimeout`.
   */
  readonly failoverTimeout?: number;
  /**
   * Use one socket together with all other connections of this process that ask for it under the same name (`true`
   * is one) with the same URLs, credentials, TLS, client id, and ways to connect. Each is closed by itself; the socket
   * with the last one. Default: a socket of its own, so that nobody waits behind another's traffic.
   */
  readonly shared?: boolean | string;
  /** How many sockets those who share have: a new one goes to the one with the fewest users. Default 1. */
  readonly connections?: number;
  /**
   * One attempt to connect, session included. Default 10 000. After a break only up to the broker's hello: bringing
   * sessions back may take as long as `callTimeout`.
   */
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
  /** The longest pause. Default 2 000, as in Artemis, or `initialDelay` where that is longer. */
  readonly maxDelay?: number;
  /**
   * A pause is random, and up to so many times as long as the last one. Default 3; with 1 all are `initialDelay`.
   */
  readonly multiplier?: number;
  /** Shuffle the URLs once, so that many clients with one list do not all go to its first. Default false. */
  readonly randomize?: boolean;
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
  readonly delayMultiplier: number;
  readonly randomize: boolean;
  readonly ha: boolean;
  readonly whileReconnecting: "wait" | "refuse";
  /** `Infinity` for no limit. */
  readonly failoverTimeoutMs: number;
  /** The name under which a socket is shared; `undefined`: it is not. */
  readonly shared: string | undefined;
  readonly connectionCount: number;
  /** Name and password as they were given, to tell whether two connections are one user's. */
  readonly identity: readonly [ConnectOptions["username"], ConnectOptions["password"]];
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
  nameUnknownOptions(given, log);
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
    maxDelayMs: between(
      "reconnect.maxDelay",
      retry.maxDelay ?? Math.max(2_000, initialDelayMs),
      initialDelayMs,
    ),
    delayMultiplier: checkMultiplier(retry.multiplier ?? 3),
    randomize: flag("reconnect.randomize", retry.randomize),
    ha: flag("ha", merged.ha),
    whileReconnecting: checkWhileReconnecting(merged.whileReconnecting ?? "wait"),
    failoverTimeoutMs: between("failoverTimeout", merged.failoverTimeout ?? 0, 0) || Infinity,
    ...sharing(merged),
    identity: [merged.username, merged.password],
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

/** @throws EverholdError EVH_CONFIG */
function sharing({
  shared,
  connections,
}: ConnectOptions): Pick<ResolvedOptions, "shared" | "connectionCount"> {
  if (typeof shared !== "string" && typeof (shared ?? false) !== "boolean") {
    throw optionError("shared", shared, "true, false, or a name");
  }
  const connectionCount = between("connections", connections ?? 1, 1, limits.slotCountMax);
  if (shared === undefined || shared === false) {
    if (connectionCount === 1) return { shared: undefined, connectionCount };
    throw optionError("connections", connections, "1, unless `shared` is set");
  }
  return { shared: shared === true ? "" : shared, connectionCount };
}

function checkMultiplier(value: number): number {
  if (value >= 1 && value <= 100) return value;
  throw optionError("reconnect.multiplier", value, "a number, 1 to 100");
}

function checkWhileReconnecting(value: "wait" | "refuse"): "wait" | "refuse" {
  if (value === "wait" || value === "refuse") return value;
  throw optionError("whileReconnecting", value, '"wait" or "refuse"');
}

function flag(name: string, value: boolean | undefined): boolean {
  if (value === undefined || typeof value === "boolean") return value ?? false;
  throw optionError(name, value, "true or false");
}

function optionError(name: string, found: unknown, expected: string): EverholdError {
  return new EverholdError(
    "EVH_CONFIG",
    `Cannot use the option ${name}: found ${JSON.stringify(found)}, expected ${expected}`,
  );
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
