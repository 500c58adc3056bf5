import {
  isSettingName,
  settingNames,
  settingTable,
  type AddressSettings,
  type SettingName,
  type SomeSettings,
} from "./setting-table.ts";
import { isSomeSettings } from "./settings-by-match.ts";

/** Settings as they are kept: JSON with our names and units, `null` where there is none of what could be named. */
export function writeSettings(settings: SomeSettings): string {
  const entries = Object.entries(settings).map(([name, value]) => [name, value ?? null]);
  return JSON.stringify(Object.fromEntries(entries));
}

/** Settings from {@link writeSettings}, and the names of those that this version does not understand. */
export function readSettings(json: string): {
  readonly settings: SomeSettings;
  readonly unknown: readonly string[];
} {
  const unknown: string[] = [];
  const known: [string, unknown][] = [];
  for (const [name, found] of Object.entries(parseObject(json) ?? {})) {
    const value = found ?? undefined;
    if (isSettingName(name) && settingTable[name].accepts(value)) known.push([name, value]);
    else unknown.push(name);
  }
  const settings = Object.fromEntries(known);
  return { settings: isSomeSettings(settings) ? settings : {}, unknown };
}

/** A problem with settings that somebody gives. */
export interface SettingsProblem {
  readonly problem: string;
}

/**
 * Settings as Artemis' tools give them: its names and units (see {@link artemisName}), or ours; numbers and truth
 * values may be texts. What is `null` is not said, but an empty text names no address.
 */
export function readArtemisSettings(json: string): SomeSettings | SettingsProblem {
  const found = parseObject(json);
  if (found === undefined) return { problem: "expected a JSON object" };
  const settings: Record<string, unknown> = {};
  for (const [key, said] of Object.entries(found)) {
    if (said === null) continue;
    const name = settingOf(key);
    if (name === undefined) return { problem: `there is no setting "${key.slice(0, 100)}"` };
    const { accepts, expected } = settingTable[name];
    const value = readValue(name, said);
    if (!accepts(value)) {
      return { problem: `"${key}" is ${shownJson(said)}, expected ${expected}` };
    }
    settings[name] = value;
  }
  return isSomeSettings(settings) ? settings : { problem: "expected settings" };
}

/** What was found in JSON, for people; a structure is only named, for it may be too deep to be written. */
export function shownJson(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value).slice(0, 100);
  return Array.isArray(value) ? "an array" : "an object";
}

/** All settings under the names that Artemis' tools know, in its units. */
export function writeArtemisSettings(
  settings: AddressSettings | SomeSettings,
): Record<string, boolean | number | string> {
  const written: Record<string, boolean | number | string> = {};
  for (const name of settingNames) {
    if (!(name in settings)) continue;
    const value = settings[name];
    written[artemisName(name)] = isChoice(name)
      ? toWord(String(value))
      : name === checkPeriod && typeof value === "number"
        ? value / 1_000
        : (value ?? "");
  }
  return written;
}

/** In seconds there; in ms here, as all times. */
const checkPeriod: SettingName = "slowConsumerCheckPeriod";

const otherNames: Readonly<Partial<Record<SettingName, string>>> = {
  redeliveryDelayMultiplier: "redeliveryMultiplier",
  sendToDlaOnNoRoute: "sendToDLAOnNoRoute",
  addressFullPolicy: "addressFullMessagePolicy",
};

/** What Artemis calls a setting in JSON. Source: `AddressSettings`. */
export function artemisName(name: SettingName): string {
  return otherNames[name] ?? name;
}

function settingOf(key: string): SettingName | undefined {
  if (isSettingName(key)) return key;
  return settingNames.find((name) => otherNames[name] === key);
}

function readValue(name: SettingName, said: unknown): unknown {
  const byDefault = settingTable[name].default;
  if (typeof byDefault === "boolean" && typeof said === "string") {
    return said === "true" ? true : said === "false" ? false : said;
  }
  if (typeof byDefault === "number") {
    const number = typeof said === "string" && said.trim() !== "" ? Number(said) : said;
    return name === checkPeriod && typeof number === "number" ? number * 1_000 : number;
  }
  if (isChoice(name) && typeof said === "string") {
    return settingTable[name].accepts(said) ? said : toOurs(said);
  }
  const { accepts } = settingTable[name];
  return said === "" && !accepts(said) && accepts(undefined) ? undefined : said;
}

function isChoice(name: SettingName): boolean {
  return "choices" in settingTable[name];
}

/** `messagesPerSecond` → `MESSAGES_PER_SECOND`. */
function toWord(value: string): string {
  return value.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** `MESSAGES_PER_SECOND` → `messagesPerSecond`. */
function toOurs(word: string): string {
  return word.toLowerCase().replaceAll(/_[a-z]/g, (pair) => pair.slice(1).toUpperCase());
}

function parseObject(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? { ...value } : undefined;
  } catch {
    // Whoever calls says what was expected.
    return undefined;
  }
}
