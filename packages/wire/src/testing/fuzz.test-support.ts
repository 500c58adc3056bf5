import { ProtocolError } from "@everhold/base";

/** How long each fuzz test runs, in ms: `EVERHOLD_FUZZ_SECONDS` for all of them, default half a second. */
export function fuzzMs(): number {
  const seconds = Number(process.env["EVERHOLD_FUZZ_SECONDS"] ?? "0.5");
  return seconds * 1000;
}

/** The seed of this run: `EVERHOLD_FUZZ_SEED`, else a new one. */
export function fuzzSeed(): number {
  const given = process.env["EVERHOLD_FUZZ_SEED"];
  return given === undefined ? Date.now() % 0x1_0000_0000 : Number(given);
}

/** Calls `decode` and returns its value, or the typed error it threw; any other error passes through. */
export function typedOutcome<T>(decode: () => T): T | ProtocolError {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
}

/** Bytes written as hex digits with any white space between them. */
export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

/** The hex digits of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
