import { statSync } from "node:fs";
import { resolve } from "node:path";

import { EverholdError } from "@everhold/base";
import type { VerifyReport } from "@everhold/journal";
import { NodeDisk, NodeHash } from "@everhold/node";

/**
 * Reads a whole data folder and checks every byte that a broker wrote; changes nothing. No broker may
 * run on it meanwhile.
 *
 * `onProgress` is told now and then how many bytes of how many were checked. `chainAt`: a position whose chain value is
 * told.
 *
 * @throws EverholdError EVH_DATA_LOCKED, EVH_DATA_FOLDER
 */
export async function verifyData(
  folder: string,
  onProgress?: (checkedBytes: number, totalBytes: number) => void,
  chainAt?: number,
): Promise<VerifyReport> {
  const location = resolve(folder);
  // The disk would make the folder; who asks whether data is sound wants to know that there is none.
  if (statSync(location, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new EverholdError("EVH_DATA_FOLDER", `there is no folder ${location}`);
  }
  // Only who verifies pays for loading it.
  const { verifyJournal } = await import("@everhold/journal");
  const ports = { disk: new NodeDisk({ folder: location }), hash: new NodeHash() };
  return verifyJournal(ports, onProgress, chainAt);
}
