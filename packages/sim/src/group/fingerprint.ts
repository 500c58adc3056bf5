import type { World } from "./world.ts";

/**
 * A number for a world: the same for worlds that differ only in which member has which name, since all members are
 * alike. Members are ordered by what does not name others; where that leaves a tie, two alike worlds may get two
 * numbers, which costs time and misses nothing. 53 bits: of ten million worlds, two have the same number by chance in
 * one run of two hundred.
 */
export function fingerprint(world: World): number {
  const { hosts, wires } = world;
  const order = hosts
    .map((host, index) => ({ index, look: lookOf(world, index) + host.incarnation }))
    .toSorted((one, other) => (one.look < other.look ? -1 : one.look > other.look ? 1 : 0))
    .map(({ index }) => index);
  const names = new Map(
    order.map((index, place) => [hosts[index]?.id ?? "", String.fromCharCode(0x41 + place)]),
  );
  const places = new Map(order.map((index, place) => [index, place]));
  const wiresInOrder = order.flatMap((from) => order.map((to) => wires[from * hosts.length + to]));
  // A link's number says only which one it is.
  const links = new Map(wiresInOrder.map((wire, place) => [wire?.link ?? 0, place + 1]));
  const writer = new Writer(names, links);
  const requests = world.requests.map(({ from, request, next, result, told }) => {
    const isAwaited = hosts[from]?.member?.requesting?.request === request;
    return [places.get(from), isAwaited, result, told, writer.hashOf(next)].join();
  });
  const parts = [...order.map((index) => hosts[index]), ...wiresInOrder, world.node, world.budget];
  const hashes = parts.map((part) => (part ? writer.hashOf(part) : 0));
  return hashOf(
    `${hashes.join()};${world.committed};${world.begun.join()};${requests.toSorted().join()}`,
  );
}

function lookOf({ hosts, wires, node }: World, index: number): string {
  const host = hosts[index];
  if (host === undefined) return "";
  const { log, durable, fencedEpoch, fencing, truncating, member, id } = host;
  const isLive = node.state.live?.id === id;
  const isInSync = node.state.inSync.some((one) => one.id === id);
  const shownWire = (caller: number, called: number): string => {
    const wire = wires[caller * hosts.length + called];
    const kinds = [...(wire?.out ?? []), ...(wire?.back ?? [])].map(({ kind }) => kind);
    return wire === null ? "-" : kinds.join("+");
  };
  const frames = hosts.map((_, to) => `${shownWire(index, to)}/${shownWire(to, index)}`);
  const role = member === null ? "down" : member.role.kind;
  const following = member?.role.kind === "backup" ? member.role.following.kind : "";
  const parts = [role, following, log, durable, fencedEpoch, fencing, truncating, isLive, isInSync];
  const mind = [member?.known?.version, member?.commitPosition, member?.reading, member?.seenEpoch];
  return [...parts, ...mind, ...frames.toSorted()].join();
}

/** The last number of each value, and the names that it was written with. */
const written = new WeakMap<object, { readonly key: string; readonly hash: number }>();

/** Writes values so that equal texts mean equal values, with the members' names and the links' numbers changed. */
class Writer {
  #text = "";
  readonly #key: string;
  readonly #names: ReadonlyMap<string, string>;
  readonly #links: ReadonlyMap<number, number>;

  constructor(names: ReadonlyMap<string, string>, links: ReadonlyMap<number, number>) {
    this.#names = names;
    this.#links = links;
    this.#key = [...names.keys(), ...links].join();
  }

  /** A number for a value. What an event does not change is not written anew. */
  hashOf(value: object): number {
    const known = written.get(value);
    if (known?.key === this.#key) return known.hash;
    this.#text = "";
    this.#write(value);
    const hash = hashOf(this.#text);
    written.set(value, { key: this.#key, hash });
    return hash;
  }

  #write(value: unknown): void {
    if (Array.isArray(value)) {
      this.#text += "[";
      // Lists of names are sets: their order means nothing.
      if (value.every((one) => typeof one === "string")) {
        this.#text += value
          .map((one) => this.#names.get(one) ?? one)
          .toSorted()
          .join();
      } else for (const one of value) this.#write(one);
      this.#text += "]";
    } else if (value instanceof Uint8Array) {
      this.#text += value.join();
    } else if (typeof value === "object" && value !== null) {
      this.#text += "{";
      const fields: Readonly<Record<string, unknown>> = { ...value };
      for (const name of Object.keys(fields)) this.#writeField(name, fields[name]);
      this.#text += "}";
    } else {
      this.#text += `${typeof value === "string" ? (this.#names.get(value) ?? value) : String(value)},`;
    }
  }

  #writeField(name: string, value: unknown): void {
    // Numbers that only tell one thing from another.
    if (name === "requestCount" || name === "request") return;
    const isLink = (name === "link" || name === "invited") && typeof value === "number";
    this.#write(isLink ? (this.#links.get(value) ?? "gone") : value);
  }
}

function hashOf(text: string): number {
  let high = 0x9e37_79b9;
  let low = 0x85eb_ca6b;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 0x0100_0193);
    low = Math.imul(low ^ unit, 0x5bd1_e995);
    low ^= low >>> 15;
  }
  high = Math.imul(high ^ (high >>> 13), 0xc2b2_ae35);
  low = Math.imul(low ^ (low >>> 13) ^ high, 0x85eb_ca6b);
  return (
    (((high ^ (high >>> 16)) >>> 0) & 0x1f_ffff) * 0x1_0000_0000 + ((low ^ (low >>> 15)) >>> 0)
  );
}
