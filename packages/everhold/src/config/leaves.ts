import { z } from "zod";

import { describeFound } from "./config-error.ts";
import { durationForms, parseDurationMs, parseSizeBytes, sizeForms } from "./units.ts";

/** A range of whole numbers, both ends allowed. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** A text that is not empty. */
export function text(meaning: string): z.ZodType<string> {
  return leaf(`${meaning} (a text; quote it when it looks like a number)`, (value) =>
    typeof value === "string" && value !== "" ? value : undefined,
  );
}

/** A whole number within `range`, or a text of one. */
export function integer(range: Range): z.ZodType<number> {
  return leaf(`a whole number from ${range.min} to ${range.max}`, (value) => {
    const number = typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : value;
    return typeof number === "number" && Number.isSafeInteger(number)
      ? within(number, range)
      : undefined;
  });
}

/** True or false, or a text of one. */
export function flag(): z.ZodType<boolean> {
  return leaf("true or false", (value) => {
    if (typeof value === "boolean") return value;
    return value === "true" ? true : value === "false" ? false : undefined;
  });
}

/** One of a few words. */
export function choice<const Word extends string>(words: readonly Word[]): z.ZodType<Word> {
  return leaf(`one of ${words.join(", ")}`, (value) => words.find((word) => word === value));
}

/** A number of bytes: `128MiB`, or a plain number. `range` is in bytes. */
export function size(range: Range, rangeText: string): z.ZodType<number> {
  return leaf(`${sizeForms}, ${rangeText}`, (value) => {
    const bytes = typeof value === "string" ? parseSizeBytes(value) : value;
    return typeof bytes === "number" && Number.isSafeInteger(bytes)
      ? within(bytes, range)
      : undefined;
  });
}

/** A time: `5s`, or a plain number of milliseconds. `range` is in milliseconds. */
export function duration(range: Range, rangeText: string): z.ZodType<number> {
  return leaf(`${durationForms}, ${rangeText}`, (value) => {
    const ms = typeof value === "string" ? parseDurationMs(value) : value;
    return typeof ms === "number" && Number.isSafeInteger(ms) ? within(ms, range) : undefined;
  });
}

/** Any value for which `parse` finds a meaning; `expected` says to people what it may be. */
export function leaf<T>(expected: string, parse: (value: unknown) => T | undefined): z.ZodType<T> {
  return z.unknown().transform((value, context) => {
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    context.addIssue({
      code: "custom",
      message: `found ${describeFound(value)}, expected ${expected}`,
    });
    return z.NEVER;
  });
}

function within(value: number, range: Range): number | undefined {
  return value >= range.min && value <= range.max ? value : undefined;
}
