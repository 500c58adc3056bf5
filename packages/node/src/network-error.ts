import { ConnectionError, EverholdError } from "@everhold/base";
import type { Endpoint } from "@everhold/env";
import { reasonOf, systemCodeOf } from "./system-error.ts";
import { tlsFailureOf } from "./tls/tls-error.ts";

/** The error for an attempt to connect that failed. Nothing was sent, so its outcome is `"none"`. */
export function connectError(endpoint: Endpoint, cause: unknown): ConnectionError {
  const attempted = `cannot connect to ${endpointText(endpoint)}`;
  if (EverholdError.is(cause)) {
    return new ConnectionError(cause.code, `${attempted}: ${cause.message}`, { cause });
  }
  const tlsFailure = tlsFailureOf(cause);
  if (tlsFailure !== undefined) {
    return new ConnectionError(tlsFailure.code, `${attempted}: ${tlsFailure.reason}`, { cause });
  }
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: "nothing listens there",
    ENOTFOUND: "no machine has this name",
    EAI_AGAIN: "the name could not be looked up for the moment",
    EHOSTUNREACH: "there is no way to that machine",
    ENETUNREACH: "there is no way to that network",
    ETIMEDOUT: "there was no answer",
  };
  const code = systemCodeOf(cause) ?? "";
  const isCutOff = code === "ECONNRESET" && endpoint.tls !== undefined;
  const reason = isCutOff
    ? "the connection ended during the TLS handshake; perhaps what listens there does not speak TLS"
    : reasons[code];
  return new ConnectionError(
    "EVH_NOT_CONNECTED",
    `${attempted}: ${reason === undefined ? reasonOf(cause) : `${reason} (${code})`}`,
    { cause },
  );
}

/** Whether every address that was tried answered that nothing listens there. */
export function isConnectionRefused(cause: unknown): boolean {
  if (cause instanceof AggregateError) return cause.errors.every(isConnectionRefused);
  return systemCodeOf(cause) === "ECONNREFUSED";
}

/** The error for a connection that broke. What was under way on it may have taken effect. */
export function brokenError(peer: string, cause: unknown): ConnectionError {
  const tlsFailure = tlsFailureOf(cause);
  // With TLS 1.3 a server says what it thinks of a client's certificate when the client takes itself for connected.
  const isRefusal = tlsFailure?.code === "EVH_CLIENT_CERTIFICATE";
  return new ConnectionError(
    isRefusal ? tlsFailure.code : "EVH_DISCONNECTED",
    `the connection to ${peer} broke: ${tlsFailure?.reason ?? reasonOf(cause)}`,
    { cause, outcome: isRefusal ? "none" : "unknown" },
  );
}

/** The error for an endpoint on which one cannot listen, with the cure where there is a known one. */
export function listenError(endpoint: Endpoint, cause: unknown): EverholdError {
  const attempted = `cannot listen on ${endpointText(endpoint)}`;
  if (EverholdError.is(cause)) {
    return new EverholdError(cause.code, `${attempted}: ${cause.message}`, { cause });
  }
  switch (systemCodeOf(cause)) {
    case "EADDRINUSE":
      return new EverholdError(
        "EVH_PORT_IN_USE",
        `${attempted}: another program listens on this port; stop it, or choose another port`,
        { cause },
      );
    case "EACCES":
      return new EverholdError(
        "EVH_CONFIG",
        `${attempted}: permission denied; choose a port above 1023`,
        { cause },
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new EverholdError(
        "EVH_CONFIG",
        `${attempted}: this machine has no such address; use one of its own, or 127.0.0.1`,
        { cause },
      );
    default:
      return new EverholdError("EVH_CONFIG", `${attempted}: ${reasonOf(cause)}`, { cause });
  }
}

/** `host:port`, with brackets around an IPv6 address. */
export function endpointText(endpoint: Endpoint): string {
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  return `${host}:${endpoint.port}`;
}
