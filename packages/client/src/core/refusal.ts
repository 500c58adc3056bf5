import { errorCodeFromCore, RejectedError, type Outcome } from "@everhold/base";

/** What an EXCEPTION packet says. */
export interface Refusal {
  readonly code: number;
  readonly message: string | null;
}

/** The error for a broker's refusal. `attempt` as in "Cannot <attempt>". */
export function refusalError(
  refusal: Refusal,
  attempt: string,
  outcome: Outcome = "none",
): RejectedError {
  const code = errorCodeFromCore(refusal.code);
  const said = refusal.message ?? "it gave no reason";
  return new RejectedError(
    code,
    `Cannot ${attempt}: the broker refused with ${refusal.code}, ${said}`,
    {
      outcome,
    },
  );
}
