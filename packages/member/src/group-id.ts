import { EverholdError } from "@everhold/base";

/** A group's id as its node in ZooKeeper has it: 32 hexadecimal digits. */
export function groupIdText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The 16 bytes of an id that the group's node has. @throws EverholdError EVH_CONFIG */
export function groupIdOf(text: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/.test(text)) {
    throw new EverholdError(
      "EVH_CONFIG",
      `the group's node names the group ${JSON.stringify(text)}, expected 32 hexadecimal digits`,
    );
  }
  return Uint8Array.from({ length: 16 }, (_, index) =>
    Number.parseInt(text.slice(2 * index, 2 * index + 2), 16),
  );
}
