import type { Endpoint } from "@everhold/env";

/** The forms of an acceptor's URL, for messages to people. */
export const acceptorUrlForms = "a URL such as tcp://127.0.0.1:61616 (port 0: the system chooses)";

/** Where `tcp://host:port` says to listen; `undefined` when it is no such URL. */
export function parseAcceptorUrl(text: string): Endpoint | undefined {
  const match = /^tcp:\/\/(?:\[([0-9A-Fa-f:.]+)\]|([^[\]:/?#@\s]+)):(\d{1,5})\/?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port <= 65_535)) return undefined;
  return { host, port };
}

/** The URL for an endpoint, with brackets around an IPv6 address. */
export function formatAcceptorUrl(endpoint: Endpoint): string {
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  return `tcp://${host}:${endpoint.port}`;
}

/** Whether only programs on this machine can reach what listens on `host`. */
export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
