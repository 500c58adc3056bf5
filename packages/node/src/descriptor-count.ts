import { readFileSync } from "node:fs";

/**
 * How many files and sockets the system lets this process have open. Node has raised the soft limit to the
 * hard one by the time this is asked. `undefined` where it is not known: anywhere but on Linux.
 */
export function descriptorCountMax(): number | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    return parseDescriptorCountMax(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    // A container may hide /proc. Then connections are bounded by what is configured alone.
    return undefined;
  }
}

/** The soft limit that `/proc/self/limits` names; `undefined` when there is none. */
export function parseDescriptorCountMax(text: string): number | undefined {
  const found = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}
