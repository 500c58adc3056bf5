import { propertyNames } from "@everhold/wire";

import type { QueueDefinition } from "../state/queue-definition.ts";

/** What kind of queue it is: its attributes as they are in effect, those that nobody said included. */
export interface QueueTraits {
  /** One consumer gets everything. */
  readonly isExclusive: boolean;
  /** What consumers acknowledge stays: each of them sees all messages. */
  readonly isNonDestructive: boolean;
  /** Of messages with the same value of this property only the newest stays; `undefined` for all. */
  readonly lastValueKey: string | undefined;
  /** Messages that may wait here; the oldest go when more come. −1 for any number. */
  readonly ringSize: number;
  /** How many message groups are told apart: −1 each of them, 0 none, else they share so many buckets. */
  readonly groupBuckets: number;
  /** Groups are dealt out anew when a consumer comes. */
  readonly rebalancesGroups: boolean;
  /** Before they are, everything that was handed out has to be settled. */
  readonly pausesToRebalance: boolean;
  /** The boolean property that the first message of a group has for its consumer; `undefined` for none. */
  readonly groupFirstKey: string | undefined;
  /** Nothing is handed out before so many consumers are there … */
  readonly consumersBeforeDispatch: number;
  /** … or so many ms have passed since the first of them came; −1 for ever. */
  readonly delayBeforeDispatchMs: number;
}

/**
 * The traits of a queue. Defaults are Artemis' own: whoever creates a queue has filled in those of its
 * address. Source: Artemis, `ActiveMQDefaultConfiguration`.
 */
export function traitsOf(definition: QueueDefinition): QueueTraits {
  const { groupFirstKey, groupRebalancePauseDispatch, ringSize } = definition;
  return {
    isExclusive: definition.exclusive ?? false,
    isNonDestructive: definition.nonDestructive ?? false,
    lastValueKey: lastValueKeyOf(definition),
    ringSize: ringSize === null || ringSize < 0 ? -1 : ringSize,
    groupBuckets: definition.groupBuckets ?? -1,
    rebalancesGroups: definition.groupRebalance ?? false,
    pausesToRebalance: groupRebalancePauseDispatch ?? false,
    groupFirstKey: groupFirstKey === null || groupFirstKey === "" ? undefined : groupFirstKey,
    consumersBeforeDispatch: definition.consumersBeforeDispatch ?? 0,
    delayBeforeDispatchMs: definition.delayBeforeDispatch ?? -1,
  };
}

/** Source: Artemis, `QueueFactoryImpl#lastValueKey`. */
function lastValueKeyOf({ lastValue, lastValueKey }: QueueDefinition): string | undefined {
  if (lastValueKey !== null && lastValueKey !== "") return lastValueKey;
  return lastValue === true ? propertyNames.lastValueName : undefined;
}
