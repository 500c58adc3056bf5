/** Layer 3: the broker. Open `broker.ts` first. */
export type { Authority } from "./engine/authority.ts";
export type { Connector } from "./core/connector.ts";
export type { TopologySource } from "./core/node-topology.ts";
export { createStore, Serving, type ServingParts, type Store } from "./serving.ts";
export { Broker, type BrokerStartOptions } from "./broker.ts";
export { queueInfos, type QueueInfo } from "./queue-info.ts";
export {
  brokerConfig,
  type BrokerConfig,
  type BrokerOptions,
  type JournalConfig,
} from "./config.ts";
export { limits } from "./limits.ts";
export type { AddressSettings, SettingName, SomeSettings } from "./settings/setting-table.ts";
export { settingNames, settingTable } from "./settings/setting-table.ts";
export { settingsDocument } from "./settings/settings-document.ts";
export type { DivertOptions, DivertsByName } from "./settings/divert-options.ts";
export { divertRoutings, type DivertRouting } from "./state/rules.ts";
export { isMatch } from "./settings/address-match.ts";
export { isSomeSettings, type SettingsByMatch } from "./settings/settings-by-match.ts";
export { managementDocument } from "./management/document.ts";
export type { Management, ManagementAnswer } from "./management/management.ts";
export type { ManagementValue, Outcome, ResultType } from "./management/operation.ts";
