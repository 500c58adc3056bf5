/** What waits for one signal. */
interface SignalWaits {
  readonly waiting: Set<() => void>;
  readonly onAbort: () => void;
}

/** What waits for each signal. One listener serves all, because Node warns of a leak at the eleventh. */
const waitsBySignal = new WeakMap<AbortSignal, SignalWaits>();

/**
 * Calls `onAbort` once when `signal` aborts; the returned function forgets about it, and with the last one
 * nothing of it is left at the signal, which may outlive everything here. For a signal that is not aborted yet.
 */
export function listenForAbort(signal: AbortSignal, onAbort: () => void): () => void {
  const waits = waitsBySignal.get(signal) ?? listen(signal);
  waits.waiting.add(onAbort);
  return () => {
    if (!waits.waiting.delete(onAbort) || waits.waiting.size > 0) return;
    signal.removeEventListener("abort", waits.onAbort);
    waitsBySignal.delete(signal);
  };
}

function listen(signal: AbortSignal): SignalWaits {
  const waiting = new Set<() => void>();
  const onAbort = (): void => {
    waitsBySignal.delete(signal);
    for (const one of waiting) {
      waiting.delete(one);
      one();
    }
  };
  const waits = { waiting, onAbort };
  waitsBySignal.set(signal, waits);
  signal.addEventListener("abort", onAbort, { once: true });
  return waits;
}
