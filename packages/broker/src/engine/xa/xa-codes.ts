import type { EverholdError } from "@everhold/base";

/**
 * Answers to requests of a transaction manager, as in `javax.transaction.xa.XAResource` and `XAException`:
 * 0 and 3 are success, 5 to 8 what was decided by hand, 100 and above what was rolled back.
 */
export const xaCodes = {
  ok: 0,
  readOnly: 3,
  retry: 4,
  heuristicRollback: 6,
  heuristicCommit: 7,
  rolledBack: 100,
  rolledBackForIntegrity: 103,
  rolledBackForOther: 104,
  rolledBackForTimeout: 106,
  resourceManagerError: -3,
  unknownBranch: -4,
  protocol: -6,
  duplicateBranch: -8,
} as const;

/** The answer to one request. */
export interface XaReply {
  readonly code: number;
  /** Why, for people; null for success. */
  readonly message: string | null;
}

/** What was asked for is done. */
export const xaOk: XaReply = { code: xaCodes.ok, message: null };

/** The answer when a branch was rolled back because of an error. */
export function xaRolledBack({ code, message }: EverholdError): XaReply {
  if (code === "EVH_DUPLICATE_ID") return { code: xaCodes.rolledBackForIntegrity, message };
  if (code === "EVH_TRANSACTION_ROLLED_BACK") return { code: xaCodes.rolledBack, message };
  return { code: xaCodes.rolledBackForOther, message };
}
