import { EverholdError } from "@everhold/base";

import type { LiveQueue } from "../engine/live-queue.ts";
import type { QueueDefinition } from "../state/queue-definition.ts";
import type { ManagementValue } from "./operation.ts";
import type { QueueRequest } from "./queue-administration.ts";
import { routingTypeName } from "./queue-view.ts";

// Keys as in Artemis, `QueueConfiguration`, by the type of their values.

const textKeys = {
  "filter-string": "filter",
  "last-value-key": "lastValueKey",
  "group-first-key": "groupFirstKey",
} as const satisfies Readonly<Record<string, keyof QueueDefinition>>;

const integerKeys = {
  "max-consumers": "maxConsumers",
  "consumers-before-dispatch": "consumersBeforeDispatch",
  "delay-before-dispatch": "delayBeforeDispatch",
  "group-buckets": "groupBuckets",
  "auto-delete-delay": "autoDeleteDelay",
  "auto-delete-message-count": "autoDeleteMessageCount",
  "ring-size": "ringSize",
} as const satisfies Readonly<Record<string, keyof QueueDefinition>>;

const flagKeys = {
  durable: "durable",
  "auto-created": "autoCreated",
  "purge-on-no-consumers": "purgeOnNoConsumers",
  exclusive: "exclusive",
  "last-value": "lastValue",
  "non-destructive": "nonDestructive",
  "group-rebalance": "groupRebalance",
  "group-rebalance-pause-dispatch": "groupRebalancePauseDispatch",
  "auto-delete": "autoDelete",
  enabled: "enabled",
} as const satisfies Readonly<Record<string, keyof QueueDefinition>>;

/** Keys that are read for themselves, that say nothing about the queue, or that are always so here. */
const otherKeys = [
  "name",
  "address",
  "routing-type",
  "auto-create-address",
  "configuration-managed",
  "consumer-priority",
  "fqqn",
  "id",
  "internal",
  "transient",
  "user",
] as const;

/** A queue as JSON, with the keys that {@link readConfiguration} reads. */
export function describeConfiguration(queue: LiveQueue): ManagementValue {
  const { definition } = queue.state;
  const found: Record<string, ManagementValue> = {
    id: queue.state.id,
    name: definition.name,
    address: definition.addressName,
    "routing-type": routingTypeName(definition),
    temporary: definition.temporary,
  };
  for (const keys of [textKeys, integerKeys, flagKeys]) {
    for (const [key, attribute] of entriesOf(keys)) {
      const value = definition[attribute];
      if (value !== null) found[key] = value;
    }
  }
  return found;
}

/**
 * The queue that a configuration in JSON describes. Values may be texts: Java clients write them so.
 * @throws EverholdError EVH_REJECTED for JSON that is none, unknown keys and values of a wrong type
 */
export function readConfiguration(json: string): QueueRequest {
  const found = parseObject(json);
  const { name, address = name, "routing-type": routingType = null } = found;
  if (typeof name !== "string" || typeof address !== "string") {
    throw new EverholdError(
      "EVH_REJECTED",
      "cannot read the configuration: expected texts as name and address",
    );
  }
  if (typeof routingType !== "string" && routingType !== null) throw wrongValue("routing-type");
  const createsAddress = asFlag(found["auto-create-address"] ?? true) ?? true;
  return { name, address, routingType, attributes: attributesOf(found), createsAddress };
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseObject(json: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new EverholdError("EVH_REJECTED", "cannot read the configuration: it is not JSON", {
      cause: error,
    });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw new EverholdError("EVH_REJECTED", "cannot read the configuration: expected a JSON object");
}

/** The attributes that a configuration names. */
function attributesOf(configuration: JsonObject): Partial<QueueDefinition> {
  const known: string[] = [textKeys, integerKeys, flagKeys].flatMap((keys) => Object.keys(keys));
  known.push(...otherKeys);
  const unknown = Object.keys(configuration).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot read the configuration: found the key "${unknown}", expected one of ${known.join(", ")}`,
    );
  }
  return {
    ...valuesOf(configuration, textKeys, asText),
    ...valuesOf(configuration, integerKeys, asInteger),
    ...valuesOf(configuration, flagKeys, asFlag),
  };
}

/** The values of some keys by the names of their attributes. */
function valuesOf<A extends string, T>(
  configuration: JsonObject,
  keys: Readonly<Record<string, A>>,
  read: (value: unknown) => T | undefined,
): { [K in A]?: T } {
  const values: { [K in A]?: T } = {};
  for (const [key, attribute] of entriesOf(keys)) {
    const value = configuration[key];
    if (value === undefined || value === null) continue;
    const found = read(value);
    if (found === undefined) throw wrongValue(key);
    values[attribute] = found;
  }
  return values;
}

function entriesOf<A extends string>(keys: Readonly<Record<string, A>>): [string, A][] {
  return Object.entries<A>(keys);
}

function asText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function asInteger(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) ? number : undefined;
}

function asFlag(value: unknown): boolean | undefined {
  if (typeof value === "boolean") return value;
  if (value === "true") return true;
  return value === "false" ? false : undefined;
}

function wrongValue(key: string): EverholdError {
  return new EverholdError(
    "EVH_REJECTED",
    `cannot read the configuration: the value of "${key}" is of a wrong type`,
  );
}
