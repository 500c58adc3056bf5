import type { Endpoint, Random } from "@everhold/env";
import { formatServer } from "../protocol/connect-string.ts";

/** Another list of servers. */
export interface ServerChange {
  readonly before: readonly Endpoint[];
  readonly after: readonly Endpoint[];
  /** The server that is connected, as `host:port`. */
  readonly current: string | undefined;
  readonly random: Pick<Random, "uint32">;
}

/** What a client does about it. */
export interface Rebalanced {
  /** Whether the connection may stay. */
  readonly stays: boolean;
  /** The servers of the new list, in the order in which to try them. */
  readonly order: readonly Endpoint[];
}

/**
 * Decides, without knowing of other clients, so that after all of them did the same every server has about as many of
 * them: where the list has grown some leave a server that is still in it, each with the probability that makes up for
 * it, and go to those that are new. Source: ZooKeeper, `StaticHostProvider.updateServerList`.
 */
export function rebalanced({ before, after, current, random }: ServerChange): Rebalanced {
  const known = new Set(before.map(formatServer));
  const old = shuffled(
    after.filter((one) => known.has(formatServer(one))),
    random,
  );
  const fresh = shuffled(
    after.filter((one) => !known.has(formatServer(one))),
    random,
  );
  if (current === undefined) return { stays: false, order: shuffled(after, random) };
  const isListed = after.some((one) => formatServer(one) === current);
  // One that is being left and is listed again stays: it is new, and so has too few clients rather than too many.
  const isOld = known.has(current);
  const hasGrown = after.length > before.length;
  if (isListed && !(isOld && hasGrown && fraction(random) < 1 - before.length / after.length)) {
    return { stays: true, order: shuffled(after, random) };
  }
  if (hasGrown) return { stays: false, order: [...fresh, ...old] };
  return {
    stays: false,
    order: mixed({ old, fresh, random, oldShare: oldShare(before, after, old) }),
  };
}

/** Whether two lists name the same servers as often, in whatever order. */
export function isSameList(one: readonly Endpoint[], other: readonly Endpoint[]): boolean {
  const names = one.map(formatServer).toSorted();
  const others = other.map(formatServer).toSorted();
  return names.length === others.length && names.every((name, index) => name === others[index]);
}

/** In an order of this client's own. */
export function shuffled(
  list: readonly Endpoint[],
  random: Pick<Random, "uint32">,
): readonly Endpoint[] {
  const keyed = list.map((endpoint) => ({ endpoint, key: random.uint32() }));
  return keyed.toSorted((a, b) => a.key - b.key).map(({ endpoint }) => endpoint);
}

/** With which probability one whose server is gone goes to one that stayed: those have clients already. */
function oldShare(
  { length: beforeCount }: readonly Endpoint[],
  { length: afterCount }: readonly Endpoint[],
  { length: oldCount }: readonly Endpoint[],
): number {
  const goneCount = beforeCount - oldCount;
  return goneCount === 0 ? 1 : (oldCount * (beforeCount - afterCount)) / (afterCount * goneCount);
}

function mixed(choice: {
  readonly old: readonly Endpoint[];
  readonly fresh: readonly Endpoint[];
  readonly random: Pick<Random, "uint32">;
  readonly oldShare: number;
}): readonly Endpoint[] {
  const old = [...choice.old];
  const fresh = [...choice.fresh];
  const order: Endpoint[] = [];
  while (old.length + fresh.length > 0) {
    const wantsOld = fraction(choice.random) < choice.oldShare;
    const next = (wantsOld ? old.shift() : fresh.shift()) ?? old.shift() ?? fresh.shift();
    if (next !== undefined) order.push(next);
  }
  return order;
}

/** From 0 to less than 1. */
function fraction(random: Pick<Random, "uint32">): number {
  return random.uint32() / 0x1_0000_0000;
}
