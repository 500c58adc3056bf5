import type { MultiPart } from "@everhold/zookeeper-core";

/** The session of a program that a step is about: they are counted from 0. */
export type SessionNumber = number;

/** What the last transaction that a client claims to have seen is made of. */
export type SeenZxid = "seen" | "none" | "start" | "future";

/** One thing that a client does on the wire. What its answer is depends on the steps before it. */
export type Step =
  /** A connection and a new session. Nothing happens where the program has that session already. */
  | { readonly kind: "open"; readonly session: SessionNumber; readonly timeoutMs: number }
  /** The connection breaks; the session stays. */
  | { readonly kind: "drop"; readonly session: SessionNumber }
  /** Another connection asks for the session. */
  | {
      readonly kind: "resume";
      readonly session: SessionNumber;
      readonly lastZxid: SeenZxid;
      readonly password: "right" | "wrong";
      /** How many servers further than its own, where the connection from before is gone. */
      readonly serversOn: number;
    }
  /** A request with its body as it goes over the wire. */
  | {
      readonly kind: "request";
      readonly session: SessionNumber;
      /** A name of `operations`. */
      readonly operation: RequestName;
      readonly body: Uint8Array;
      /** The body for people. */
      readonly text: string;
    }
  /** Parts that are done at once or not at all. */
  | {
      readonly kind: "multi" | "multiRead";
      readonly session: SessionNumber;
      readonly parts: readonly MultiPart[];
    }
  /** Watches are restored, as of a transaction. */
  | {
      readonly kind: "setWatches";
      readonly session: SessionNumber;
      readonly lastZxid: SeenZxid;
      readonly lists: WatchLists;
    }
  /** A request of this number with any bytes. */
  | {
      readonly kind: "bytes";
      readonly session: SessionNumber;
      readonly code: number;
      readonly body: Uint8Array;
    };

/** The paths of `setWatches2`. */
export interface WatchLists {
  readonly data: readonly string[];
  readonly exists: readonly string[];
  readonly children: readonly string[];
  readonly persistent: readonly string[];
  readonly persistentRecursive: readonly string[];
}

/** Requests that are one step each, by their names in `operations`. */
export type RequestName =
  | "create"
  | "create2"
  | "createContainer"
  | "createTtl"
  | "delete"
  | "exists"
  | "getData"
  | "setData"
  | "getAcl"
  | "setAcl"
  | "getChildren"
  | "getChildren2"
  | "sync"
  | "checkWatches"
  | "removeWatches"
  | "getEphemerals"
  | "countDescendants"
  | "addWatch"
  | "whoAmI"
  | "auth"
  | "closeSession";

/** Sessions and what they do, one step after the other: each is answered before the next begins. */
export interface Program {
  readonly seed: number;
  readonly steps: readonly Step[];
}

/** One step on a line, for people. */
export function showStep(step: Step): string {
  return `s${step.session} ${describe(step)}`;
}

function describe(step: Step): string {
  switch (step.kind) {
    case "open":
      return `open, ${step.timeoutMs} ms`;
    case "drop":
      return "drop";
    case "resume":
      return `resume ${step.serversOn} servers on, ${step.password} password, last zxid ${step.lastZxid}`;
    case "request":
      return `${step.operation} ${step.text}`;
    case "multi":
    case "multiRead":
      return `${step.kind} ${show(step.parts)}`;
    case "setWatches":
      return `setWatches2 as of ${step.lastZxid} ${show(step.lists)}`;
    case "bytes":
      return `request ${step.code} with ${Buffer.from(step.body.subarray(0, 40)).toString("hex")} (${step.body.length} bytes)`;
  }
}

/** A value as JSON; bytes as text where they are short, numbers of 64 bits in digits. */
export function show(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === "bigint") return each.toString();
    return each instanceof Uint8Array ? showBytes(each) : each;
  });
}

/** Bytes as text; of many only how many, and with what they begin. */
export function showBytes(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, 40)).toString("latin1");
  return bytes.length <= 40 ? text : `${bytes.length} bytes from ${text.slice(0, 3)}`;
}
