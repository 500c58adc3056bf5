import { EverholdError } from "@everhold/base";
import { checkTlsNames, type ConnectTls, type Endpoint, type Log } from "@everhold/env";
import { optionError } from "./api/request-options.ts";
import { type RetryPolicy, retries } from "./api/retry-policy.ts";
import { connectionLimits } from "./connection/connection-limits.ts";
import type { SaslCredentials } from "./connection/digest-md5.ts";
import type { AuthInfo } from "./connection/server-connection.ts";
import { limits } from "./limits.ts";
import { parseConnectString, type ServerAddress } from "./protocol/connect-string.ts";
import { sessionLimits } from "./session/session-limits.ts";
import type { SessionStore } from "./session/session-store.ts";
import type { SessionSettings } from "./session/session-settings.ts";

/** An identity for `auth`. */
export interface AuthOption {
  /** As `digest`. */
  readonly scheme: string;
  /** What the scheme wants, a text as UTF-8; with `digest` it is `user:password`. */
  readonly auth: string | Uint8Array;
}

/** How to connect. Times are in ms. */
export interface ZooKeeperOptions {
  /**
   * How long the servers keep the session when they do not hear of it; they grant what is within their bounds, by
   * default 2 to 20 of their ticks. More than (syncLimit + 2) ticks makes a server that is cut off from the others give
   * up before the session ends; one that is shorter than the servers allow is raised, with a warning. Default 18,000.
   */
  readonly sessionTimeout?: number;
  /** How long the first connection may take, without the loading of `sessionStore`. Later ones are looked for without end. Default 15,000. */
  readonly connectTimeout?: number;
  /** For each call that says no `timeout`, all its attempts together. Default: `sessionTimeout`. */
  readonly requestTimeout?: number;
  /** When calls are tried again that may be; `false` for never. Default: `retries.exponential()`. */
  readonly retry?: RetryPolicy | false;
  /** Who the client is, for access lists; sent on every connection. */
  readonly auth?: AuthOption | readonly AuthOption[];
  /** Logs in by SASL with DIGEST-MD5, and refuses servers that do not prove that they know the password too. */
  readonly sasl?: SaslCredentials;
  /** TLS, with `true` as Node does it by default; names as in Node's `tls`. With a certificate, that is who the client is. */
  readonly tls?: boolean | ConnectTls;
  /** Bytes of one request: no more than the servers' `jute.maxbuffer`. Default 1,048,575. */
  readonly maxRequestBytes?: number;
  /** Bytes of one answer; more end the connection. Default 64 MiB. */
  readonly maxReplyBytes?: number;
  /**
   * What to do when the servers' data is older than what this client has seen, as after a restore from a backup: `wait`
   * for servers that know it, or `continue` in a new session. Default `wait`; the event `ensembleRolledBack` tells of it.
   * It is noticed only while all servers stay behind.
   */
  readonly onRolledBack?: "wait" | "continue";
  /**
   * Whether to follow the ensemble as it is changed (`reconfig`): to read and watch the configuration that it keeps of
   * itself, and go to the servers it names. Only for clients that reach the servers at the addresses written there,
   * which those behind address translation do not; servers without one, or with one such as 0.0.0.0, are left out with
   * a warning. Not with `tls`, because its ports are not written there. Default false.
   */
  readonly trackEnsemble?: boolean;
  /**
   * Keeps the session beyond the process: what a process before left, as one that was killed, is ended before the first
   * session begins, and its ephemeral nodes and locks with it. Where no server can end it, it expires by itself. Default:
   * nowhere.
   */
  readonly sessionStore?: SessionStore;
  /** Ends the connecting with EVH_ABORTED; after that it does nothing. */
  readonly signal?: AbortSignal;
}

/** Options checked and filled in. */
export interface ResolvedOptions {
  /** Without the servers, which may be known later. */
  readonly settings: Omit<SessionSettings, "servers">;
  /** What is to be wrapped around each connection. */
  readonly wrapping: Pick<Endpoint, "tls">;
  readonly requestTimeout: number;
  readonly retry: RetryPolicy | false;
  readonly trackEnsemble: boolean;
  readonly sessionStore: SessionStore | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Checks what the caller gave. @throws EverholdError EVH_CONFIG naming the option */
export function resolveOptions(options: ZooKeeperOptions): ResolvedOptions {
  const { tls, sasl, onRolledBack = "wait", retry = retries.exponential() } = options;
  const sessionTimeoutMs = int32("sessionTimeout", options.sessionTimeout ?? 18_000);
  if (onRolledBack !== "wait" && onRolledBack !== "continue") {
    throw invalid("onRolledBack", onRolledBack, '"wait" or "continue"');
  }
  if (retry !== false && typeof retry !== "function") {
    throw invalid("retry", retry, "a policy, as retries.exponential(), or false");
  }
  checkSasl(sasl);
  return {
    settings: {
      sessionTimeoutMs,
      requestBytesMax: int32(
        "maxRequestBytes",
        options.maxRequestBytes ?? connectionLimits.requestBytesMax,
      ),
      replyBytesMax: int32(
        "maxReplyBytes",
        options.maxReplyBytes ?? connectionLimits.replyBytesMax,
      ),
      auths: readAuths([options.auth ?? []].flat()),
      sasl,
      onRolledBack,
    },
    wrapping: tls === undefined || tls === false ? {} : { tls: readTls(tls) },
    requestTimeout: duration("requestTimeout", options.requestTimeout ?? sessionTimeoutMs),
    retry,
    trackEnsemble: trackEnsemble(options),
    sessionStore: checkedStore(options.sessionStore),
    signal: options.signal,
  };
}

const optionNames: Readonly<Record<keyof ZooKeeperOptions, true>> = {
  sessionTimeout: true,
  connectTimeout: true,
  requestTimeout: true,
  retry: true,
  auth: true,
  sasl: true,
  tls: true,
  maxRequestBytes: true,
  maxReplyBytes: true,
  onRolledBack: true,
  trackEnsemble: true,
  sessionStore: true,
  signal: true,
};

/** Warns of options that nobody knows: a program without types should learn why one has no effect. */
export function nameUnknownOptions(options: ZooKeeperOptions, log: Pick<Log, "warn">): void {
  for (const option of Object.keys(options)) {
    if (Object.hasOwn(optionNames, option)) continue;
    log.warn("Option is not known and was ignored", { option });
  }
}

/** Milliseconds that connecting may take. @throws EverholdError EVH_CONFIG */
export function connectTimeoutOf(options: ZooKeeperOptions): number {
  return duration("connectTimeout", options.connectTimeout ?? 15_000);
}

function trackEnsemble({ trackEnsemble: tracks = false, tls = false }: ZooKeeperOptions): boolean {
  if (typeof tracks !== "boolean") throw invalid("trackEnsemble", tracks, "true or false");
  if (tracks && tls !== false) {
    throw invalid(
      "trackEnsemble",
      true,
      "false with tls: the ensemble writes down no ports for it",
    );
  }
  return tracks;
}

function checkedStore(store: Partial<SessionStore> | undefined): SessionStore | undefined {
  if (store === undefined || isStore(store)) return store;
  throw invalid("sessionStore", store, "an object with load, save and close");
}

function isStore(store: Partial<SessionStore> | null): store is SessionStore {
  const functions: readonly unknown[] = [store?.load, store?.save, store?.close];
  return functions.every((one) => typeof one === "function");
}

/** Checks and reads a connect string, whose path is to be `chroot`. @throws TypeError, EverholdError EVH_URL, EVH_CONFIG */
export function readServers(text: string, chroot: string): readonly ServerAddress[] {
  const read = readConnectString(text);
  if (read.chroot === chroot) return read.servers;
  const expected = chroot === "" ? "none" : chroot;
  throw optionError("update the list of servers", "chroot", read.chroot, expected);
}

/** Checks and reads a connect string. @throws TypeError, EverholdError EVH_URL */
export function readConnectString(text: string): ReturnType<typeof parseConnectString> {
  if (typeof text !== "string") {
    throw new TypeError(
      `Cannot connect to ZooKeeper: found a connect string of type ${typeof text}, expected a string`,
    );
  }
  if (text.length > limits.connectStringCharactersMax) {
    throw new EverholdError(
      "EVH_URL",
      `Cannot read the connect string: it has ${text.length} characters, the limit is ${limits.connectStringCharactersMax}`,
    );
  }
  const parsed = parseConnectString(text);
  if (parsed.servers.length <= limits.serverCountMax) return parsed;
  throw new EverholdError(
    "EVH_URL",
    `Cannot read the connect string: it names ${parsed.servers.length} servers, the limit is ${limits.serverCountMax}`,
  );
}

/** A name that is not known is refused: what it asks for might be missed only by whoever listens in. */
function readTls(tls: true | ConnectTls): ConnectTls {
  if (tls === true) return {};
  if (typeof tls !== "object" || tls === null) {
    throw invalid("tls", tls, "true, false or what Node's tls takes");
  }
  checkTlsNames(tls);
  return tls;
}

/** A program without types may give anything, and what it gives is never shown: it is a secret. */
function checkSasl(sasl: Partial<SaslCredentials> | null | undefined): void {
  if (sasl === undefined) return;
  if (isText(sasl?.username) && isText(sasl?.password)) return;
  const found = sasl === null ? null : "incomplete";
  throw invalid("sasl", found, "a username and a password, both texts");
}

function readAuths(list: readonly AuthOption[]): readonly AuthInfo[] {
  const countMax = sessionLimits.identityCountMax;
  if (list.length > countMax) throw invalid("auth", list.length, `${countMax} identities at most`);
  return list.map(readAuth);
}

function readAuth(given: AuthOption | null): AuthInfo {
  if (typeof given !== "object" || given === null) {
    throw invalid("auth", typeof given, "a scheme and what it wants, as { scheme, auth }");
  }
  const { scheme, auth } = given;
  if (!isText(scheme) || scheme === "") throw invalid("auth", scheme, "a scheme, as digest");
  if (auth instanceof Uint8Array) return { scheme, auth: new Uint8Array(auth) };
  // Never shown: it is a secret.
  if (!isText(auth)) throw invalid("auth", typeof auth, "a string or a Uint8Array");
  return { scheme, auth: new TextEncoder().encode(auth) };
}

function int32(name: string, value: number): number {
  if (Number.isInteger(value) && value > 0 && value <= 0x7fff_ffff) return value;
  throw invalid(name, value, "a whole number from 1 to 2147483647");
}

function duration(name: string, value: number): number {
  // A text, as from the environment, would not be added to a time but put behind its digits.
  if (typeof value === "number" && value > 0) return value;
  throw invalid(name, value, "more than 0 milliseconds");
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function invalid(name: string, found: unknown, expected: string): EverholdError {
  return optionError("connect to ZooKeeper", name, found, expected);
}
