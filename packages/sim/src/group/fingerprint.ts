import type { World } from "./world.ts";

/**
 * A number for a world: the same for worlds that differ only in which member has which name, since all members are
 * alike. Members are ordered by what does not name others; where that leaves a tie, two alike worlds may get two
 * numbers, which costs time and misses nothing. 53 bits: of ten million worlds, two have the same number by chance in
 * one run of two hundred.
 */
export function fingerprint(world: World): number {
  const { hosts, links } = world;
  const order = hosts
    .map((host, index) => ({ index, look: lookOf(world, index) + host.incarnation }))
    .toSorted((one, other) => (one.look < other.look ? -1 : one.look > other.look ? 1 : 0))
    .map(({ index }) => index);
  const names = new Map(
    order.map((index, place) => [hosts[index]?.id ?? "", String.fromCharCode(0x41 + place)]),
  );
  const places = new Map(order.map((index, place) => [index, place]));
  const text: string[] = [];
  for (const index of order) {
    const host = hosts[index];
    if (host === undefined) continue;
    write(text, { ...host, shipped: order.map((to) => host.shipped[to] ?? null) }, names);
    for (const to of order) write(text, links[index * hosts.length + to] ?? null, names);
  }
  write(text, world.node, names);
  const requests = world.requests.map((one) => {
    const parts: string[] = [];
    write(parts, { ...one, from: places.get(one.from) }, names);
    return parts.join("");
  });
  text.push(requests.toSorted().join(""), world.committed, world.begun.join());
  write(text, world.budget, names);
  return hashOf(text.join(""));
}

function lookOf({ hosts, links, node }: World, index: number): string {
  const host = hosts[index];
  if (host === undefined) return "";
  const { log, durable, fencedEpoch, fencing, truncating, member, id } = host;
  const isLive = node.state.live?.id === id;
  const isInSync = node.state.inSync.some((one) => one.id === id);
  const frames = hosts.map((_, to) => {
    const out = links[index * hosts.length + to];
    const back = links[to * hosts.length + index];
    return `${out?.map(({ kind }) => kind).join("+") ?? "-"}/${back?.map(({ kind }) => kind).join("+") ?? "-"}`;
  });
  const role = member === null ? "down" : member.role.kind;
  const following = member?.role.kind === "backup" ? member.role.following.kind : "";
  const parts = [role, following, log, durable, fencedEpoch, fencing, truncating, isLive, isInSync];
  const mind = [member?.known?.version, member?.commitPosition, member?.reading, member?.seenEpoch];
  return [...parts, ...mind, ...frames.toSorted()].join();
}

/** Writes a value so that equal texts mean equal values, with the members' names changed. */
function write(text: string[], value: unknown, names: ReadonlyMap<string, string>): void {
  if (Array.isArray(value)) {
    text.push("[");
    // Lists of names are sets: their order means nothing.
    if (value.every((one) => typeof one === "string")) {
      text.push(
        value
          .map((one) => names.get(one) ?? one)
          .toSorted()
          .join(),
      );
    } else for (const one of value) write(text, one, names);
    text.push("]");
  } else if (value instanceof Uint8Array) {
    text.push(value.join());
  } else if (typeof value === "object" && value !== null) {
    text.push("{");
    for (const one of Object.values(value)) write(text, one, names);
    text.push("}");
  } else {
    text.push(typeof value === "string" ? (names.get(value) ?? value) : String(value), ",");
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
