import { assert } from "@everhold/base";
import {
  isMatch,
  isSomeSettings,
  settingNames,
  settingTable,
  type SettingName,
  type SettingsByMatch,
  type SomeSettings,
} from "@everhold/broker";
import { z } from "zod";

import { leaf } from "./leaves.ts";
import { durationForms, parseDurationMs, parseSizeBytes, sizeForms } from "./units.ts";

/** The settings of the addresses of one match: what the broker has, with units and texts. */
const someSettings = z.strictObject(
  Object.fromEntries(settingNames.map((name) => [name, settingLeaf(name).optional()])),
);

/** `addressSettings`: settings by match, such as `orders.#`. */
export const addressSettings = z.record(z.string(), someSettings);

/** What a valid configuration says of addresses, in the broker's words. */
export function settingsByMatch(found: z.output<typeof addressSettings>): SettingsByMatch {
  return Object.fromEntries(Object.entries(found).map(([match, some]) => [match, settings(some)]));
}

/** Why a text is no match of address settings; `undefined` when it is one. */
export function problemOfMatch(text: string): string | undefined {
  return isMatch(text)
    ? undefined
    : `"${text.slice(0, 100)}" is no match: expected words between dots, "*" for one word and "#" as the last one for any number`;
}

function settings(some: Readonly<Record<string, unknown>>): SomeSettings {
  // A key that is there without a value would hide what a less specific match says.
  const said = Object.entries(some).filter(([, value]) => value !== undefined);
  const found = Object.fromEntries(said.map(([name, value]) => [name, value ?? undefined]));
  assert(isSomeSettings(found), "the settings have been validated");
  return found;
}

/** `null` says that there is none of what could be named. */
function settingLeaf(name: SettingName): z.ZodType {
  const { accepts, expected, unit } = settingTable[name];
  const forms = { ms: `${durationForms}, `, bytes: `${sizeForms}, ` };
  const form = unit === "ms" || unit === "bytes" ? forms[unit] : "";
  return leaf(form + expected, (value): unknown => {
    if (value === null || value === "") {
      if (accepts(undefined)) return null;
      return accepts(value) ? value : undefined;
    }
    return readings(value, unit).find((one) => one !== undefined && accepts(one));
  });
}

/** What a value may mean: texts of the environment are numbers and truth values as well. */
function readings(value: unknown, unit: string): readonly unknown[] {
  if (typeof value !== "string") return [value];
  if (unit === "ms") return [parseDurationMs(value), numberOf(value)];
  if (unit === "bytes") return [parseSizeBytes(value), numberOf(value)];
  const truth = value === "true" ? true : value === "false" ? false : undefined;
  return [value, numberOf(value), truth];
}

function numberOf(text: string): number | undefined {
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}
