/** The operations of a client that can be watched. */
export type TracedOperation = "connect" | "send" | "receive" | "process" | "settle";

/** A message as those see it who watch. */
export interface TracedMessage {
  readonly id: string;
  /** Where it was sent. */
  readonly address: string;
  /** 1 at the first delivery. */
  readonly deliveryCount: number;
  /** Its trace context: properties `traceparent`, `tracestate` and `baggage`, as far as it has them. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * What is told of one operation: one object from its beginning to its end, so that who watches may use it as a key.
 */
export interface TraceDetails {
  /** The URLs of `connect` (without user and password), the address of `send`, else the queue. */
  readonly destination: string;
  /** `send`: what is put here at its beginning travels with the message as properties; its own go before them. */
  readonly headers?: Record<string, string>;
  /** `process`, `settle`, and `receive` when it has ended with one. */
  message?: TracedMessage;
  /** `settle`: what is done with the message. */
  readonly settlement?: "acknowledge" | "release" | "reject";
  /** Why it failed; told at the end. */
  readonly error?: unknown;
  /** Who watches may put a function here at the beginning: the work then runs inside of it. */
  within?: <Result>(work: () => Result) => Result;
}

/** Something that happened to a connection. */
export interface ToldEvent {
  /** The URLs that it was made with, without user and password. */
  readonly destination: string;
  /** As the client's own listeners get it. */
  readonly event: { readonly type: string };
}

/** Watching what a client does: spans of a tracer, for instance. */
export interface Tracing {
  /** Whether anybody watches now. Asked before anything is prepared for them; a few ns. */
  watches(operation: TracedOperation): boolean;
  /** Tells those who watch what happened to a connection. */
  tell(told: ToldEvent): void;
  /** Does `work`, begun before this returns, and tells those who watch how it begins and ends. */
  trace<Result>(
    operation: TracedOperation,
    details: TraceDetails,
    work: () => Promise<Result>,
  ): Promise<Result>;
}
