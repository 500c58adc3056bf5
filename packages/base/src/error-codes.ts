/** What a caller knows about the effect of a failed operation. */
export type Outcome = "none" | "unknown" | "applied";

/** One row of the error table. */
export interface ErrorCodeEntry {
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** The code of the CORE protocol's EXCEPTION packet that stands for it, if there is one. */
  readonly coreCode?: number;
  /** What happened, and what to do about it. */
  readonly meaning: string;
}

/**
 * Every error code of Everhold, in one place. `docs/ERRORS.md` is generated from it.
 * CORE codes: Artemis, `ActiveMQExceptionType`; codes from 9000 are Everhold's own.
 */
export const errorCodes = {
  EVH_INTERNAL: {
    retryable: false,
    coreCode: 0,
    meaning: "The broker failed in a way that it did not expect; its log has the details",
  },
  EVH_UNSUPPORTED: {
    retryable: false,
    coreCode: 1,
    meaning: "The peer does not know this operation",
  },
  EVH_NOT_CONNECTED: {
    retryable: true,
    coreCode: 2,
    meaning:
      "No broker or server could be reached; check that one runs at the address that was tried",
  },
  EVH_CONNECTION_TIMEOUT: {
    retryable: true,
    coreCode: 3,
    meaning: "The broker did not answer in time",
  },
  EVH_DISCONNECTED: {
    retryable: true,
    coreCode: 4,
    meaning: "The other side ended the connection, or the connection broke",
  },
  EVH_UNBLOCKED: {
    retryable: true,
    coreCode: 5,
    meaning: "The connection broke while a call waited for its answer",
  },
  EVH_IO: {
    retryable: false,
    coreCode: 6,
    meaning: "The broker's storage failed; the broker stops rather than guess",
  },
  EVH_QUEUE_DOES_NOT_EXIST: {
    retryable: false,
    coreCode: 100,
    meaning: "No queue has this name, and it may not be created automatically",
  },
  EVH_QUEUE_EXISTS: { retryable: false, coreCode: 101, meaning: "A queue of this name exists" },
  EVH_CLOSED: {
    retryable: false,
    coreCode: 102,
    meaning: "The connection, session, producer or consumer was closed before the call",
  },
  EVH_INVALID_FILTER: {
    retryable: false,
    coreCode: 103,
    meaning: "The filter is not a valid selector",
  },
  EVH_ILLEGAL_STATE: {
    retryable: false,
    coreCode: 104,
    meaning: "The operation is not allowed in this state",
  },
  EVH_SECURITY: {
    retryable: false,
    coreCode: 105,
    meaning: "The user name or password is wrong, or the user may not do this",
  },
  EVH_ADDRESS_DOES_NOT_EXIST: {
    retryable: false,
    coreCode: 106,
    meaning: "No address has this name, and it may not be created automatically",
  },
  EVH_ADDRESS_EXISTS: {
    retryable: false,
    coreCode: 107,
    meaning: "An address of this name exists",
  },
  EVH_VERSION: {
    retryable: false,
    coreCode: 108,
    meaning: "Client and broker have no protocol version in common",
  },
  EVH_TRANSACTION_ROLLED_BACK: {
    retryable: true,
    coreCode: 111,
    meaning: "The transaction was rolled back; nothing of it took effect",
  },
  EVH_NOT_READY: {
    retryable: true,
    coreCode: 112,
    meaning: "The broker is not ready to serve sessions",
  },
  EVH_DUPLICATE_ID: {
    retryable: false,
    coreCode: 113,
    meaning: "The transaction holds a message whose duplicate id was used before",
  },
  EVH_DUPLICATE_METADATA: {
    retryable: false,
    coreCode: 114,
    meaning: "Another live session uses this client id",
  },
  EVH_TRANSACTION_OUTCOME_UNKNOWN: {
    retryable: false,
    coreCode: 115,
    meaning: "The connection broke during commit; the transaction may or may not have taken effect",
  },
  EVH_BRANCH_UNKNOWN: {
    retryable: false,
    meaning:
      "The broker has no branch of this id: it was decided before, or rolled back because its time was over or its connection broke before it was prepared",
  },
  EVH_BRANCH_DECIDED: {
    retryable: false,
    meaning:
      "An operator has decided the branch by hand, against its manager; `outcome` says how. Forget it when that is dealt with",
  },
  EVH_INVALID_QUEUE_USE: {
    retryable: false,
    coreCode: 118,
    meaning: "The shared subscription exists with another address or filter",
  },
  EVH_ADDRESS_FULL: {
    retryable: true,
    coreCode: 210,
    meaning: "The address or the disk is full; consume, or raise the limit",
  },
  EVH_NOT_IMPLEMENTED: {
    retryable: false,
    coreCode: 213,
    meaning: "This broker does not implement the operation",
  },
  EVH_MAX_CONSUMERS: {
    retryable: true,
    coreCode: 214,
    meaning: "The queue has as many consumers as it allows",
  },
  EVH_ROUTING_TYPE: {
    retryable: false,
    coreCode: 215,
    meaning: "The address does not support this routing type",
  },
  EVH_INVALID_QUEUE: {
    retryable: false,
    coreCode: 216,
    meaning: "The queue's configuration is not valid",
  },
  EVH_REJECTED: {
    retryable: false,
    coreCode: 999,
    meaning: "The broker refused the operation for a reason that has no code of its own",
  },
  EVH_PRODUCER_FENCED: {
    retryable: false,
    coreCode: 9001,
    meaning: "A newer incarnation of this producer has opened; this one may send no more",
  },
  EVH_PRODUCER_GAP: {
    retryable: true,
    coreCode: 9002,
    meaning: "A producer's sequence skipped a number; the link is reset and resent from the gap",
  },
  EVH_PRODUCER_UNKNOWN: {
    retryable: false,
    coreCode: 9003,
    meaning: "The broker no longer knows this producer, so the outcome of its sends is unknown",
  },
  EVH_TLS: {
    retryable: false,
    meaning:
      "The two sides could not agree on TLS: one does not speak it, or they have no version or cipher in common",
  },
  EVH_CERTIFICATE_EXPIRED: {
    retryable: false,
    meaning:
      "The broker's certificate has expired, or is not valid yet; renew it, or look at the clock",
  },
  EVH_CERTIFICATE_UNKNOWN_ISSUER: {
    retryable: false,
    meaning:
      "The broker's certificate is signed by nobody that the client trusts; give the issuer's as the TLS option ca",
  },
  EVH_CERTIFICATE_SELF_SIGNED: {
    retryable: false,
    meaning:
      "The broker's certificate is signed by itself; give that certificate as the TLS option ca to trust it",
  },
  EVH_CERTIFICATE_HOST_NAME: {
    retryable: false,
    meaning:
      "The broker's certificate is for another name; connect by a name that it has, or set the TLS option servername",
  },
  EVH_CLIENT_CERTIFICATE: {
    retryable: false,
    meaning:
      "The broker asks for a client certificate and got none, or one that it does not trust; see the TLS options cert and key",
  },
  EVH_PROTOCOL: {
    retryable: false,
    meaning: "The peer sent bytes that are not valid in its protocol",
  },
  EVH_FRAME_TOO_LARGE: {
    retryable: false,
    meaning: "A frame or message is larger than its limit",
  },
  EVH_TIMEOUT: { retryable: true, meaning: "The operation did not finish within its time limit" },
  EVH_ABORTED: { retryable: false, meaning: "The caller's AbortSignal ended the operation" },
  EVH_URL: { retryable: false, meaning: "The URL is not one that Everhold understands" },
  EVH_CONFIG: { retryable: false, meaning: "The configuration is not valid" },
  EVH_DATA_CORRUPT: {
    retryable: false,
    meaning:
      "The journal, or a group's folder, holds bytes that were damaged after they were written",
  },
  EVH_DATA_FORMAT: {
    retryable: false,
    meaning: "The data folder, or a group's, was written by a newer format, or is not Everhold's",
  },
  EVH_DATA_LOCKED: {
    retryable: true,
    meaning: "Another process uses this data folder; stop it, or choose another folder",
  },
  EVH_DATA_FOLDER: {
    retryable: false,
    meaning: "The data folder cannot be created or written",
  },
  EVH_DISK_FULL: {
    retryable: true,
    meaning: "The disk of the data folder has no room left; free some, or move the folder",
  },
  EVH_DISK_HUNG: {
    retryable: false,
    meaning:
      "The disk of the data folder neither fails nor answers; the broker ends where another member of its group can lead, and else waits. Look at the disk, its cable, its server",
  },
  EVH_PORT_IN_USE: {
    retryable: true,
    meaning: "Another program listens on the port; stop it, or choose another port",
  },
  EVH_FILE: {
    retryable: false,
    meaning: "A file or folder that the command line names cannot be read or written",
  },
  EVH_SLOW_CONSUMER: {
    retryable: false,
    meaning:
      "The broker ended the connection because a consumer took messages too slowly; take them faster, or " +
      "raise the broker's slow-consumer-threshold",
  },
  EVH_OVERLOADED: {
    retryable: true,
    meaning: "More calls are under way than the client's limit allows; await earlier ones first",
  },
  EVH_UNSENT: {
    retryable: true,
    meaning: "The request never left: no server could be reached, or the session ended first",
  },
  EVH_ZOOKEEPER: {
    retryable: false,
    meaning:
      "ZooKeeper refused the request; the error's `reason` is ZooKeeper's own name for why, and its `retryable` says " +
      "whether the same call may succeed later",
  },
  EVH_SESSION_EXPIRED: {
    retryable: true,
    meaning:
      "The ZooKeeper session has ended, and with it its ephemeral nodes; the client makes a new session by itself",
  },
  EVH_LEASE_LOST: {
    retryable: true,
    meaning:
      "The lease was not renewed in time, or what it stands on is gone: another may hold it, so nothing may be done " +
      "under it any more",
  },
  EVH_NODE_FORMAT: {
    retryable: false,
    meaning:
      "The ZooKeeper node, or the group's file, holds something else than what is kept in those of its kind",
  },
  EVH_MEMBER_EXISTS: {
    retryable: false,
    meaning:
      "Another process is registered in the replication group by this member's id; give each member an id of its own, " +
      "or end the other process",
  },
  EVH_PATH: { retryable: false, meaning: "The path is not one that ZooKeeper allows" },
  EVH_MESSAGE_FORMAT: {
    retryable: false,
    meaning: "The message's body or properties do not have the form that was asked for",
  },
} as const satisfies Record<`EVH_${string}`, ErrorCodeEntry>;

/** A stable name of what went wrong. Branch on it, never on a message's text. */
export type ErrorCode = keyof typeof errorCodes;
