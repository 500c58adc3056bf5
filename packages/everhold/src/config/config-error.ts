import { EverholdError } from "@everhold/base";

/** An EVH_CONFIG error; `where` (a place such as `everhold.yaml:3:5`) leads its message. */
export function configError(
  where: string | undefined,
  problem: string,
  cause?: unknown,
): EverholdError {
  const message = where === undefined ? problem : `${where}: ${problem}`;
  return new EverholdError("EVH_CONFIG", message, { cause });
}

/** A short rendering of what was found, for messages to people. */
export function describeFound(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") return typeof value === "object" ? "a map" : `a ${typeof value}`;
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
