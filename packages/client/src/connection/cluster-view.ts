import type { Endpoint } from "@everhold/env";
import type { Connector, TopologyUpdate } from "../core/topology.ts";
import { limits } from "../limits.ts";
import { defaultPort } from "../url/parse-url.ts";
import { isLoopback, isSameEndpoint } from "./endpoint-order.ts";

/** A node that brokers told of: one broker, or a primary and its backup, of which one serves. */
export interface ClusterMember {
  readonly nodeId: string;
  readonly primary: Endpoint | undefined;
  readonly backup: Endpoint | undefined;
}

interface KnownMember extends ClusterMember {
  readonly eventId: number;
  /** Where its halves were said to be before, the latest first. */
  readonly former: readonly Endpoint[];
}

/** Hosts that say where a broker listens, and nothing of how to reach it. */
const wildcardHosts: ReadonlySet<string> = new Set(["0.0.0.0", "::", "[::]", ""]);

/**
 * What brokers said of their cluster, over all connections. Of two things said of a node the later event counts.
 * Source: Artemis, `Topology`.
 */
export class ClusterView {
  readonly #members = new Map<string, KnownMember>();
  /** Nodes that went, and when; of these only the latest are kept. */
  readonly #gone = new Map<string, number>();
  /** Nodes that the current connection told of. */
  readonly #told = new Set<string>();

  /** The nodes, in the order in which they became known. */
  get members(): readonly ClusterMember[] {
    return [...this.#members.values()];
  }

  /** Another connection begins, on which everything is told anew. */
  beginConnection(): void {
    this.#told.clear();
  }

  /** Takes in what the broker at `teller` said; true when it changes anything. */
  update(update: TopologyUpdate, teller: Endpoint): boolean {
    const { nodeId } = update;
    const known = this.#members.get(nodeId);
    const eventId = update.eventId ?? Math.max(known?.eventId ?? 0, this.#gone.get(nodeId) ?? 0);
    if (update.exit) {
      this.#told.delete(nodeId);
      return (known === undefined || eventId >= known.eventId) && this.#remove(nodeId, eventId);
    }
    this.#told.add(nodeId);
    if (eventId < (this.#gone.get(nodeId) ?? 0)) return false;
    if (known === undefined && this.#members.size >= limits.clusterMemberCountMax) return false;
    const primary = connectorEndpoint(update.primary, teller);
    const backup = connectorEndpoint(update.backup, teller);
    const isNews = known === undefined || known.primary === undefined || eventId > known.eventId;
    const knownPrimary = isNews ? (primary ?? known?.primary) : known.primary;
    // A node whose backup is away for a moment still has one, as far as anybody knows.
    const standby = isNews ? (backup ?? known?.backup) : (known.backup ?? backup);
    // Unless that is what took over.
    const knownBackup = isSameMaybe(standby, knownPrimary) ? undefined : standby;
    const next: KnownMember = {
      nodeId,
      eventId: Math.max(eventId, known?.eventId ?? 0),
      primary: knownPrimary,
      backup: knownBackup,
      former: formerOf(known, [knownPrimary, knownBackup]),
    };
    this.#gone.delete(nodeId);
    this.#members.set(nodeId, next);
    return (
      known === undefined ||
      !isSameMaybe(known.primary, next.primary) ||
      !isSameMaybe(known.backup, next.backup)
    );
  }

  /** The node of this id. */
  member(nodeId: string): ClusterMember | undefined {
    return this.#members.get(nodeId);
  }

  /** The node that a client is connected to: the one that names this endpoint, or the only one there is. */
  memberAt(endpoint: Endpoint): ClusterMember | undefined {
    for (const member of this.#members.values()) {
      if (!this.#told.has(member.nodeId)) continue;
      const { primary, backup } = member;
      if (primary !== undefined && isSameEndpoint(primary, endpoint)) return member;
      if (backup !== undefined && isSameEndpoint(backup, endpoint)) return member;
    }
    const [only, ...others] = this.#told;
    return only === undefined || others.length > 0 ? undefined : this.#members.get(only);
  }

  /** Where the other half of a node lies whose one half is at `current`. */
  standbyOf(nodeId: string, current: Endpoint): Endpoint | undefined {
    const member = this.#members.get(nodeId);
    const halves = [member?.backup, member?.primary];
    return halves.find((half) => half !== undefined && !isSameEndpoint(half, current));
  }

  /**
   * Where the node was said to be before: a group of more than two tells of two at a time, and of one that has fallen
   * behind not at all, and each may be the one that serves next.
   */
  formerOf(nodeId: string): readonly Endpoint[] {
    return this.#members.get(nodeId)?.former ?? [];
  }

  #remove(nodeId: string, eventId: number): boolean {
    this.#gone.delete(nodeId);
    this.#gone.set(nodeId, eventId);
    for (const oldest of this.#gone.keys()) {
      if (this.#gone.size <= limits.clusterMemberCountMax) break;
      this.#gone.delete(oldest);
    }
    return this.#members.delete(nodeId);
  }
}

/** Where to reach a broker that the one at `teller` names; `undefined` where that says nothing. */
export function connectorEndpoint(
  connector: Connector | null,
  teller: Endpoint,
): Endpoint | undefined {
  if (connector === null) return undefined;
  const named = connector.parameters.get("host")?.value ?? "localhost";
  // What is "localhost" there is not that here, unless we are there as well.
  const host = isLoopback(named) ? teller.host : named;
  const port = Number(connector.parameters.get("port")?.value ?? defaultPort);
  if (typeof host !== "string" || wildcardHosts.has(host)) return undefined;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  const isTls = String(connector.parameters.get("sslEnabled")?.value ?? false) === "true";
  // Who came by TLS is not sent on in plain text, whatever a broker says.
  return { ...(isTls ? { tls: {} } : {}), ...teller, host, port };
}

function formerOf(
  known: KnownMember | undefined,
  present: readonly (Endpoint | undefined)[],
): readonly Endpoint[] {
  if (known === undefined) return [];
  const former: Endpoint[] = [];
  for (const endpoint of [known.primary, known.backup, ...known.former]) {
    if (endpoint === undefined) continue;
    if ([...present, ...former].some((other) => isSameMaybe(other, endpoint))) continue;
    former.push(endpoint);
  }
  return former.slice(0, limits.formerEndpointCountMax);
}

function isSameMaybe(a: Endpoint | undefined, b: Endpoint | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return isSameEndpoint(a, b);
}
