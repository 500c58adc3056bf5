import { limits } from "../limits.ts";
import {
  addressName,
  choice,
  factor,
  flag,
  namePart,
  propertyKey,
  whole,
  type Setting,
} from "./setting-kinds.ts";

const int32Max = 2 ** 31 - 1;
const bytes = { min: -1, max: Number.MAX_SAFE_INTEGER, unit: "bytes" } as const;
const messages = { min: -1, max: Number.MAX_SAFE_INTEGER, unit: "messages" } as const;
const consumers = { min: -1, max: int32Max, unit: "consumers" } as const;
const delay = { min: 0, max: limits.delayMsMax, unit: "ms" } as const;
const delayOrNone = { min: -1, max: limits.delayMsMax, unit: "ms" } as const;
const routing = ["anycast", "multicast"] as const;

/**
 * What can be said of addresses and their queues, with what holds where nobody says anything: the one place
 * that lists them. Words, defaults and meanings are those of Artemis, `AddressSettings` and its documentation
 * "address-settings", in camelCase; where ours differ, `doc` says so.
 */
export const settingTable = {
  deadLetterAddress: addressName(
    "DLQ",
    "Where messages go that were tried too often; without one they are dropped",
  ),
  autoCreateDeadLetterResources: flag(
    false,
    "Whether each address gets a queue of its own at the dead-letter address",
  ),
  deadLetterQueuePrefix: namePart("DLQ.", "What the names of such queues begin with"),
  deadLetterQueueSuffix: namePart("", "What they end with"),
  expiryAddress: addressName(
    "ExpiryQueue",
    "Where expired messages go; without one they are dropped",
  ),
  autoCreateExpiryResources: flag(
    false,
    "Whether each address gets a queue of its own at the expiry address",
  ),
  expiryQueuePrefix: namePart("EXP.", "What the names of such queues begin with"),
  expiryQueueSuffix: namePart("", "What they end with"),
  expiryDelay: whole(-1, delayOrNone, "When messages expire that do not say; −1: never"),
  minExpiryDelay: whole(
    -1,
    delayOrNone,
    "Those that would expire sooner, expire then; −1: no minimum",
  ),
  maxExpiryDelay: whole(
    -1,
    delayOrNone,
    "Those that would expire later or never, expire then; −1: no maximum",
  ),
  noExpiry: flag(false, "Whether messages never expire, whatever they say"),
  redeliveryDelay: whole(0, delay, "How long a message waits that came back"),
  redeliveryDelayMultiplier: factor(
    1,
    { min: 0, max: 1_000, unit: "" },
    "What the delay is multiplied by with each further attempt",
  ),
  redeliveryCollisionAvoidanceFactor: factor(
    0,
    { min: 0, max: 1, unit: "" },
    "Up to which part of itself the delay is lengthened or shortened at random",
  ),
  maxRedeliveryDelay: whole(
    -1,
    delayOrNone,
    "The longest such delay; −1: ten times `redeliveryDelay`",
  ),
  maxDeliveryAttempts: whole(
    10,
    { min: -1, max: 254, unit: "" },
    "Attempts after which a message goes to the dead-letter address; −1: for ever",
  ),
  redeliveryMode: choice(
    ["nonBlocking", "blocking"],
    "nonBlocking",
    "Whether messages behind one that waits for its redelivery wait as well (Artemis has no such setting)",
  ),
  sendToDlaOnNoRoute: flag(
    false,
    "Whether messages that no queue takes go to the dead-letter address",
  ),
  maxSizeBytes: whole(-1, bytes, "Bytes of messages that the address may hold; −1: no limit"),
  maxSizeMessages: whole(-1, messages, "Messages that the address may hold; −1: no limit"),
  addressFullPolicy: choice(
    ["block", "fail", "drop", "page"],
    "block",
    "What happens then: producers get no more credit, their sends fail, are dropped, or (`page`) nothing: bodies of durable messages are on the disk anyway",
  ),
  maxSizeBytesRejectThreshold: whole(
    -1,
    bytes,
    "Bytes above which sends fail although producers are to block; −1: none (in Artemis for AMQP only)",
  ),
  slowConsumerThreshold: whole(
    -1,
    messages,
    "Messages in a unit of time below which a consumer is slow that has something to do; −1: none is (in Artemis also one that has nothing to do)",
  ),
  slowConsumerThresholdMeasurementUnit: choice(
    ["messagesPerSecond", "messagesPerMinute", "messagesPerHour", "messagesPerDay"],
    "messagesPerSecond",
    "That unit of time",
  ),
  slowConsumerPolicy: choice(
    ["notify", "kill"],
    "notify",
    "What happens with a slow consumer: a notification, or its connection is closed",
  ),
  slowConsumerCheckPeriod: whole(
    5_000,
    { min: 1, max: limits.delayMsMax, unit: "ms" },
    "How often consumers are looked at",
  ),
  autoCreateQueues: flag(
    true,
    "Whether a send or a consumer may create a queue that does not exist",
  ),
  autoCreateAddresses: flag(
    true,
    "Whether a send or a consumer may create an address that does not exist",
  ),
  autoDeleteQueues: flag(
    true,
    "Whether automatically created queues go when they are empty and nobody consumes",
  ),
  autoDeleteAddresses: flag(
    true,
    "Whether automatically created addresses go when they have no queues",
  ),
  autoDeleteQueuesDelay: whole(0, delay, "How long such a queue is unused before it goes"),
  autoDeleteQueuesMessageCount: whole(
    0,
    messages,
    "Messages that it may hold and go nevertheless, with them; −1: any number",
  ),
  autoDeleteAddressesDelay: whole(0, delay, "How long such an address is unused before it goes"),
  defaultMaxConsumers: whole(-1, consumers, "Consumers that a queue may have; −1: any number"),
  defaultPurgeOnNoConsumers: flag(false, "Whether a queue holds nothing while nobody consumes"),
  defaultConsumersBeforeDispatch: whole(
    0,
    { min: 0, max: int32Max, unit: "consumers" },
    "Consumers that a queue waits for before it hands anything out",
  ),
  defaultDelayBeforeDispatch: whole(-1, delayOrNone, "How long it waits for them; −1: for ever"),
  defaultExclusiveQueue: flag(false, "Whether one consumer gets all messages of a queue"),
  defaultLastValueQueue: flag(
    false,
    "Whether a queue keeps only the newest of messages with the same last-value key",
  ),
  defaultLastValueKey: propertyKey("The property that is that key; none: `_AMQ_LVQ_NAME`"),
  defaultNonDestructive: flag(false, "Whether messages of a queue stay when they are consumed"),
  defaultRingSize: whole(-1, messages, "Messages that a queue keeps, the newest; −1: all"),
  defaultGroupRebalance: flag(false, "Whether groups are dealt out anew when a consumer comes"),
  defaultGroupRebalancePauseDispatch: flag(
    false,
    "Whether the queue pauses for that until what was handed out is settled",
  ),
  defaultGroupBuckets: whole(
    -1,
    { min: -1, max: int32Max, unit: "" },
    "Buckets that groups are put into; −1: each is its own, 0: there are no groups",
  ),
  defaultGroupFirstKey: propertyKey(
    "The property that marks the first message of a group for a consumer; none: no mark",
  ),
  defaultQueueRoutingType: choice(
    routing,
    "multicast",
    "The routing type of a queue whose creator does not say",
  ),
  defaultAddressRoutingType: choice(
    routing,
    "multicast",
    "The routing type of an address that a send creates without saying",
  ),
  defaultConsumerWindowSize: whole(
    1024 * 1024,
    { min: -1, max: int32Max, unit: "bytes" },
    "Bytes that a consumer is given ahead when it does not say; −1: no limit",
  ),
  idCacheSize: whole(
    20_000,
    { min: 0, max: 20_000, unit: "messages" },
    "Duplicate ids that the address remembers; 0: none",
  ),
} as const satisfies Readonly<Record<string, Setting<boolean | number | string | undefined>>>;

type SettingTable = typeof settingTable;

/** The name of a setting. */
export type SettingName = keyof SettingTable;

/** What holds for one address and its queues; the table {@link settingTable} says what each means. */
export type AddressSettings = {
  readonly [Name in SettingName]: SettingTable[Name]["default"];
};

/** What is said of the addresses of one match; what is left out comes from less specific matches. */
export type SomeSettings = Partial<AddressSettings>;

/** The names of all settings, in the order of the table. */
export const settingNames: readonly SettingName[] = Object.keys(settingTable).filter(isSettingName);

/** Whether there is a setting of this name. */
export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settingTable, name);
}
