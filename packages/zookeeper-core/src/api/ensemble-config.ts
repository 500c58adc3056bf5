import type { ServerAddress } from "../protocol/connect-string.ts";

/** One server of an ensemble, as its configuration has it. */
export interface EnsembleServer {
  /** Its number: the N of `server.N`. */
  readonly id: string;
  /** Where the other servers reach it, and its role, as they are written. */
  readonly peers: string;
  /** Whether it votes; an observer does not. */
  readonly isParticipant: boolean;
  /** Where clients reach it; `undefined` where the configuration does not say. */
  readonly client: ServerAddress | undefined;
}

/** The configuration of an ensemble. */
export interface EnsembleConfig {
  /** The transaction that made it so. */
  readonly version: bigint;
  /** In the order in which they are written. */
  readonly servers: readonly EnsembleServer[];
  /** All of it, as the servers keep it. */
  readonly text: string;
}

/**
 * Reads the data of `/zookeeper/config`. Lines that say neither a server nor the version are left to `text`.
 * Source: ZooKeeper, `QuorumVerifier` and `QuorumPeer.QuorumServer.toString`.
 */
export function parseEnsembleConfig(data: Uint8Array | null): EnsembleConfig {
  const text = data === null ? "" : new TextDecoder().decode(data);
  let version = 0n;
  const servers: EnsembleServer[] = [];
  for (const line of text.split("\n")) {
    const found = /^\s*([\w.]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (found === null) continue;
    const [, name = "", value = ""] = found;
    if (name === "version") version = hexOf(value) ?? version;
    else if (name.startsWith("server.")) servers.push(serverOf(name.slice(7), value));
  }
  return { version, servers, text };
}

function serverOf(id: string, value: string): EnsembleServer {
  const [peers = "", client = ""] = value.split(";");
  return { id, peers, isParticipant: !/:observer\b/.test(peers), client: clientOf(client, peers) };
}

/** `host:port`, or only `port`: then the host is the one that the other servers use. */
function clientOf(text: string, peers: string): ServerAddress | undefined {
  const found = /^(?:(.*):)?(\d{1,5})$/.exec(text.trim());
  if (found === null) return undefined;
  const [, written = "", port] = found;
  const host = written === "" ? (/^(\[[^\]]*\]|[^:|]*)/.exec(peers)?.[1] ?? "") : written;
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

function hexOf(text: string): bigint | undefined {
  return /^[\da-f]{1,16}$/i.test(text) ? BigInt.asIntN(64, BigInt(`0x${text}`)) : undefined;
}
