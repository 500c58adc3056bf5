import { assert, EverholdError } from "@everhold/base";

import { WildcardAddresses } from "../engine/wildcard-addresses.ts";
import { limits } from "../limits.ts";
import { AddressMatch, isWild, settingsMatch } from "./address-match.ts";
import {
  isSettingName,
  settingNames,
  settingTable,
  type AddressSettings,
  type SomeSettings,
} from "./setting-table.ts";

/** What is said of addresses, by match: `orders.#`. */
export type SettingsByMatch = Readonly<Record<string, SomeSettings>>;

/** What holds where no match says anything. */
export const defaultSettings: AddressSettings = allDefaults();

/**
 * Refuses settings that nobody could mean.
 * @throws EverholdError EVH_CONFIG naming match and setting, what was found and what is allowed
 */
export function checkSettings(match: string, settings: SomeSettings): void {
  settingsMatch(match);
  for (const [name, value] of Object.entries(settings)) {
    const where = `addressSettings.${match}.${name}`;
    if (!isSettingName(name)) {
      throw new EverholdError("EVH_CONFIG", `${where}: there is no such setting`);
    }
    const { accepts, expected } = settingTable[name];
    if (accepts(value)) continue;
    const found = typeof value === "string" ? `"${value.slice(0, 100)}"` : String(value);
    throw new EverholdError("EVH_CONFIG", `${where} is ${found}, expected ${expected}`);
  }
}

/** Whether all of these are settings, with values that they may have. */
export function isSomeSettings(found: object): found is SomeSettings {
  return Object.entries(found).every(
    ([name, value]) => isSettingName(name) && settingTable[name].accepts(value),
  );
}

interface Entry {
  readonly match: AddressMatch;
  readonly settings: SomeSettings;
}

/**
 * The settings of all addresses, existing ones or not. What several matches say of one address is put together,
 * each setting from the most specific match that says it. Source: Artemis, `HierarchicalObjectRepository`.
 *
 * Addresses to which the same matches apply share one object, so that a million of them cost nothing.
 */
export class SettingsTable {
  readonly #exact = new Map<string, Entry>();
  /** The most specific first. */
  #wild: Entry[] = [];
  /** Finds them by the words of a name, however many there are. */
  #tree = new WildcardAddresses<{ readonly name: string; readonly rank: number }>();
  readonly #resolved = new Map<string, AddressSettings>();
  #sinks = new Set<string>();
  #version = 0;

  /** @throws EverholdError EVH_CONFIG */
  constructor(settings: SettingsByMatch = {}) {
    const count = Object.keys(settings).length;
    if (count > limits.settingsMatchesMax) {
      throw new EverholdError(
        "EVH_CONFIG",
        `there are address settings for ${count} matches, at most ${limits.settingsMatchesMax} are allowed`,
      );
    }
    this.replace(settings);
  }

  /**
   * Says everything anew. Those who add to what the table was made with have a limit of their own.
   * @throws EverholdError EVH_CONFIG; then nothing has changed
   */
  replace(settings: SettingsByMatch): void {
    const entries = Object.entries(settings).map(([text, some]) => {
      checkSettings(text, some);
      return { match: settingsMatch(text), settings: some };
    });
    this.#version += 1;
    this.#exact.clear();
    for (const entry of entries) {
      if (!entry.match.isWild) this.#exact.set(entry.match.text, entry);
    }
    this.#wild = entries
      .filter(({ match }) => match.isWild)
      .toSorted((one, other) => AddressMatch.compare(one.match, other.match));
    this.#tree = new WildcardAddresses();
    for (const [rank, { match }] of this.#wild.entries()) {
      this.#tree.add({ name: match.text, rank });
    }
    this.#resolved.clear();
    this.#sinks = sinksOf([defaultSettings, ...entries.map((entry) => entry.settings)]);
  }

  /** What holds for the address `name`; also of a fully qualified name, `address::queue`. */
  of(name: string): AddressSettings {
    const colons = name.indexOf("::");
    const address = colons < 0 ? name : name.slice(0, colons);
    const found = this.#wildMatching(address);
    const exact = this.#exact.get(address);
    if (exact !== undefined) found.unshift(exact);
    const key = found.map(({ match }) => match.text).join("\n");
    let resolved = this.#resolved.get(key);
    if (resolved === undefined) {
      if (this.#resolved.size >= limits.settingsResolvedMax) this.#resolved.clear();
      resolved = merge(found);
      this.#resolved.set(key, resolved);
    }
    return resolved;
  }

  /** The most specific first. */
  #wildMatching(address: string): Entry[] {
    // A wildcard address has settings like others; the tree knows only what stands for names that are not wild.
    if (isWild(address)) {
      const words = address.split(".");
      return this.#wild.filter(({ match }) => match.matches(words));
    }
    const ranks = this.#tree.matching(address).map(({ rank }) => rank);
    return ranks.sort((one, other) => one - other).flatMap((rank) => this.#wild[rank] ?? []);
  }

  /** Another one after each change. */
  get version(): number {
    return this.#version;
  }

  /** The addresses that messages of some address may go to when they are dead or have expired. */
  sinks(): ReadonlySet<string> {
    return this.#sinks;
  }

  /** Whether messages of some address may go to this one when they are dead or have expired. */
  isSink(name: string): boolean {
    return this.#sinks.has(name);
  }
}

/** Those of several matches, the most specific first. */
function merge(found: readonly Entry[]): AddressSettings {
  let merged = defaultSettings;
  for (const { settings } of found.toReversed()) merged = { ...merged, ...settings };
  return merged;
}

function sinksOf(all: readonly SomeSettings[]): Set<string> {
  const sinks = new Set<string>();
  for (const { deadLetterAddress, expiryAddress } of all) {
    if (deadLetterAddress !== undefined) sinks.add(deadLetterAddress);
    if (expiryAddress !== undefined) sinks.add(expiryAddress);
  }
  return sinks;
}

function allDefaults(): AddressSettings {
  const defaults = Object.fromEntries(
    settingNames.map((name) => [name, settingTable[name].default]),
  );
  assert(isComplete(defaults), "every setting has a default");
  return defaults;
}

function isComplete(settings: object): settings is AddressSettings {
  return settingNames.every((name) => name in settings);
}
