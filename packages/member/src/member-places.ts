import type { Connector } from "@everhold/broker";
import type { Endpoint } from "@everhold/env";
import type { MemberAddress } from "@everhold/group";
import type { MemberPlace } from "@everhold/replica";

/** Where the members of a group can be reached, by other members and by clients. */
export class MemberPlaces {
  /** Where members are or were: that nobody listens there any more is worth knowing, too. */
  readonly #places = new Map<string, MemberPlace>();
  readonly #connectors = new Map<string, Connector>();
  #registered: readonly MemberAddress[] = [];

  /** The members that are registered now. */
  get registered(): readonly MemberAddress[] {
    return this.#registered;
  }

  /** Every member that was ever seen with a place. */
  get ids(): readonly string[] {
    return [...this.#places.keys()];
  }

  /** These are registered now. */
  learn(members: readonly MemberAddress[]): void {
    this.#registered = members;
    this.#connectors.clear();
    for (const { replica, replication, clients } of members) {
      const place = placeOf(replication);
      if (place !== undefined) this.#places.set(replica.id, place);
      const connector = placeOf(clients);
      if (connector !== undefined) this.#connectors.set(replica.id, connector);
    }
  }

  /** Where a member listens for others, or did. */
  placeOf(id: string): MemberPlace | undefined {
    return this.#places.get(id);
  }

  /** Where clients reach a member that is registered. */
  connectorOf(id: string): Connector | null {
    return this.#connectors.get(id) ?? null;
  }
}

/** `host:port`, with brackets around an IPv6 address; empty for no place. */
export function placeText(endpoint: Endpoint | undefined): string {
  if (endpoint === undefined) return "";
  const { host, port } = endpoint;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function placeOf(text: string): MemberPlace | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || !(port <= 65_535) ? undefined : { host, port };
}
