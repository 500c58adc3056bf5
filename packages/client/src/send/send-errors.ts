import { ConnectionError, RejectedError, type EverholdError } from "@everhold/base";

/** For sends that left, and that nobody will answer any more. */
export function lostSendError(cause: EverholdError, count = 1): ConnectionError {
  const subject = count === 1 ? "the message was" : `${count} messages were`;
  return new ConnectionError(
    "EVH_UNBLOCKED",
    `Cannot tell whether ${subject} sent: the connection ended before the broker's answer`,
    { cause, outcome: "unknown" },
  );
}

/** For somebody who waits no longer for the answer to a send, which is sent again all the same. */
export function overdueSendError(cause: EverholdError): ConnectionError {
  return new ConnectionError(
    cause.code,
    "Cannot tell yet whether the message was sent: the connection has been away for too long",
    { cause, outcome: "unknown" },
  );
}

/** For a streamed send that began to leave, and cannot begin again. */
export function cutSendError(cause: EverholdError): ConnectionError {
  return new ConnectionError(
    "EVH_UNBLOCKED",
    "Cannot send: the connection broke before all of the body had left, and it cannot be read again; " +
      "the broker drops what had come of it",
    { cause, outcome: "none" },
  );
}

/** For a send of a transaction that ended with its connection. */
export function undoneSendError(cause: EverholdError): ConnectionError {
  return new ConnectionError(
    "EVH_UNBLOCKED",
    "Cannot send: the connection ended, and with it the transaction that the message is part of",
    { cause, outcome: "none" },
  );
}

/** A refusal that does not tell what became of an earlier copy. */
export function withUnknownOutcome(error: EverholdError): RejectedError {
  return new RejectedError(error.code, error.message, { cause: error, outcome: "unknown" });
}

/** For a send that the broker has no room for. */
export function addressFullError(address: string): RejectedError {
  return new RejectedError("EVH_ADDRESS_FULL", `Cannot send to ${address}: the address is full`);
}
