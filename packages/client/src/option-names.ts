import { EverholdError, nearestName } from "@everhold/base";
import type { Log } from "@everhold/env";
import type { ConnectOptions, HeartbeatOptions, ReconnectOptions } from "./options.ts";
import type { TlsOptions } from "./tls-options.ts";

/** Warns of options that nobody knows: a program without types may well say `user`, and should learn why it is nobody. */
export function nameUnknownOptions(given: ConnectOptions, log: Pick<Log, "warn">): void {
  const { reconnect, heartbeat } = given;
  const groups = [
    { prefix: "", names: optionNames, found: given },
    { prefix: "reconnect.", names: reconnectNames, found: reconnect === false ? {} : reconnect },
    { prefix: "heartbeat.", names: heartbeatNames, found: heartbeat },
  ];
  for (const { prefix, names, found } of groups) {
    for (const name of Object.keys(found ?? {})) {
      if (Object.hasOwn(names, name)) continue;
      const nearest = nearestName(name, Object.keys(names));
      log.warn("Option is not known and was ignored", {
        option: `${prefix}${name}`,
        ...(nearest === undefined ? {} : { nearest: `${prefix}${nearest}` }),
      });
    }
  }
}

/**
 * Refuses names that nobody knows: without what they ask for, TLS would silently be less safe, or fail for a
 * reason that is hard to see.
 *
 * @throws EverholdError EVH_CONFIG naming the option, and the one that it is most like
 */
export function checkTlsNames(tls: TlsOptions): void {
  checkNames("tls.", tls, tlsNames);
  for (const [name, value] of Object.entries(tls)) {
    const materials: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const material of materials) {
      if (typeof material !== "object" || material === null) continue;
      if (material instanceof Uint8Array) continue;
      checkNames(`tls.${name}.`, material, materialNames);
    }
  }
}

function checkNames(prefix: string, found: object, names: Readonly<Record<string, true>>): void {
  const known = Object.keys(names);
  for (const name of Object.keys(found)) {
    if (Object.hasOwn(names, name)) continue;
    const nearest = nearestName(name, known);
    throw new EverholdError(
      "EVH_CONFIG",
      `Cannot use the option ${prefix}${name}: found no option of that name, expected ` +
        (nearest === undefined ? `one of ${known.join(", ")}` : `perhaps ${prefix}${nearest}`),
    );
  }
}

const optionNames: Readonly<Record<keyof ConnectOptions, true>> = {
  username: true,
  password: true,
  tls: true,
  clientId: true,
  reconnect: true,
  ha: true,
  whileReconnecting: true,
  failoverTimeout: true,
  shared: true,
  connections: true,
  connectTimeout: true,
  callTimeout: true,
  heartbeat: true,
  prefetch: true,
  producerWindow: true,
  sendBuffer: true,
  minLargeMessageSize: true,
  sendTimeout: true,
  asyncSend: true,
  asyncSendWindow: true,
  confirmationWindow: true,
  signal: true,
};
const reconnectNames: Readonly<Record<keyof ReconnectOptions, true>> = {
  attempts: true,
  initialAttempts: true,
  initialDelay: true,
  maxDelay: true,
  multiplier: true,
  randomize: true,
};
const tlsNames: Readonly<Record<keyof TlsOptions, true>> = {
  ca: true,
  cert: true,
  key: true,
  pfx: true,
  passphrase: true,
  minVersion: true,
  maxVersion: true,
  ciphers: true,
  rejectUnauthorized: true,
  servername: true,
  checkServerIdentity: true,
};
const materialNames = { file: true, passphrase: true } as const;
const heartbeatNames: Readonly<Record<keyof HeartbeatOptions, true>> = { period: true, ttl: true };
