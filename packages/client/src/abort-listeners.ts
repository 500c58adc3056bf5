/** What waits for each signal. One listener serves all, because Node warns of a leak at the eleventh. */
const waitsBySignal = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `onAbort` once when `signal` aborts; the returned function forgets about it. For a signal that is
 * not aborted yet.
 */
export function listenForAbort(signal: AbortSignal, onAbort: () => void): () => void {
  const waits = waitsBySignal.get(signal) ?? firstListener(signal);
  waits.add(onAbort);
  return () => {
    waits.delete(onAbort);
  };
}

/** Stays as long as the signal: waits may come and go many times a second. */
function firstListener(signal: AbortSignal): Set<() => void> {
  const waits = new Set<() => void>();
  waitsBySignal.set(signal, waits);
  const abort = (): void => {
    for (const onAbort of waits) onAbort();
    waits.clear();
  };
  signal.addEventListener("abort", abort, { once: true });
  return waits;
}
