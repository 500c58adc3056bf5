import { EverholdError } from "@everhold/base";
import { checkAcl, checkPath, optionError } from "../../api/request-options.ts";
import type { LeaseTiming } from "../../lease/lease.ts";
import type { Acl } from "../../protocol/acl.ts";
import type { Participant } from "../contention/participants.ts";

/** How to stand for an election. */
export interface CandidateOptions extends LeaseTiming {
  /** Who this is, for others to see. Default: nothing. */
  readonly id?: string;
  /** Who may do what with the nodes. Default: everybody everything. */
  readonly acl?: readonly Acl[];
}

/** One who stands for an election, or leads, as it was when it was read. */
export interface Candidate {
  /** Its node. */
  readonly path: string;
  /** Who it says that it is. */
  readonly id: string;
  /** The fencing token of its term, once it has one. */
  readonly token: bigint;
  /** The session that it belongs to. */
  readonly sessionId: bigint;
}

/** Refuses what can't be. @throws TypeError; ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG */
export function checkCandidate(attempt: string, path: string, options: CandidateOptions): void {
  const { id = "", acl } = options;
  checkPath(attempt, path);
  if (typeof id !== "string") throw optionError(attempt, "id", id, "a text");
  if (acl !== undefined) checkAcl(attempt, acl);
}

/** Who stands in line, in the words of an election. */
export function candidatesOf(participants: readonly Participant[]): readonly Candidate[] {
  return participants.map(({ path, data, token, sessionId }) => {
    return { path, id: new TextDecoder().decode(data ?? undefined), token, sessionId };
  });
}

/** Whether another session, or another connection, may do what failed. */
export function isOfConnection(error: unknown): boolean {
  if (!EverholdError.is(error)) return false;
  switch (error.code) {
    case "EVH_SESSION_EXPIRED":
    case "EVH_LEASE_LOST":
    case "EVH_DISCONNECTED":
    case "EVH_UNSENT":
    case "EVH_TIMEOUT":
      return true;
    default:
      return false;
  }
}
