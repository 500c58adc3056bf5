import {
  checkTimeout,
  deadlineIn,
  onWaitEnd,
  type WaitOptions,
  type WaitPorts,
} from "@everhold/env";

/**
 * Does `work`, whose requests take the signal that it is given, and rejects with why the wait has ended where it does
 * first. No time limit by default. @throws EverholdError EVH_TIMEOUT, EVH_ABORTED; what `work` throws
 */
export async function within<T>(
  ports: WaitPorts,
  wait: WaitOptions,
  attempt: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadlineMs = deadlineIn(ports, checkTimeout(wait.timeout, Infinity));
  const ending = new AbortController();
  const limits = { deadlineMs, signal: wait.signal };
  const subject = { attempt, outcome: () => "none" as const };
  const forget = onWaitEnd(ports, limits, subject, (error) => ending.abort(error));
  try {
    if (ending.signal.aborted) throw ending.signal.reason;
    return await work(ending.signal);
  } catch (error) {
    throw ending.signal.aborted ? ending.signal.reason : error;
  } finally {
    forget();
  }
}
