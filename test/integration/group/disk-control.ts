import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What a process loads before all else, with `--import`, whose disk is to do as it is told here. */
export const diskFaults = fileURLToPath(new URL("disk-faults.js", import.meta.url));

/** What is wrong with a disk. */
export type DiskTrouble =
  /** Each write and each sync takes so much longer. */
  | { readonly kind: "slow"; readonly delayMs: number }
  /** Nothing can be made, and nothing becomes longer. */
  | { readonly kind: "full" }
  /** No write succeeds, as far as is told: half of them reach the disk all the same. */
  | { readonly kind: "failing" }
  /** Nothing ends, and nothing fails: what reads or writes stands still in the system, until the trouble is over. */
  | { readonly kind: "hanging" };

const name = "disk-trouble.json";

/** What `disk-faults.ts` in the member of this data folder does from now on; `undefined`: nothing. */
export function setDiskTrouble(dataFolder: string, trouble: DiskTrouble | undefined): void {
  const file = join(dirname(dataFolder), name);
  if (trouble === undefined) return rmSync(file, { force: true });
  const gate = hangingGate(dirname(dataFolder));
  if (trouble.kind === "hanging" && !existsSync(gate)) execFileSync("mkfifo", [gate]);
  // Whoever reads sees all of it or nothing.
  writeFileSync(`${file}.new`, JSON.stringify(trouble));
  renameSync(`${file}.new`, file);
}

/** A pipe that nobody opens while a disk hangs: whoever wants to read it is held by the system, as by such a disk. */
export function hangingGate(folder: string): string {
  return join(folder, "disk-hangs.pipe");
}

/** What {@link setDiskTrouble} has set last for the member of the configuration in this folder. */
export function readDiskTrouble(folder: string): DiskTrouble | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, name), "utf8");
  } catch {
    // Nothing is wrong.
    return undefined;
  }
  const trouble: unknown = JSON.parse(text);
  if (isTrouble(trouble)) return trouble;
  throw new Error(`expected the trouble of a disk in ${folder}, found ${text}`);
}

function isTrouble(value: unknown): value is DiskTrouble {
  return typeof value === "object" && value !== null && "kind" in value;
}
