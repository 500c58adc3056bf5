import { EverholdError } from "@everhold/base";
import { pathProblem } from "./paths.ts";

/** The port of a server whose address says none. */
export const defaultZooKeeperPort = 2181;

/** One server of a connect string. */
export interface ServerAddress {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** What a connect string says. */
export interface ConnectString {
  /** At least one, in the order in which they are written. */
  readonly servers: readonly ServerAddress[];
  /** The path that all paths are below; "" for none. */
  readonly chroot: string;
}

/**
 * Reads `host:port,host,[ipv6]:port/chroot`; a port that is left out is {@link defaultZooKeeperPort}, and "/" alone is
 * no chroot. Source: ZooKeeper, `ConnectStringParser`.
 * @throws EverholdError EVH_URL
 */
export function parseConnectString(connectString: string): ConnectString {
  if (/^[a-z][\w+.-]*:\/\//i.test(connectString)) {
    refuse(
      connectString,
      "it has no scheme; it begins with the first server, as in host:2181/path",
    );
  }
  const slash = connectString.indexOf("/");
  const list = slash < 0 ? connectString : connectString.slice(0, slash);
  const path = slash < 0 ? "/" : connectString.slice(slash);
  const problem = pathProblem(path);
  if (problem !== undefined) refuse(connectString, `the chroot "${path}" ${problem}`);
  const servers = list.split(",").map((one) => {
    const server = parseServer(one.trim());
    return typeof server === "string" ? refuse(connectString, server) : server;
  });
  return { servers, chroot: path === "/" ? "" : path };
}

/** A server as a connect string writes it. */
export function formatServer(server: ServerAddress): string {
  const host = server.host.includes(":") ? `[${server.host}]` : server.host;
  return `${host}:${server.port}`;
}

/** The server that `text` names, or what is wrong with it. */
function parseServer(text: string): ServerAddress | string {
  if (text === "") return "found an empty server, expected host:port";
  const bracketed = /^\[([^[\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) {
    const [, host = "", port] = bracketed;
    if (!/^[\da-fA-F:.]*:[\da-fA-F:.]*(?:%[\w.-]+)?$/.test(host)) {
      return `found "${text}", expected an IPv6 address between the brackets`;
    }
    return withPort(text, host, port);
  }
  const parts = text.split(":");
  if (parts.length > 2) {
    return `found "${text}", expected host:port, or an IPv6 address in brackets as in [::1]:2181`;
  }
  const [host = "", port] = parts;
  if (host === "") return `found "${text}", expected a host before the colon`;
  if (/[\s[\]@?#\\]/.test(host)) return `found the host "${host}", expected a name or an address`;
  return withPort(text, host, port);
}

function withPort(text: string, host: string, port: string | undefined): ServerAddress | string {
  if (port === undefined) return { host, port: defaultZooKeeperPort };
  const value = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (value < 1 || value > 65_535)
    return `found the port "${port}" in "${text}", expected 1 to 65535`;
  return { host, port: value };
}

function refuse(connectString: string, problem: string): never {
  throw new EverholdError(
    "EVH_URL",
    `Cannot read the connect string "${connectString}": ${problem}`,
  );
}
