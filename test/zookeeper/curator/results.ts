/** A state that was told, and how long after the fault, in ms. */
export interface ToldState {
  readonly state: string;
  readonly ms: number;
}

/** What one client was told and did, in one run. All times are ms after the fault; null: it did not happen. */
export interface ClientResult {
  readonly states: readonly ToldState[];
  /** When the servers had deleted the ephemeral node of its session. */
  readonly nodeGoneMs: number | null;
  /** When the node that is held by itself was there again, in another session. */
  readonly heldBackMs: number | null;
  /** When its answer to who asks whether it leads became no. */
  readonly ledUntilMs: number | null;
  /** When it became yes again. */
  readonly ledAgainMs: number | null;
  readonly rivalLedMs: number | null;
  /** How long it said that it led when its rival did so, too, both asked at the same moment. */
  readonly bothLedMs: number;
  /** Whether a change after the fault reached the watch that tells once, and the one that stays. */
  readonly onceTold: boolean;
  readonly keptTold: boolean;
  /** What it answered to calls in the middle of it. */
  readonly answers: Readonly<Record<string, string>>;
}

/** One run of a scenario. */
export interface Run {
  readonly curator: ClientResult;
  readonly everhold: ClientResult;
}

/** What `results.json` holds. */
export interface Results {
  readonly versions: Readonly<Record<"curator" | "zookeeper" | "node" | "java", string>>;
  readonly scenarios: Readonly<Record<string, readonly Run[]>>;
  /** What calls below a chroot that does not exist are answered. */
  readonly wrongChroot: Readonly<Record<"curator" | "everhold", Readonly<Record<string, string>>>>;
}
