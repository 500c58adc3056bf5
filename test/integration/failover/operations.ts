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
      "knows a repeat behind 19,999 others of its address, and not behind 20,000",
      "F23, F87, F91 sends under way settle, and each is there once, in order",
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
    cut: "sent again, and settles, where the broker has kept the session; else as after a restart",
    restarted:
      "rejected, outcome `unknown`, where it had left; it waits and leaves where it had not",
    artemis: "as after a restart, also after a cut",
    tests: [
      "goes on with a send that was not durable, and had no answer",
      "are rejected as unknown when they are not durable, and as nothing when they have not left",
      everyFrame,
    ],
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
    cut: "goes on where the broker has kept the session; else as after a restart",
    restarted:
      "sent again from its beginning where it can be read again; else rejected, outcome `none`, while it had not left whole",
    artemis: "as after a restart, also after a cut: a part that came twice would damage it",
    tests: [
      "is made anew rather than sent a part of a large message again",
      "is sent again from its beginning where it can be, and is there once",
      "is rejected as not sent when the connection breaks, where it cannot be read again",
    ],
  },
  {
    operation: "`send()` and `ack()` in a transaction",
    cut: "go on with their session, which the broker has kept",
    restarted:
      "undone: `commit()` says EVH_TRANSACTION_ROLLED_BACK, and nothing has taken effect. One that only begins to send during the outage goes with the next connection",
    artemis:
      "as after a restart; after a cut they go on, but where a send had no confirmation: then undone as well",
    tests: [
      "commits what was done before the break",
      "F29, F30 a transaction that has sent goes on or is gone, its commit says which, and its session goes on",
      "F32 a transaction that has taken goes on, or all of it comes again",
      "says that it was rolled back when the connection broke before the commit",
      "is made anew rather than sent a message of its transaction again",
      "that begins while the connection is broken goes with the next one, whose session is another",
    ],
  },
  {
    operation: "`commit()`",
    cut: "settles with what became of it, as the session goes on, or its next life asks under the commit's number",
    restarted:
      "the session's next life asks, and it settles with the answer. Who gave up before has `unknown`, and may ask with `connection.outcome(error)`",
    artemis:
      "after a cut as far left, but one that its broker no longer knows the session of is `unknown`; after a kill EVH_TRANSACTION_OUTCOME_UNKNOWN, outcome `unknown`: all or nothing has taken effect, and the error says how to find out",
    tests: [
      "${fault} at every frame: every commit is known to be applied, or not",
      everyFrame,
      everyKill,
      "a commit that its caller gave up is decided as its session comes back",
      "another connection is told what became of a commit whose answer was lost",
      "says before its end whether it has committed",
      "says unknown when the connection breaks during the commit",
      "a transaction is whole or not at all wherever its connection breaks",
    ],
  },
  {
    operation: "`rollback()`",
    cut: "settles, and waits for no connection: the end of the session rolls back as well",
    restarted: same,
    artemis: same,
    tests: [
      "${fault} at every frame: a rollback undoes everything, and what was taken comes again marked",
      "rolls back at once while the connection is broken",
      "is none the worse for a break between two transactions",
      everyFrame,
    ],
  },
  {
    operation: "`ack()`",
    cut: "takes effect before the broker delivers again to anybody, and settles",
    restarted:
      "the same, where the session returns within 2 s; later it is `unknown` where somebody else may have had the message meanwhile",
    artemis:
      "sent again when the message comes again, and settles; when it does not come again, rejected with outcome `unknown`",
    tests: [
      "${fault} at every frame: every send and acknowledgement happens once",
      everyFrame,
      "acknowledges again what comes again, and settles the acknowledgement by that",
      "says unknown of an acknowledgement whose message does not come again",
      "F19 what was acknowledged does not come again, the rest does",
    ],
  },
  {
    operation: "`release()`, `reject()`",
    cut: "take effect, as an `ack()` does",
    restarted:
      "the broker has the message back, which settles a release; a rejection takes effect as an `ack()` does, with its reason",
    artemis:
      "the broker has the message back with the session, which settles a release; a rejection is sent again when the message comes again, else its outcome is `unknown`",
    tests: [
      everyFrame,
      "${fault} at every frame: a rejection happens once, and says why",
      "is done when the connection breaks meanwhile, for then the broker has it back",
      "F19 what is released while nobody serves comes again marked, of ${kept}",
      "is sent again when the connection broke before the answer and the message comes again",
    ],
  },
  {
    operation: "a message in hand",
    cut: "stays there, nobody else gets it, and it may be settled as ever; a handler runs once",
    restarted:
      "the same, where the session returns within 2 s; later another consumer of the queue may get it, marked, and to settle it is refused",
    artemis:
      "after a kill another consumer may get it at once; else it comes again, is known again and not shown twice, and may be settled as ever",
    tests: [
      "${fault} at every frame: what is in hand stays in hand, and nobody else gets it",
      "F19 what the application holds meanwhile is not shown to it twice, and can be settled",
      "F16 a handler without a window gets every message once",
      "does not show a message again that the application has in hand",
    ],
  },
  {
    operation: "a message that waited in the client",
    cut: "stays there where the broker has kept the session, and waits for the connection to return",
    restarted: "comes again, to whoever is first, marked as redelivered",
    artemis:
      "comes again; after a kill it is not marked, since Artemis does not write deliveries down, unless the consumer whose application had it gets it",
    tests: [
      "hands out nothing while the connection is broken, and all of it afterwards",
      "is marked by the client that has had it",
      "is created again, and drops what nobody had taken",
      "what was delivered before the broker died comes again marked",
    ],
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
    cut: "waits on for its reply: the reply queue stays with the session that the broker has kept",
    restarted:
      "waits on, on a reply queue that is made again under its name; a reply that lay in the old one is lost: the log says so at once, and the request ends with its `timeout`, outcome `unknown`. An operation of `management` says `unknown` at once, an attribute is asked for again",
    artemis: "as after a restart, and after a cut where the session could not go on",
    tests: [
      everyFrame,
      "gets its reply over a reconnect",
      "whose reply may have been lost waits on, and says so",
      "says at once that the answer is lost, when the broker had taken the request",
      "F92 queues that live with their connection are made again",
    ],
  },
  {
    operation: "`browse()`",
    cut: "goes on where the broker has kept the session; else as after a restart",
    restarted: "ends with EVH_UNBLOCKED, outcome `none`; a new one begins at the head",
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
    cut: "stays where the broker has kept the session, with all that is sent meanwhile",
    restarted: "made again; what is sent until then does not reach it",
    artemis: same,
    tests: [
      "F5 what is sent after it reaches consumers made before it",
      "without a name gets its queue back after a reconnect",
    ],
  },
  {
    operation: "a branch (`twoPhase`)",
    cut: "goes on where the broker has kept the session; else before `prepare()` rolled back; a `prepare()` in doubt is found out, and rolled back for good where it was not prepared; `commit()` and `rollback()` of a prepared one are repeated until they are answered. A `commit()` without `prepare()` settles as one of a session does",
    restarted: same,
    artemis:
      "the same, but a `commit()` without `prepare()` whose answer is lost with its session is `unknown`: Artemis does not keep what became of it",
    tests: [
      "F36, F37, F40 a branch that is not prepared is gone, and its commit says so",
      "${fault} at every frame: every branch committed in one phase is known to be applied, or not",
      "F38, F39, F41, F103 a prepared branch outlives it, and is committed or rolled back after it",
      "a branch is whole or not at all wherever its connection breaks",
    ],
  },
  {
    operation: "what is called while nobody serves",
    cut: "waits, until its `timeout`, its `signal` or `failoverTimeout` ends the wait: outcome `none` where nothing had left; a settlement is done all the same, and is `unknown` until then",
    restarted: same,
    artemis: same,
    tests: [
      "while there is no broker, calls wait, can be given up, and say what is known",
      "and waits no longer has it done all the same, after an outage too, and may ask again",
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
