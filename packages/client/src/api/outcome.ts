import { EverholdError, type ErrorCode } from "@everhold/base";
import type { WaitOptions } from "@everhold/env";
import type { ConnectionCore } from "../connection/connection-core.ts";
import { doubtOf } from "../core/doubts.ts";
import { callOutcome, outcomeFeature } from "../core/number-calls.ts";

/** What became of an operation in doubt. */
export interface OperationOutcome {
  /**
   * `applied`: it took effect, once. `none`: it did not, and never will. `notSeen`: it has not come to the broker so
   * far; what is still on its way may come. `unknown`: nobody can tell (any more).
   */
  readonly outcome: "applied" | "none" | "notSeen" | "unknown";
  /** Why it was refused. */
  readonly code?: ErrorCode;
}

/** Asks the broker what became of what `error` is about. @throws EverholdError why it could not be asked */
export async function askOutcome(
  core: ConnectionCore,
  error: unknown,
  wait: WaitOptions,
): Promise<OperationOutcome> {
  const number = doubtOf(error);
  if (number === undefined) {
    return { outcome: EverholdError.is(error) ? error.outcome : "unknown" };
  }
  const found = await core.query(wait, "ask for the outcome", async (channel) =>
    core.features?.has(outcomeFeature) === true ? callOutcome(channel, number) : undefined,
  );
  if (found?.outcome === "refused") return { outcome: "none", code: found.code };
  return { outcome: found?.outcome ?? "unknown" };
}
