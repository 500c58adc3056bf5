import { EverholdError } from "@everhold/base";
import type { packets, PacketOf } from "@everhold/wire";

/**
 * What kind of queue it is, in Artemis' words. What is left out comes from the broker's settings of the
 * address. Source: Artemis, `QueueConfiguration`.
 */
export interface QueueKind {
  /** One consumer gets all messages, until it leaves. */
  readonly exclusive?: boolean;
  /** Of messages with the same `lastValue` only the newest is kept. */
  readonly lastValue?: boolean;
  /** The property that is compared instead, whatever its type. */
  readonly lastValueKey?: string;
  /** What consumers acknowledge stays: each of them sees all messages. */
  readonly nonDestructive?: boolean;
  /** How many messages may wait before the oldest give way to new ones; −1 for any number. */
  readonly ringSize?: number;
  /** Nothing is delivered before so many consumers are there. */
  readonly consumersBeforeDispatch?: number;
  /** Or so many milliseconds have passed since the first of them came; −1 for ever. */
  readonly delayBeforeDispatch?: number;
  /** Groups are dealt out anew when a consumer comes. */
  readonly groupRebalance?: boolean;
  /** Before that all deliveries have to be settled, so that no two consumers hold one group's messages. */
  readonly groupRebalancePauseDispatch?: boolean;
  /** How many groups are told apart: −1 all of them, 0 none, else they share so many buckets. */
  readonly groupBuckets?: number;
  /** The boolean property that the first message of a group has for its consumer. */
  readonly groupFirstKey?: string;
  /** While nobody consumes from it, it is empty and takes nothing. */
  readonly purgeOnNoConsumers?: boolean;
  /** Whether it takes messages at all. */
  readonly enabled?: boolean;
  /** It goes when nobody needs it. */
  readonly autoDelete?: boolean;
  /** Milliseconds from when nobody needs it until it goes. */
  readonly autoDeleteDelay?: number;
  /** Messages that may be left in it then; −1 for any number. */
  readonly autoDeleteMessageCount?: number;
}

type KindAttributes = Pick<PacketOf<typeof packets.createQueueV2>, keyof QueueKind>;

/** What a value of each attribute must be. */
const expected = {
  exclusive: "boolean",
  lastValue: "boolean",
  lastValueKey: "string",
  nonDestructive: "boolean",
  ringSize: "number",
  consumersBeforeDispatch: "number",
  delayBeforeDispatch: "number",
  groupRebalance: "boolean",
  groupRebalancePauseDispatch: "boolean",
  groupBuckets: "number",
  groupFirstKey: "string",
  purgeOnNoConsumers: "boolean",
  enabled: "boolean",
  autoDelete: "boolean",
  autoDeleteDelay: "number",
  autoDeleteMessageCount: "number",
} as const satisfies Record<keyof QueueKind, "boolean" | "string" | "number">;

/** Names of the attributes. */
const queueKindNames: readonly (keyof QueueKind)[] = Object.keys(expected).filter(isKindName);

/** Those that are 32 bits wide in a packet. */
const narrow: readonly (keyof QueueKind)[] = ["consumersBeforeDispatch", "groupBuckets"];

/** Checks what kind of queue is asked for. @throws EverholdError EVH_CONFIG naming the attribute */
export function checkQueueKind(kind: QueueKind): void {
  for (const name of queueKindNames) {
    const value = kind[name];
    if (value === undefined) continue;
    const isOfType = typeof value === expected[name];
    if (isOfType && (typeof value !== "number" || isInRange(name, value))) continue;
    const isNumber = expected[name] === "number";
    const what = isNumber ? `whole number from -1 to ${maxOf(name)}` : expected[name];
    throw new EverholdError(
      "EVH_CONFIG",
      `Cannot use the option ${name}: found ${String(value)}, expected a ${what}`,
    );
  }
}

/** The attributes as CREATE_QUEUE_V2 has them: `null` where nothing is said. */
export function kindAttributes(kind: QueueKind): KindAttributes {
  return {
    exclusive: kind.exclusive ?? null,
    lastValue: kind.lastValue ?? null,
    lastValueKey: kind.lastValueKey ?? null,
    nonDestructive: kind.nonDestructive ?? null,
    ringSize: kind.ringSize ?? null,
    consumersBeforeDispatch: kind.consumersBeforeDispatch ?? null,
    delayBeforeDispatch: kind.delayBeforeDispatch ?? null,
    groupRebalance: kind.groupRebalance ?? null,
    groupRebalancePauseDispatch: kind.groupRebalancePauseDispatch ?? null,
    groupBuckets: kind.groupBuckets ?? null,
    groupFirstKey: kind.groupFirstKey ?? null,
    purgeOnNoConsumers: kind.purgeOnNoConsumers ?? false,
    enabled: kind.enabled ?? null,
    autoDelete: kind.autoDelete ?? null,
    autoDeleteDelay: kind.autoDeleteDelay ?? null,
    autoDeleteMessageCount: kind.autoDeleteMessageCount ?? null,
  };
}

function isKindName(name: string): name is keyof QueueKind {
  return Object.hasOwn(expected, name);
}

function isInRange(name: keyof QueueKind, value: number): boolean {
  return Number.isSafeInteger(value) && value >= -1 && value <= maxOf(name);
}

function maxOf(name: keyof QueueKind): number {
  return narrow.includes(name) ? 2 ** 31 - 1 : Number.MAX_SAFE_INTEGER;
}
