import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Cause } from "./outages.ts";

/** What became of a group's members in a run, besides what clients saw. */
export interface GroupEnd {
  /** Members whose journal is no beginning of the longest, and none that it is a beginning of. */
  readonly diverged: number;
  /** What was done to members, and to what settles who leads. */
  readonly harms: readonly Cause[];
  /** How often a member was filled up. */
  readonly fills: number;
  /** The group's last epoch: how often somebody stood for promotion. */
  readonly epoch: number;
}

const name = "group-end.json";

export function writeGroupEnd(folder: string, end: GroupEnd): void {
  writeFileSync(join(folder, name), JSON.stringify(end));
}

/** Undefined for a run without a group. */
export function readGroupEnd(folder: string): GroupEnd | undefined {
  const file = join(folder, name);
  if (!existsSync(file)) return undefined;
  const end: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (isGroupEnd(end)) return end;
  throw new Error(`${file} does not say what became of a group`);
}

function isGroupEnd(value: unknown): value is GroupEnd {
  return typeof value === "object" && value !== null && "diverged" in value && "harms" in value;
}
