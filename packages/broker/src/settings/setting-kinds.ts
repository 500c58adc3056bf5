import { isName } from "../engine/names.ts";
import { limits } from "../limits.ts";

/** What one setting of an address can be. `default` holds where nothing else is said. */
export interface Setting<T> {
  readonly default: T;
  /** What it does, in one sentence, for people. */
  readonly doc: string;
  /** What it is measured in; empty for what has no unit. */
  readonly unit: SettingUnit;
  /** What may be said, in words. */
  readonly expected: string;
  /** Whether a value is one of those. */
  readonly accepts: (value: unknown) => boolean;
}

/** What a setting is measured in. */
export type SettingUnit = "" | "ms" | "bytes" | "messages" | "consumers";

/** Yes or no. */
export function flag(byDefault: boolean, doc: string): Setting<boolean> {
  return {
    default: byDefault,
    doc,
    unit: "",
    expected: "true or false",
    accepts: (value) => typeof value === "boolean",
  };
}

/** Where the numbers of a setting begin and end, and what they count. */
export interface NumberRange {
  readonly min: number;
  readonly max: number;
  readonly unit: SettingUnit;
}

/** A whole number. */
export function whole(byDefault: number, range: NumberRange, doc: string): Setting<number> {
  const { min, max, unit } = range;
  return {
    default: byDefault,
    doc,
    unit,
    expected: `a whole number from ${min} to ${max}`,
    accepts: (value) => Number.isSafeInteger(value) && isWithin(value, range),
  };
}

/** A number that may have a fraction. */
export function factor(byDefault: number, range: NumberRange, doc: string): Setting<number> {
  const { min, max, unit } = range;
  return {
    default: byDefault,
    doc,
    unit,
    expected: `a number from ${min} to ${max}`,
    accepts: (value) => Number.isFinite(value) && isWithin(value, range),
  };
}

/** The name of an address, or `undefined` for none. */
export function addressName(
  byDefault: string | undefined,
  doc: string,
): Setting<string | undefined> {
  return {
    default: byDefault,
    doc,
    unit: "",
    expected: `a name of 1 to ${limits.nameCharsMax} characters without "::"`,
    // A name that no address could have would come out only when the first message is to go there.
    accepts: (value) => value === undefined || (typeof value === "string" && isName(value)),
  };
}

/** A part of a name, which may be empty. */
export function namePart(byDefault: string, doc: string): Setting<string> {
  return {
    default: byDefault,
    doc,
    unit: "",
    expected: `a text of at most ${limits.nameCharsMax} characters without "::"`,
    accepts: (value) => typeof value === "string" && (value === "" || isName(value)),
  };
}

/** The key of a property of messages, or `undefined` for none. */
export function propertyKey(doc: string): Setting<string | undefined> {
  return {
    default: undefined,
    doc,
    unit: "",
    expected: `a text of 1 to ${limits.nameCharsMax} characters`,
    accepts: (value) =>
      value === undefined ||
      (typeof value === "string" && value.length > 0 && value.length <= limits.nameCharsMax),
  };
}

/** One of some words. */
export function choice<const T extends string>(
  choices: readonly T[],
  byDefault: NoInfer<T>,
  doc: string,
): Setting<T> & { readonly choices: readonly T[] } {
  return {
    default: byDefault,
    doc,
    unit: "",
    expected: `one of ${choices.join(", ")}`,
    accepts: (value) => choices.some((one) => one === value),
    choices,
  };
}

function isWithin(value: unknown, { min, max }: NumberRange): boolean {
  return typeof value === "number" && value >= min && value <= max;
}
