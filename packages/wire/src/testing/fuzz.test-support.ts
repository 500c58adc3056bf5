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
