import type { EverholdError } from "@everhold/base";
import type { Compression, Tracing, WaitOptions } from "@everhold/env";
import type { Body } from "../message/body.ts";
import type { SendOptions } from "../message/send-options.ts";
import type { ReceivedMessage } from "./received-message.ts";

/** What the settlement of one consumer's deliveries needs. */
export interface SettlementHost {
  readonly consumerId: number;
  readonly queue: string;
  /** Whether acknowledgements belong to a transaction. */
  readonly transacted: boolean;
  /** Sends a copy of a refused message to the dead-letter address. */
  readonly deadLetter: (message: ReceivedMessage, reason: string | undefined) => Promise<void>;
  /** Sends a copy of a message to its queue that is due in so many milliseconds. */
  readonly delay: (message: ReceivedMessage, delayMs: number) => Promise<void>;
  /** Whether the broker of this connection settles exactly one delivery, as Everhold does. */
  readonly settlesExactly: () => boolean;
  /** Whether the application says itself where refused messages go. */
  readonly hasOwnDeadLetters: boolean;
  readonly reply: (
    message: ReceivedMessage,
    body: Body,
    options: SendOptions | undefined,
  ) => Promise<void>;
  /** Notes work of the transaction. @throws EverholdError EVH_TRANSACTION_ROLLED_BACK */
  readonly onWork: () => void;
  readonly onError: (error: unknown) => void;
  /** Why nobody waits any longer for a connection that broke; `undefined`: it stands, or may be waited for. */
  readonly overdueError: () => EverholdError | undefined;
  /** What a call gives, or that the connection has been away for too long. */
  readonly unlessOverdue: <T>(attempt: string, call: Promise<T>) => Promise<T>;
  /** What a call gives, or that its caller waits no longer. */
  readonly within: (
    wait: WaitOptions,
    attempt: string,
    begin: () => Promise<void>,
  ) => Promise<void>;
  readonly compression: Compression | undefined;
  readonly tracing: Tracing | undefined;
  /** A message left the application's hands, so there is room for another. */
  readonly onRoom: () => void;
  /** What nobody had taken goes back to the queue as well: all of it, or the last so many messages. */
  readonly onReturned: (count?: number) => void;
  /** The message of which only a part has come, and of which nobody knows yet; `undefined` for none. */
  readonly partlyCome: () => number | undefined;
  /** Deliveries begin again. */
  readonly onResumed: () => void;
}
