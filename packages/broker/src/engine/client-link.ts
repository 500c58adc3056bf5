import type { EverholdError } from "@everhold/base";

import type { LargeBody } from "../state/large-body.ts";
import type { AddressCache } from "./address-cache.ts";
import type { Consumer } from "./consumer.ts";
import type { LiveQueue } from "./live-queue.ts";
import type { Provenance } from "./provenance.ts";
import type { Session } from "./session.ts";
import type { DeferredWork } from "./waiters.ts";

/** What the engine knows of one client connection, whatever protocol it speaks. */
export interface ClientLink {
  /** Tells it from all others since the broker started. */
  readonly id: string;
  /** The peer, for messages to people. */
  readonly peer: string;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** As its client says it; empty for none. */
  clientId: string;
  /** Whether it is a client that marks what it sends, and not one that passes on what others marked. */
  readonly sendsMarks: boolean;
  readonly sessions: Iterable<Session>;
  /** Temporary queues: they live as long as the connection. */
  readonly temporaryQueues: Set<LiveQueue>;
  readonly addresses: AddressCache;
  /** It broke, and its sessions wait for their client to come back on another one. */
  readonly isParked: boolean;
  /** Whether a delivery may be written: the level of unsent bytes is below its limit. */
  readonly isWritable: boolean;
  /** A delivery was held back because of that; its queues are pumped when the connection drains. */
  isHeldBack: boolean;
  /** Ends it, because of what the error says. */
  fail(error: EverholdError): void;
  /** As {@link fail}, for a consumer that is too slow: its client is told, and does not come back by itself. */
  kill(error: EverholdError): void;
}

/** All client connections. */
export interface ClientDirectory {
  readonly connectionCount: number;
  /** Connections and sessions since the broker started. */
  readonly connectionCountTotal: number;
  readonly sessionCountTotal: number;
  links(): Iterable<ClientLink>;
}

/** How the engine talks to the client of one session. Every method writes to the connection's output. */
export interface SessionSink {
  readonly link: ClientLink;
  /**
   * Hands out one message and returns the bytes to charge to the consumer's credits. `moved` says that it
   * may have come by a move, as dead letters do. `key` is that of its row where the same bytes can be found
   * by it as long as the client has not settled the message, else −1.
   */
  deliver(
    consumer: Consumer,
    key: number,
    deliveryCount: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    moved: Provenance | undefined,
  ): number;
  /** Bytes of a body that one part of a large message may carry. */
  readonly partBytesMax: number;
  /** As {@link deliver} for the headers of a large message, whose body of `bodyBytes` follows in parts. */
  deliverLarge(
    consumerId: number,
    deliveryCount: number,
    bodyBytes: number,
    message: Uint8Array,
    moved: Provenance | undefined,
  ): number;
  /**
   * A part of the body, which lies at `position` of the journal, and whether it is the last. Returns the
   * bytes to charge.
   */
  deliverPart(
    consumerId: number,
    part: Uint8Array,
    isLast: boolean,
    body: LargeBody,
    position: number,
  ): number;
  /** Says that all that could be delivered has been. */
  answerForcedDelivery(consumerId: number, sequence: number, queueName: string): void;
  /** The consumer's queue is gone. */
  disconnectConsumer(consumerId: number): void;
  /** Ends the session in order: another one goes on for it. */
  endSession(): void;
  /** Runs `work` once everything in the journal so far is committed, and all earlier answers are out. */
  afterCommit(work: DeferredWork): void;
  /** Grants credits to the session's producers of an address, or says that they get none. */
  grantCredits(address: string, credits: number, isRefused: boolean): void;
}
