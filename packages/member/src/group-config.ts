import { EverholdError } from "@everhold/base";
import type { Endpoint } from "@everhold/env";
import { groupTiming, type GroupTiming } from "@everhold/replica";

/** What a member of a group can be told. */
export interface GroupConfig {
  /** The member's name: one process at a time may have it in its group. */
  readonly id: string;
  /**
   * Whether it may found the group: make its node where there is none, as the first member, with what its data folder
   * holds. One member of a group is told so. Default false.
   */
  readonly founds: boolean;
  /** What every member knows and nobody else: 16 to 1024 bytes, which nobody can guess. */
  readonly secret: Uint8Array;
  /** Where it listens for the other members. */
  readonly links: Endpoint;
  /** Where the others reach it, `host:port`. Default: where it listens. */
  readonly replication: string | undefined;
  /** Where clients reach it while it is live, `host:port`. Default: its first acceptor. */
  readonly clients: string | undefined;
  /** Nothing is committed while fewer members are in sync; said once, by who founds. Default 1. */
  readonly minInSync: number;
  readonly timing: GroupTiming;
}

/** What a caller may leave out; the defaults are those of {@link GroupConfig}. */
export type GroupOptions = Pick<GroupConfig, "id" | "secret" | "links"> &
  Partial<Pick<GroupConfig, "founds" | "replication" | "clients" | "minInSync">> & {
    readonly timing?: Partial<GroupTiming>;
  };

/** Fills in the defaults. @throws EverholdError EVH_CONFIG naming the key, what was found and what is allowed */
export function groupConfig(options: GroupOptions): GroupConfig {
  const { id, secret, links, founds = false, replication, clients, minInSync = 1 } = options;
  if (!Number.isSafeInteger(minInSync) || minInSync < 1) {
    throw new EverholdError(
      "EVH_CONFIG",
      `group.minInSync: found ${minInSync}, expected a whole number from 1`,
    );
  }
  let timing: GroupTiming;
  try {
    timing = groupTiming(options.timing);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new EverholdError("EVH_CONFIG", `group.timing.${error.message}`, { cause: error });
  }
  return { id, secret, links, founds, replication, clients, minInSync, timing };
}
