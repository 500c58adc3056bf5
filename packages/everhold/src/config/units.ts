const bytesByUnit: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  TB: 1_000_000_000_000,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

const msByUnit: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** How a size may be written, for messages to people. */
export const sizeForms = "a size such as 64KiB, 128MiB or 1.5GB";

/** How a duration may be written, for messages to people. */
export const durationForms = "a duration such as 250ms, 5s, 2m or 1h";

/** The bytes that `text` means (`128MiB`, `10MB`, `512B`, `512`); `undefined` when it means none. */
export function parseSizeBytes(text: string): number | undefined {
  return parseQuantity(text, bytesByUnit, "B");
}

/** The milliseconds that `text` means (`250ms`, `5s`, `1.5h`, `250`); `undefined` when it means none. */
export function parseDurationMs(text: string): number | undefined {
  return parseQuantity(text, msByUnit, "ms");
}

function parseQuantity(
  text: string,
  factors: Readonly<Record<string, number>>,
  defaultUnit: string,
): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const digits = match?.[1];
  const unit = match?.[2];
  if (digits === undefined || unit === undefined) return undefined;
  const wanted = (unit === "" ? defaultUnit : unit).toLowerCase();
  const found = Object.entries(factors).find(([name]) => name.toLowerCase() === wanted);
  if (found === undefined) return undefined;
  const quantity = Number(digits) * found[1];
  return Number.isSafeInteger(quantity) ? quantity : undefined;
}
