import type { Connector } from "@everhold/broker";
import type { Endpoint } from "@everhold/env";

/** The forms of an acceptor's URL, for messages to people. */
export const acceptorUrlForms =
  "a URL such as tcp://127.0.0.1:61616 or tls://127.0.0.1:61617 (port 0: the system chooses)";

/** What an acceptor's URL says. */
export interface AcceptorPlace {
  readonly host: string;
  readonly port: number;
  /** Whether the scheme is one of TLS. */
  readonly asksForTls: boolean;
}

/** Where `tcp://host:port` or `tls://host:port` says to listen; `undefined` when it is no such URL. */
export function parseAcceptorUrl(text: string): AcceptorPlace | undefined {
  const match = /^(tcp|tls|ssl):\/\/(?:\[([0-9A-Fa-f:.]+)\]|([^[\]:/?#@\s]+)):(\d{1,5})\/?$/.exec(
    text,
  );
  const host = match?.[2] ?? match?.[3];
  const port = Number(match?.[4]);
  if (host === undefined || !(port <= 65_535)) return undefined;
  return { host, port, asksForTls: match?.[1] !== "tcp" };
}

/** The forms of a connector's URL, for messages to people. */
export const connectorUrlForms =
  "a URL at which clients reach this broker, such as tcp://broker-1.example:61616 or tls://broker-1.example:61617";

/** How clients are to reach a broker, by a URL as above; `undefined` when none could. */
export function parseConnectorUrl(text: string): Connector | undefined {
  const place = parseAcceptorUrl(text);
  if (place === undefined || place.port === 0) return undefined;
  const { host, port, asksForTls } = place;
  if (isWildcardHost(host)) return undefined;
  return { host, port, tls: asksForTls };
}

/** The forms of the monitor's URL, for messages to people. */
export const monitorUrlForms = "a URL such as http://127.0.0.1:8161 (port 0: the system chooses)";

/** Where `http://host:port` says to listen; `undefined` when it is no such URL. */
export function parseMonitorUrl(text: string): Endpoint | undefined {
  const place = text.startsWith("http://")
    ? parseAcceptorUrl(text.replace("http", "tcp"))
    : undefined;
  return place === undefined ? undefined : { host: place.host, port: place.port };
}

/** The URL for an endpoint, with brackets around an IPv6 address. */
export function formatAcceptorUrl(endpoint: Endpoint): string {
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  return `${endpoint.tls === undefined ? "tcp" : "tls"}://${host}:${endpoint.port}`;
}

/** Whether `host`, without brackets, says to listen at every address, such as `0.0.0.0`: nobody can be reached there. */
export function isWildcardHost(host: string): boolean {
  return (
    /^0+(?:\.0+){0,3}$/.test(host) || /^(?=.*:)(?=.*0|::$)[0:]+(?::0+(?:\.0+){3})?$/.test(host)
  );
}

/** Whether only programs on this machine can reach what listens on `host`. */
export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
