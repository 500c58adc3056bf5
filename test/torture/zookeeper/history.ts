/**
 * What happens in a run. Times are microseconds of the clock that all processes of the machine share; tokens are the
 * `czxid` of a young ensemble, which fit into a number.
 */
export type TortureEvent = ContenderEvent | StoreEvent | ConductorEvent;

/** What a process that wants the lock tells of itself. */
export type ContenderEvent =
  | { readonly kind: "session"; readonly process: number; readonly sessionId: string }
  /** It has the lock; told when it knows. */
  | {
      readonly kind: "granted";
      readonly process: number;
      readonly token: number;
      readonly sessionId: string;
      readonly at: number;
    }
  /** It was told that it holds the lock, when it asked; `at` is before it asked. */
  | { readonly kind: "held"; readonly process: number; readonly token: number; readonly at: number }
  /** It does nothing under this grant any more. */
  | {
      readonly kind: "over";
      readonly process: number;
      readonly token: number;
      /** Whether it held it to the end. */
      readonly wasHeld: boolean;
      readonly at: number;
    }
  /** What became of a change of the register in ZooKeeper. */
  | {
      readonly kind: "changed";
      readonly process: number;
      readonly token: number;
      readonly outcome: "applied" | "none" | "unknown";
      readonly count: number;
      /** The transaction that applied it; 0 of others. */
      readonly zxid: number;
    }
  /** A promise that has to settle. */
  | { readonly kind: "began" | "settled"; readonly process: number; readonly promise: string }
  /** A wait that ended without the lock, as an application expects it. */
  | { readonly kind: "gaveUp"; readonly process: number; readonly code: string }
  /** An error that no application expects. */
  | { readonly kind: "failed"; readonly process: number; readonly error: string }
  | ({ readonly kind: "usage"; readonly process: number; readonly at: number } & Usage)
  /** It has closed its client; sockets that are left but are not of the run. */
  | { readonly kind: "ended"; readonly process: number; readonly leakedSockets: number };

/** What a process takes. */
export interface Usage {
  readonly heapBytes: number;
  readonly rssBytes: number;
  /** Sockets, timers and whatever else keeps a process alive. */
  readonly handles: number;
}

/** Registers outside of ZooKeeper, by what their writers do before they write. */
export const registers = ["fenced", "asked", "unasked"] as const;

export type RegisterName = (typeof registers)[number];

/** An access to a register, in the order in which the store did them. */
export interface StoreEvent {
  readonly kind: "access";
  readonly access: "read" | "write";
  readonly register: RegisterName;
  readonly process: number;
  /** What the store was shown. */
  readonly token: number;
  /** Under which grant the process believes to act, by its true token. */
  readonly grant: number;
  /** What was written, or found. */
  readonly value: number;
  /** Whether the store did it. */
  readonly isTaken: boolean;
  readonly at: number;
}

/** What the run itself did. */
export type ConductorEvent =
  | { readonly kind: "fault"; readonly fault: string; readonly at: number }
  /** A session was ended from elsewhere, or may have been: `at` the earliest; `until` then its owner has to know. */
  | {
      readonly kind: "sessionEnded";
      readonly sessionId: string;
      readonly at: number;
      readonly until: number;
    }
  /** It was killed, and all that it had told has come: it settles nothing any more. Another one takes its number. */
  | { readonly kind: "killed"; readonly process: number; readonly at: number }
  /** From now on nobody begins anything, and nothing is harmed. */
  | { readonly kind: "stopping"; readonly at: number };

/** Microseconds of the clock that all processes of the machine share. */
export { nowMicroseconds } from "../history-file.ts";
