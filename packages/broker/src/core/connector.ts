import { EverholdError } from "@everhold/base";

/** How clients reach a broker, as they are told. */
export interface Connector {
  /** A name or an address that clients can resolve and reach: not where the broker listens, such as 0.0.0.0. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
  /** Whether clients are to speak TLS there. Default false. */
  readonly tls?: boolean;
}

/** Hosts that say where a broker listens, and nothing of how to reach it. */
const wildcardHosts: readonly string[] = ["0.0.0.0", "::"];

/** A name or an IPv4 address; or an IPv6 address, without brackets. */
const hostForm = /^(?:[^\s:/@[\]?#]{1,255}|[\da-f]{0,4}:[\da-f:.]{0,38}:[\da-f.]{0,15})$/i;

/** @throws EverholdError EVH_CONFIG naming what was found and what is allowed */
export function checkConnector({ host, port }: Connector): void {
  if (!hostForm.test(host) || wildcardHosts.includes(host)) {
    throw new EverholdError(
      "EVH_CONFIG",
      `connector.host is ${JSON.stringify(host)}, expected a name or an address at which clients reach this broker`,
    );
  }
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return;
  throw new EverholdError(
    "EVH_CONFIG",
    `connector.port is ${port}, expected a whole number from 1 to 65535`,
  );
}
