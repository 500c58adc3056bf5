import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";

/** Whether an address or a queue may have this name. */
export function isName(name: string): boolean {
  return name.length > 0 && name.length <= limits.nameCharsMax && !name.includes("::");
}

/**
 * Refuses what cannot be the name of an address or a queue; `what` says which.
 * @throws EverholdError EVH_INVALID_QUEUE
 */
export function checkName(what: string, name: string): void {
  if (isName(name)) return;
  const shown = name.length > 100 ? `${name.slice(0, 100)}…` : name;
  throw new EverholdError(
    "EVH_INVALID_QUEUE",
    `cannot create the ${what} "${shown}": a name has 1 to ${limits.nameCharsMax} characters and no "::"`,
  );
}

/** A name taken apart: `address::queue` names both, anything else serves as either. */
export interface QualifiedName {
  readonly address: string;
  readonly queue: string;
  readonly isQualified: boolean;
}

/** Takes a possibly fully qualified name (`address::queue`) apart. */
export function splitName(name: string): QualifiedName {
  const colons = name.indexOf("::");
  if (colons < 0) return { address: name, queue: name, isQualified: false };
  return { address: name.slice(0, colons), queue: name.slice(colons + 2), isQualified: true };
}
