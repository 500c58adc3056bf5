import { ConnectionError, EverholdError } from "@everhold/base";
import type { Endpoint } from "@everhold/env";
import { reasonOf, systemCodeOf } from "./system-error.ts";

/** The error for an attempt to connect that failed. Nothing was sent, so its outcome is `"none"`. */
export function connectError(endpoint: Endpoint, cause: unknown): ConnectionError {
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: "nothing listens there",
    ENOTFOUND: "no machine has this name",
    EAI_AGAIN: "the name could not be looked up for the moment",
    EHOSTUNREACH: "there is no way to that machine",
    ENETUNREACH: "there is no way to that network",
    ETIMEDOUT: "there was no answer",
  };
  const code = systemCodeOf(cause) ?? "";
  const reason = reasons[code];
  return new ConnectionError(
    "EVH_NOT_CONNECTED",
    `cannot connect to ${endpointText(endpoint)}: ${reason === undefined ? reasonOf(cause) : `${reason} (${code})`}`,
    { cause },
  );
}

/** The error for a connection that broke. What was under way on it may have taken effect. */
export function brokenError(peer: string, cause: unknown): ConnectionError {
  return new ConnectionError(
    "EVH_DISCONNECTED",
    `the connection to ${peer} broke: ${reasonOf(cause)}`,
    { cause, outcome: "unknown" },
  );
}

/** The error for an endpoint on which one cannot listen, with the cure where there is a known one. */
export function listenError(endpoint: Endpoint, cause: unknown): EverholdError {
  const attempted = `cannot listen on ${endpointText(endpoint)}`;
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
