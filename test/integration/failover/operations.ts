/** What happens to an operation that a failure meets. */
export interface OperationRule {
  readonly operation: string;
  /** The connection breaks, the broker lives. */
  readonly cut: string;
  /** An Everhold broker is killed and started again. */
  readonly restarted: string;
  /** The live broker of an Artemis pair is killed, or Artemis started again. */
  readonly artemis: string;
  /** Tests that show it, by their whole names as they stand in the source. */
  readonly tests: readonly string[];
  /** What is promised and does not hold yet. */
  readonly open?: string;
}

const same = "the same";
const everyFrame = "loses, doubles and hides nothing wherever its connection breaks";
const everyKill = "loses, doubles and hides nothing when the broker is killed in its midst";

/** Each operation of our client, in each situation: docs/FAILOVER.md is made of it. */
export const operationRules: readonly OperationRule[] = [
  {
    operation: "`send()`, durable",
    cut: "repeated under its mark, in order, until it is answered; stored once",
    restarted: same,
    artemis:
      "repeated under its duplicate id; stored once as long as Artemis remembers it: the last `id-cache-size` (20,000) ids of an address, whoever sent them",
    tests: [
      everyFrame,
      everyKill,
      "F23, F91 sends under way settle, and each is there once, in order",
      "go out again in order under the same duplicate ids, and settle",
    ],
  },
  {
    operation: "`send()` with a `duplicateId` of the application",
    cut: "as above; the application may repeat it as well, also from another process",
    restarted: same,
    artemis: same,
    tests: [
      "F24, F98 a send repeated by the application under its duplicate id is there once",
      everyFrame,
    ],
  },
  {
    operation: "`send()`, not durable",
    cut: "rejected, outcome `unknown`, where it had left; it waits and leaves where it had not",
    restarted: same,
    artemis: same,
    tests: [
      "are rejected as unknown when they are not durable, and as nothing when they have not left",
    ],
    open: "over a cut of a session that the broker keeps it should be sent again, and settle.",
  },
  {
    operation: "`send()` with `asyncSend`",
    cut: "has settled; a durable one goes out again, the loss of another is told by an `error` event",
    restarted: same,
    artemis: same,
    tests: [
      "that is durable goes out again after a reconnect",
      "that is not durable never goes out again: its loss is told, once for all",
    ],
  },
  {
    operation: "`send()` of a stream",
    cut: "sent again from its beginning where it can be read again; else rejected, outcome `none`, while it had not left whole",
    restarted: same,
    artemis: same,
    tests: [
      "is sent again from its beginning where it can be, and is there once",
      "is rejected as not sent when the connection breaks, where it cannot be read again",
    ],
  },
  {
    operation: "`send()` and `ack()` in a transaction",
    cut: "undone with it: `commit()` says EVH_TRANSACTION_ROLLED_BACK, and nothing has taken effect. One that only begins to send during the outage goes with the next connection",
    restarted: same,
    artemis: same,
    tests: [
      "F29, F30 what a transaction sent is gone, its commit says so, and its session goes on",
      "F32 what a transaction took comes again, all of it",
      "says that it was rolled back when the connection broke before the commit",
      "that begins while the connection is broken goes with the next one, whose session is another",
    ],
    open: "a session that the broker keeps over a cut should go on with its transaction.",
  },
  {
    operation: "`commit()`",
    cut: "EVH_TRANSACTION_OUTCOME_UNKNOWN, outcome `unknown`: all or nothing has taken effect",
    restarted: same,
    artemis: same,
    tests: [
      "says unknown when the connection breaks during the commit",
      "a transaction is whole or not at all wherever its connection breaks",
      everyFrame,
      everyKill,
    ],
    open: "Everhold should be asked what became of it, and the answer be given; on Artemis it stays `unknown`.",
  },
  {
    operation: "`rollback()`",
    cut: "settles: the broker has rolled back with the connection",
    restarted: same,
    artemis: same,
    tests: ["is none the worse for a break between two transactions", everyFrame],
  },
  {
    operation: "`ack()`",
    cut: "sent again when the message comes again, and settles; when it does not come again, rejected with outcome `unknown`",
    restarted: same,
    artemis: same,
    tests: [
      "acknowledges again what comes again, and settles the acknowledgement by that",
      "says unknown of an acknowledgement whose message does not come again",
      "F19 what was acknowledged does not come again, the rest does",
    ],
    open: "Everhold should be told of acknowledgements in flight before it delivers again, and say what became of each.",
  },
  {
    operation: "`release()`, `reject()`",
    cut: "the broker has the message back with the connection, which settles a release; a rejection is sent again when the message comes again, else its outcome is `unknown`. Where the session began anew, Everhold rejects the message, without the reason that was given",
    restarted: same,
    artemis: same,
    tests: [
      "is done when the connection breaks meanwhile, for then the broker has it back",
      "is sent again when the connection broke before the answer and the message comes again",
    ],
  },
  {
    operation: "a message in hand",
    cut: "stays there: it comes again, is known again and not shown twice, and may be settled as ever; a handler runs once",
    restarted: same,
    artemis: same,
    tests: [
      "F19 what the application holds meanwhile is not shown to it twice, and can be settled",
      "F16 a handler without a window gets every message once",
      "does not show a message again that the application has in hand",
    ],
    open: "another consumer of the queue may get it meanwhile; Everhold should keep it for the one that has it.",
  },
  {
    operation: "a message that waited in the client",
    cut: "comes again, to whoever is first, marked as redelivered",
    restarted: same,
    artemis:
      "comes again; after a kill it is not marked, since Artemis does not write deliveries down",
    tests: [
      "is created again, and drops what nobody had taken",
      "what was delivered before the broker died comes again marked",
    ],
    open: "on Artemis, what a transaction had taken comes again without a mark after a cut as well.",
  },
  {
    operation: "`receive()`, a loop, `run()`",
    cut: "go on",
    restarted: same,
    artemis: same,
    tests: [
      "F15 a consumer that was open receives what is sent later",
      "F17, F105 a receive that waits without a window gets its message",
    ],
  },
  {
    operation: "`request()`",
    cut: "waits on for its reply, on a reply queue that is made again under its name. A reply that lay in the old one is lost: the log says so at once, and the request ends with its `timeout`, outcome `unknown`. An operation of `management` says `unknown` at once, an attribute is asked for again",
    restarted: same,
    artemis: same,
    tests: [
      "gets its reply over a reconnect",
      "whose reply may have been lost waits on, and says so",
      "says at once that the answer is lost, when the broker had taken the request",
      "F92 queues that live with their connection are made again",
    ],
    open: "over a cut of a session that the broker keeps, no reply should be lost.",
  },
  {
    operation: "`browse()`",
    cut: "ends with EVH_UNBLOCKED, outcome `none`; a new one begins at the head",
    restarted: same,
    artemis: same,
    tests: ["F18 a browse begins anew at the head"],
  },
  {
    operation: "`queueInfo()`, `createQueue()`, `deleteQueue()` and other questions",
    cut: "asked again",
    restarted: same,
    artemis: same,
    tests: [
      "F23 a request of the broker that is under way is asked again",
      "are asked about again when the connection breaks meanwhile",
      everyFrame,
    ],
  },
  {
    operation: "a subscription without a name, a temporary queue",
    cut: "made again; what is sent until then does not reach it",
    restarted: same,
    artemis: same,
    tests: [
      "F5 what is sent after it reaches consumers made before it",
      "without a name gets its queue back after a reconnect",
    ],
  },
  {
    operation: "a branch (`twoPhase`)",
    cut: "before `prepare()` rolled back; a `prepare()` in doubt is found out, and rolled back for good where it was not prepared; `commit()` and `rollback()` of a prepared one are repeated until they are answered",
    restarted: same,
    artemis: same,
    tests: [
      "F36, F37, F40 a branch that is not prepared is gone, and its commit says so",
      "F38, F39, F41, F103 a prepared branch outlives it, and is committed or rolled back after it",
      "a branch is whole or not at all wherever its connection breaks",
    ],
  },
  {
    operation: "what is called while nobody serves",
    cut: "waits, until its `timeout`, its `signal` or `failoverTimeout` ends the wait: outcome `none` where nothing had left",
    restarted: same,
    artemis: same,
    tests: [
      "while there is no broker, calls wait, can be given up, and say what is known",
      "F27 a send whose time is over in an outage says that nothing happened",
      "when it was made before it",
      "when it is made during it",
      "an outage longer than failoverTimeout lets every call go, and what was under way is done",
    ],
  },
  {
    operation: "`close()`, `drain()`",
    cut: "`close()` ends at once and leaves nothing; `drain()` waits for the return, within its `timeout`",
    restarted: same,
    artemis: same,
    tests: [
      "F92 a connection can be closed while nobody serves, and leaves nothing",
      "by close while it reconnects ends the attempts",
    ],
  },
  {
    operation: "everything, after the last attempt",
    cut: "the connection is closed with an event, and every call that waits is rejected with its outcome",
    restarted: same,
    artemis: same,
    tests: ["F81 after the last attempt the connection ends, and everything that waited is told"],
  },
];
