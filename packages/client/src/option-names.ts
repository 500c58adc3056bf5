import { nearestName } from "@everhold/base";
import type { Log } from "@everhold/env";
import type { ConnectOptions, HeartbeatOptions, ReconnectOptions } from "./options.ts";

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
const heartbeatNames: Readonly<Record<keyof HeartbeatOptions, true>> = { period: true, ttl: true };
