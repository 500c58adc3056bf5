import { EverholdError } from "@everhold/base";
import type { Disk, Hash } from "@everhold/env";

/** The ports that only brokers use: there is no broker in a browser, so nobody asks for them. */
export const brokerPorts: { readonly disk: Disk; readonly hash: Hash } = {
  disk: {
    location: "nowhere",
    list: noDisk,
    create: noDisk,
    open: noDisk,
    rename: noDisk,
    remove: noDisk,
    freeBytes: noDisk,
    lock: noDisk,
  },
  hash: {
    crc32: () => {
      throw new EverholdError("EVH_NOT_IMPLEMENTED", "Cannot compute a checksum: found a browser");
    },
  },
};

function noDisk(): Promise<never> {
  return Promise.reject(new EverholdError("EVH_DATA_FOLDER", "Cannot use a disk: found a browser"));
}
