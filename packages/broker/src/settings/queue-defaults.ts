import {
  defaultQueueDefinition,
  type QueueDefinition,
  type RoutingType,
} from "../state/queue-definition.ts";
import { defaultSettings } from "./settings-by-match.ts";
import type { AddressSettings, SettingName } from "./setting-table.ts";

/**
 * A queue with what its creator did not say, as the settings of its address have it. It is said here only where
 * the settings differ from the defaults: the attributes of other queues stay unsaid. Later changes of the
 * settings do not change the queue. Source: Artemis, `QueueConfigurationUtils.applyDynamicDefaults`.
 */
export function withQueueDefaults(
  said: QueueDefinition,
  settings: AddressSettings,
): QueueDefinition {
  if (settings === defaultSettings) return said;
  const unless = <Name extends SettingName>(name: Name): AddressSettings[Name] | null =>
    settings[name] === defaultSettings[name] ? null : settings[name];
  return {
    ...said,
    exclusive: said.exclusive ?? unless("defaultExclusiveQueue"),
    lastValue: said.lastValue ?? unless("defaultLastValueQueue"),
    lastValueKey: said.lastValueKey ?? settings.defaultLastValueKey ?? null,
    nonDestructive: said.nonDestructive ?? unless("defaultNonDestructive"),
    consumersBeforeDispatch:
      said.consumersBeforeDispatch ?? unless("defaultConsumersBeforeDispatch"),
    delayBeforeDispatch: said.delayBeforeDispatch ?? unless("defaultDelayBeforeDispatch"),
    groupRebalance: said.groupRebalance ?? unless("defaultGroupRebalance"),
    groupRebalancePauseDispatch:
      said.groupRebalancePauseDispatch ?? unless("defaultGroupRebalancePauseDispatch"),
    groupBuckets: said.groupBuckets ?? unless("defaultGroupBuckets"),
    groupFirstKey: said.groupFirstKey ?? settings.defaultGroupFirstKey ?? null,
    ringSize: said.ringSize ?? unless("defaultRingSize"),
    autoDeleteDelay: said.autoDeleteDelay ?? unless("autoDeleteQueuesDelay"),
    autoDeleteMessageCount: said.autoDeleteMessageCount ?? unless("autoDeleteQueuesMessageCount"),
  };
}

/** A queue of which nothing is said but its names; attributes that have to be said are those of the settings. */
export function unsaidQueue(
  names: { readonly queue: string; readonly address: string },
  type: RoutingType,
  { defaultMaxConsumers, defaultPurgeOnNoConsumers }: AddressSettings,
): QueueDefinition {
  return {
    ...defaultQueueDefinition(names.queue, names.address, type),
    maxConsumers: defaultMaxConsumers,
    purgeOnNoConsumers: defaultPurgeOnNoConsumers,
  };
}
