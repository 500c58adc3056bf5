/**
 * What processes of one machine claim. A claim ends with its process, however that ends, and with nothing else: one that
 * stands still keeps it. Each claim has a name of its own that is never used again.
 */
export interface Claims {
  /** Makes a claim of this process. @throws EverholdError EVH_CONFIG, EVH_IO */
  make(name: string): Promise<Claim>;
  /** Looks after a claim of any process. Both callbacks come later, never within the call. */
  watch(name: string, watcher: ClaimWatcher): ClaimWatch;
}

/** What this process claims. */
export interface Claim {
  /** Ends it. Idempotent. */
  release(): Promise<void>;
}

/** Who is told of a claim: `onGone` once and last, before it `onHeld` at most once. */
export interface ClaimWatcher {
  /** Somebody has it. */
  onHeld(): void;
  /** Nobody has it, and nobody ever will. */
  onGone(): void;
}

/** A watch under way. */
export interface ClaimWatch {
  /** Nothing is told any more. */
  stop(): void;
}
