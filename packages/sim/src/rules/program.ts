/**
 * Programs are plain data and every one is valid: what a step names is picked, by a number, from what there
 * is at that time, and a step that finds nothing does nothing. So any part of a failing program can be left out.
 */

/** One seed's broker, queues and program. */
export interface RulesPlan {
  readonly setup: RulesSetup;
  readonly rounds: readonly Round[];
}

/** How the broker and its queues are set up. Times are ms. */
export interface RulesSetup {
  readonly clientCount: number;
  readonly queues: readonly QueuePlan[];
  /** Attempts after which a message goes to the dead letters; −1 for ever. */
  readonly maxDeliveryAttempts: number;
  readonly redelivery: RedeliveryPlan;
  /** Of the address `first`; the others hold what comes. */
  readonly fullness: FullnessPlan;
  readonly segmentBytes: number;
  readonly snapshotBytes: number;
  readonly tailCacheBytes: number;
  /** Bytes of a body above which clients send it in parts. */
  readonly minLargeBytes: number;
  /** How much the clients' clocks are behind the broker's: they do not hide what the broker forgets. */
  readonly clientsBehindMs: number;
  readonly diskDelayMsMax: number;
}

/** What an address may hold, and what becomes of sends beyond. */
export interface FullnessPlan {
  /** Bytes; −1 for no limit. */
  readonly maxSizeBytes: number;
  readonly policy: "block" | "fail" | "drop";
}

/** When messages come again that came back: `delayMs · multiplier^(attempts − 1)`, at most `delayMaxMs`. */
export interface RedeliveryPlan {
  readonly delayMs: number;
  readonly multiplier: number;
  readonly delayMaxMs: number;
  /** Whether what stands behind such a message waits as well. */
  readonly isBlocking: boolean;
}

/** A queue that exists from the beginning. */
export interface QueuePlan {
  readonly name: string;
  readonly address: string;
  readonly routing: "anycast" | "multicast";
  /** Number of a filter, which decides what comes in; −1 for none. */
  readonly filter: number;
  /** Of messages with the same `key` only the newest is kept. */
  readonly isLastValue: boolean;
  /** How many messages may wait; −1 for any number. */
  readonly ringSize: number;
  /** One consumer gets all messages, until it leaves. */
  readonly isExclusive: boolean;
}

/** Steps that begin together. What they do must have come to rest before the next round. */
export interface Round {
  readonly steps: readonly Step[];
  /** Virtual ms that pass before what came of it is looked at. */
  readonly restMs: number;
}

/** Sends messages, one after the other. */
export interface SendStep {
  readonly do: "send";
  readonly client: number;
  readonly target: number;
  readonly count: number;
  readonly durable: boolean;
  readonly priority: number;
  /** Until it expires; 0 for never. */
  readonly ttlMs: number;
  /** Until it is delivered; 0 for at once. */
  readonly delayMs: number;
  readonly color: string | undefined;
  readonly size: number | undefined;
  /** Messages of a group go to one consumer. */
  readonly group: string | undefined;
  /** What last-value queues compare. */
  readonly key: string | undefined;
  readonly bodyChars: number;
  /** Number of a duplicate id; −1 for none. */
  readonly duplicate: number;
  readonly transacted: boolean;
}

/** Opens a consumer. */
export interface OpenStep {
  readonly do: "open";
  readonly client: number;
  readonly queue: number;
  readonly prefetch: number;
  readonly filter: number;
  readonly transacted: boolean;
}

/** Closes a consumer. */
export interface CloseStep {
  readonly do: "close";
  readonly consumer: number;
}

/** Settles messages that a consumer holds. */
export interface SettleStep {
  readonly do: "settle";
  readonly consumer: number;
  readonly pick: number;
  readonly count: number;
  readonly how: "ack" | "release" | "reject";
  /** After which it comes again, of a release; below 0 as the settings say. */
  readonly delayMs: number;
}

/** Ends a client's transaction. */
export interface EndStep {
  readonly do: "commit" | "rollback";
  readonly client: number;
}

/** Sends in a branch of a distributed transaction, and prepares it. */
export interface BranchStep extends Omit<SendStep, "do" | "transacted"> {
  readonly do: "prepare";
}

/** Decides a branch that somebody prepared. */
export interface DecideStep {
  readonly do: "decide";
  readonly client: number;
  readonly pick: number;
  readonly how: "commit" | "rollback";
}

/** Looks through a queue as a client. */
export interface BrowseStep {
  readonly do: "browse";
  readonly client: number;
  readonly queue: number;
}

/** Manages the broker. */
export interface ManageStep {
  readonly do: "manage";
  readonly operation: "expire" | "bury" | "remove" | "retry" | "pause" | "resume";
  readonly queue: number;
  readonly pick: number;
}

/** Something goes wrong, so many ms after the round has begun. */
export interface FaultStep {
  readonly do: "fault";
  readonly fault:
    | "kill broker"
    | "power off broker"
    | "kill broker while writing"
    | "power off broker while writing"
    | "restart broker"
    | "crash client"
    | "cut"
    | "stall"
    | "fill disk";
  readonly client: number;
  readonly afterMs: number;
  readonly durationMs: number;
}

/** One step of a program. */
export type Step =
  | SendStep
  | OpenStep
  | CloseStep
  | SettleStep
  | EndStep
  | BranchStep
  | DecideStep
  | BrowseStep
  | ManageStep
  | FaultStep;

/** A program for people, one line a step. */
export function describeProgram(rounds: readonly Round[]): string[] {
  return rounds.flatMap(({ steps, restMs }, index) => [
    `round ${index + 1}, rests ${restMs} ms`,
    ...steps.map((step) => `  ${describeStep(step)}`),
  ]);
}

/** One step for people. */
export function describeStep(step: Step): string {
  const { do: verb, ...rest } = step;
  const words = Object.entries(rest).filter(([, value]) => value !== undefined);
  return `${verb} ${words.map(([name, value]) => `${name}=${String(value)}`).join(" ")}`;
}
