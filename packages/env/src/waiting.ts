import { EverholdError, listenForAbort, type Outcome, TimeoutError } from "@everhold/base";
import type { MonotonicClock } from "./clock.ts";
import type { Timer, Timers } from "./timers.ts";

/** How long a caller is willing to wait. */
export interface WaitOptions {
  /** Milliseconds; 0 or more. What holds without it is said at each operation. */
  readonly timeout?: number;
  /** Ends the wait with EVH_ABORTED. */
  readonly signal?: AbortSignal;
}

/** The ports that waiting needs. */
export interface WaitPorts {
  readonly timers: Timers;
  readonly monotonicClock: MonotonicClock;
}

/** A point of monotonic time; `Infinity` is never. Computed once and handed down. */
export type DeadlineMs = number;

/** The deadline that is `timeoutMs` from now. */
export function deadlineIn(ports: WaitPorts, timeoutMs: number): DeadlineMs {
  return timeoutMs === Infinity ? Infinity : ports.monotonicClock.nowMs() + timeoutMs;
}

/** A caller's timeout, checked. @throws RangeError */
export function checkTimeout(timeout: number | undefined, byDefault: number): number {
  const value = timeout ?? byDefault;
  // A text, as from the environment, would not be added to a time but put behind its digits.
  if (typeof value === "number" && value >= 0) return value;
  throw new RangeError(`timeout is ${String(value)}, expected 0 or more milliseconds`);
}

/** Who waits for what, for the words of an error. */
export interface WaitSubject {
  /** As in "Cannot <attempt>". */
  readonly attempt: string;
  /** What is known of the operation's effect when the wait ends early. Asked at that time. */
  readonly outcome: () => Outcome;
}

/**
 * Runs `onEnd` once, with the error that ends the wait, when the deadline passes or the signal aborts;
 * an aborted signal ends it before this returns. The returned function forgets about both.
 */
export function onWaitEnd(
  ports: WaitPorts,
  wait: { readonly deadlineMs: DeadlineMs; readonly signal: AbortSignal | undefined },
  subject: WaitSubject,
  onEnd: (error: EverholdError) => void,
): () => void {
  const { deadlineMs, signal } = wait;
  if (signal?.aborted === true) {
    onEnd(abortedError(subject, signal.reason));
    return () => undefined;
  }
  if (deadlineMs === Infinity && signal === undefined) return () => undefined;
  let timer: Timer | undefined;
  const onAbort = (): void => finish(abortedError(subject, signal?.reason));
  const forgetSignal = signal === undefined ? undefined : listenForAbort(signal, onAbort);
  const forget = (): void => {
    timer?.cancel();
    forgetSignal?.();
  };
  const finish = (error: EverholdError): void => {
    forget();
    onEnd(error);
  };
  if (deadlineMs !== Infinity) {
    const delayMs = Math.max(0, deadlineMs - ports.monotonicClock.nowMs());
    timer = ports.timers.after(delayMs, () => finish(timeoutError(subject)));
  }
  return forget;
}

/** `promise`, or the error that ends the wait for it. What `promise` does later is let be. */
export function waitFor<T>(
  ports: WaitPorts,
  wait: { readonly deadlineMs: DeadlineMs; readonly signal: AbortSignal | undefined },
  subject: WaitSubject,
  promise: Promise<T>,
): Promise<T> {
  return orWaitEnd(promise, (onEnd) => onWaitEnd(ports, wait, subject, onEnd));
}

/**
 * `promise`, or the error that `begin` calls back with: it begins a wait, and returns the function that forgets about
 * it. A promise that is settled already comes before an error that takes a step.
 */
export function orWaitEnd<T>(
  promise: Promise<T>,
  begin: (onEnd: (error: EverholdError) => void) => () => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let forget = (): void => undefined;
    promise.then(
      (value) => {
        forget();
        resolve(value);
      },
      (error: unknown) => {
        forget();
        reject(error);
      },
    );
    forget = begin(reject);
  });
}

/**
 * What a call gives, or the error that ends the caller's wait for it; the call goes on, so nobody knows its effect
 * then. Where the signal is aborted already it does not begin. Default: no limit. @throws RangeError
 */
export async function callWithin<T>(
  ports: WaitPorts,
  wait: WaitOptions,
  attempt: string,
  begin: () => Promise<T>,
): Promise<T> {
  const deadlineMs = deadlineIn(ports, checkTimeout(wait.timeout, Infinity));
  const { signal } = wait;
  if (signal?.aborted === true) {
    throw abortedError({ attempt, outcome: () => "none" }, signal.reason);
  }
  const subject: WaitSubject = { attempt, outcome: () => "unknown" };
  return waitFor(ports, { deadlineMs, signal }, subject, begin());
}

/**
 * What has begun and goes on in any case, or the error that ends the caller's wait for it: nobody knows its effect then.
 * Default: no limit. @throws RangeError
 */
export function waitBegun<T>(
  ports: WaitPorts,
  wait: WaitOptions,
  attempt: string,
  begun: Promise<T>,
): Promise<T> {
  begun.catch(() => undefined);
  const deadlineMs = deadlineIn(ports, checkTimeout(wait.timeout, Infinity));
  const subject: WaitSubject = { attempt, outcome: () => "unknown" };
  return waitFor(ports, { deadlineMs, signal: wait.signal }, subject, begun);
}

/** A pause that ends early, without an error, when the signal aborts. */
export function pause(ports: WaitPorts, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const onAbort = (): void => {
      timer.cancel();
      resolve();
    };
    const timer = ports.timers.after(delayMs, () => {
      forgetSignal();
      resolve();
    });
    const forgetSignal = listenForAbort(signal, onAbort);
  });
}

function timeoutError(subject: WaitSubject): EverholdError {
  return new TimeoutError(
    "EVH_TIMEOUT",
    `Cannot ${subject.attempt}: the time limit passed before it was done`,
    { outcome: subject.outcome() },
  );
}

function abortedError(subject: WaitSubject, reason: unknown): EverholdError {
  return new EverholdError(
    "EVH_ABORTED",
    `Cannot ${subject.attempt}: the caller's signal was aborted`,
    { outcome: subject.outcome(), cause: reason },
  );
}
