import { EverholdError } from "@everhold/base";

import {
  readArtemisSettings,
  writeArtemisSettings,
  type SettingsProblem,
} from "../settings/settings-json.ts";
import type { SomeSettings } from "../settings/setting-table.ts";
import type { ManagedBroker } from "./managed-broker.ts";
import { operationsOf, text, type Operation } from "./operation.ts";

const operation = operationsOf<ManagedBroker>();

const match = text("A match such as `orders.#`");

/** Settings of addresses. Names as in Artemis, `ActiveMQServerControl`; `listAddressSettings` is ours. */
export const settingsOperations: readonly Operation<ManagedBroker>[] = [
  operation("getAddressSettingsAsJSON", {
    doc: "What holds for an address, with the names and units of Artemis",
    parameters: { addressMatch: text("The name of an address, which need not exist") },
    result: "json",
    run: ({ engine }, args) => writeArtemisSettings(engine.settings.of(args.addressMatch)),
  }),
  operation("listAddressSettings", {
    doc: "What is said of each match, and whether it was given at run time",
    result: "json",
    run: ({ engine }) =>
      engine.runtimeSettings.list().map((one) => {
        const { match: addressMatch, settings, atRunTime } = one;
        return { addressMatch, atRunTime, settings: writeArtemisSettings(settings) };
      }),
  }),
  operation("addAddressSettings", {
    doc: "Gives all that is to hold for a match, in place of what the configuration or an earlier call said of it; it is kept. Gives the settings",
    parameters: {
      addressMatch: match,
      addressSettingsConfigurationAsJson: text(
        "JSON with settings by their names, those of Artemis or ours; see SETTINGS.md",
      ),
    },
    result: "json",
    run: ({ engine }, args) => {
      const found = readArtemisSettings(args.addressSettingsConfigurationAsJson);
      if (isProblem(found)) {
        throw new EverholdError(
          "EVH_REJECTED",
          `cannot give settings for "${args.addressMatch.slice(0, 100)}": ${found.problem}`,
        );
      }
      engine.runtimeSettings.set(args.addressMatch, found);
      return writeArtemisSettings(found);
    },
  }),
  operation("removeAddressSettings", {
    doc: "Takes back what was given for a match at run time; the configuration is heard again",
    parameters: { addressMatch: match },
    result: "nothing",
    run: ({ engine }, args) => {
      if (engine.runtimeSettings.remove(args.addressMatch)) return null;
      throw new EverholdError(
        "EVH_REJECTED",
        `cannot remove the settings for "${args.addressMatch.slice(0, 100)}": none were given at run time`,
      );
    },
  }),
];

function isProblem(found: SomeSettings | SettingsProblem): found is SettingsProblem {
  return "problem" in found;
}
