import { ClosedError, ConnectionError, EverholdError } from "@everhold/base";
import type { ReceivedMessage } from "./received-message.ts";

/** For an acknowledgement whose message did not come again after the connection broke. */
export function lostAckError(message: ReceivedMessage): EverholdError {
  if (!message.ackSent) return lostError(message, "acknowledge");
  return new EverholdError(
    "EVH_UNBLOCKED",
    `Cannot tell whether the message ${message.messageId} was acknowledged: the connection broke ` +
      "before the answer, and it has not come again",
    { outcome: "unknown" },
  );
}

/** For somebody who waits no longer for an acknowledgement, which is done all the same. */
export function overdueAckError(message: ReceivedMessage, cause: EverholdError): EverholdError {
  return new EverholdError(
    cause.code,
    `Cannot tell yet whether the message ${message.messageId} was acknowledged: the connection has been away ` +
      "for too long",
    { cause, outcome: "unknown" },
  );
}

/** For what is not begun, because nobody waits any longer for the connection. */
export function overdueError(
  message: ReceivedMessage,
  verb: string,
  cause: EverholdError,
): EverholdError {
  return new ConnectionError(
    "EVH_NOT_CONNECTED",
    `Cannot ${verb} the message ${message.messageId}: ${cause.message}`,
    { cause },
  );
}

/** For a message that is no longer this consumer's. */
export function lostError(message: ReceivedMessage, verb: string): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot ${verb} the message ${message.messageId}: the broker took it back, and may deliver it again`,
  );
}

/** For a message that has been decided about. */
export function stateError(message: ReceivedMessage, verb: string): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot ${verb} the message ${message.messageId}: found it ${message.state}`,
  );
}

/** For what a transaction can do only as a whole. */
export function transactedError(verb: string): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot ${verb} one message of a transaction: roll the session back instead`,
  );
}

/** For a message whose consumer is closed. */
export function closedError(message: ReceivedMessage, verb: string): ClosedError {
  return new ClosedError(
    "EVH_CLOSED",
    `Cannot ${verb} the message ${message.messageId}: its consumer is closed`,
  );
}

/** Anything that was thrown while a message was settled, as an error of Everhold. */
export function asSettleError(error: unknown): EverholdError {
  if (EverholdError.is(error)) return error;
  return new EverholdError("EVH_REJECTED", "Cannot settle the message", { cause: error });
}
