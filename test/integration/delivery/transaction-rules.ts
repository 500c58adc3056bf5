import { rule, type RuleGroup } from "./delivery-rule.ts";

/** A4: transactions of one session. */
export const transactionRules: RuleGroup = {
  id: "A4",
  title: "Local transactions",
  rules: [
    rule(
      "A4.1",
      "wire",
      [
        "What a session sent and received since the last boundary takes effect together with the commit or not at all, and the next transaction begins at once (JMS 6.2.7).",
        "A commit is one atomic group of the journal: a crash leaves all of it or nothing.",
      ],
      {
        tests: [
          "a transaction takes effect as a whole, or not at all",
          "inputs and outputs of a committed transaction survive a crash together",
          "a transaction whose commit was not written leaves no trace",
          "receiving from one queue and sending to another is one thing",
        ],
      },
    ),
    rule("A4.2", "openWire", [
      "OpenWire announces a transaction with its first send or receive.",
      "CORE has no packet for the beginning: a transacted session always has one. Our client sends nothing for a commit without work.",
    ]),
    rule(
      "A4.3",
      "outcome",
      [
        "Before the commit every hook runs; one that fails rolls back; after it every after-hook runs, whatever another one does. Commit and rollback wait for the broker.",
        "`commit()` flushes acknowledgements, waits for the sends, then commits and waits. A refused commit rolls back and gives the broker's reason.",
      ],
      {
        tests: [
          "gives the broker's reason when the commit is refused, and nothing took effect",
          "waits with the commit for sends that wait for credit",
          "commits nothing when there was no work",
        ],
      },
    ),
    rule(
      "A4.4",
      "wire",
      [
        "A commit with acknowledgements of a consumer that the broker no longer has is rolled back instead.",
        "The acknowledgement is refused, and the commit fails with its code.",
      ],
      {
        tests: [
          "a wrong acknowledgement fails the transaction with the original code",
          "go on without the queues that were deleted while they were prepared",
        ],
      },
    ),
    rule(
      "A4.5",
      "wire",
      [
        "After a rollback the messages come again, marked and counted, after the delay of the redelivery policy; beyond the last attempt they are dead letters.",
        "The broker decides both (A6, A7): counts, delays and dead letters follow the settings of the address.",
      ],
      {
        tests: [
          "a rollback gives back what was received, counted, and drops what was sent",
          "a rollback counts what was taken and not acknowledged, and no more",
          "counts what was taken when its ${how} is closed",
          "the delivery count grows with every rollback",
          "after ten attempts a message is a dead letter",
        ],
      },
    ),
    rule(
      "A4.6",
      "wire",
      [
        "A rollback gives back all messages of the transaction in their order, at the head.",
        "Rows keep their place, so order is theirs whoever gives them back.",
      ],
      {
        tests: [
          "a rollback gives back what was received, in order and marked",
          "priorities are kept apart in a rollback too",
        ],
      },
    ),
    rule(
      "A4.7",
      "outcome",
      [
        "When the connection breaks with work pending, the transaction is lost; when it breaks during the commit, ActiveMQ says rolled back though it may be committed.",
        "A session that the broker has kept goes on with its transaction. Else, before the commit: EVH_TRANSACTION_ROLLED_BACK. During it: Everhold decides it for good as the session comes back, and `commit()` says how; on a broker that cannot be asked, EVH_TRANSACTION_OUTCOME_UNKNOWN, outcome `unknown`, never a wrong answer.",
      ],
      {
        tests: [
          "says that it was rolled back when the connection broke before the commit",
          "brings back what it took after the break, which it could not acknowledge",
          "says unknown when the connection breaks during the commit",
          "a transaction is whole or not at all wherever its connection breaks",
          "commits what was done before the break",
          "a commit whose answer was lost is told as it came out",
          "a commit that has not come is refused for good, and ends no transaction when it comes late",
          "a commit that its caller gave up is decided as its session comes back",
        ],
      },
    ),
    rule(
      "A4.8",
      "outcome",
      [
        "ActiveMQ may commit after a failover if every message of the transaction was delivered again to the same consumer.",
        "Everhold rolls back, and does not wait.",
      ],
      { tests: ["is rolled back when the connection breaks before the commit"] },
    ),
    rule(
      "A4.9",
      "wire",
      [
        "A broker limits what a transaction may hold; beyond, it is rolled back with an error and nothing of it is ever seen.",
        "Above 8 MiB a transaction lies in the journal in pieces until it is decided, so that it may be larger than memory; beyond the limits of LIMITS.md the commit is refused as a whole.",
      ],
      {
        tests: [
          "a transaction larger than it may hold in memory is seen as a whole, after its commit only",
          "a large transaction that is rolled back leaves nothing but its used sequences",
          "thousands of transactions are open at one time, and each is whole or not at all",
          "one transaction holds 5,000 messages",
        ],
      },
    ),
    rule(
      "A4.10",
      "wire",
      [
        "When a connection is lost its transactions are rolled back; prepared branches stay.",
        "The same.",
      ],
      {
        tests: [
          "a connection that breaks rolls back",
          "a connection is closed in the middle of a transaction",
          "that are not prepared are rolled back when their connection breaks",
        ],
      },
    ),
    rule(
      "A4.11",
      "outcome",
      [
        "When storing a commit fails, ActiveMQ says that it was rolled back though it may be on disk.",
        "An error of the disk ends the broker: the client loses its connection and says `unknown`. No false answer is ever given.",
      ],
      {
        tests: [
          "a broker whose journal fails closes every connection without an answer and reports",
        ],
      },
    ),
    rule(
      "A4.12",
      "wire",
      [
        "ActiveMQ schedules the delayed sends of a transaction after the commit, not with it.",
        "The time of delivery is part of the message's record, so it is as atomic as the rest.",
      ],
      {
        tests: [
          "a scheduled message of a transaction does not exist before the commit, however late that is",
          "what is scheduled survives a crash, and falls due while nobody is there",
        ],
      },
    ),
    rule(
      "A4.13",
      "wire",
      [
        "A time to live and a delay count from the send, not from the commit (JMS 3.4.9, 3.4.13).",
        "Both are absolute times in the message, set by the client when it sends.",
      ],
      {
        tests: [
          "counts from the send, not from the commit",
          "a delay in a transaction counts from the send",
        ],
      },
    ),
  ],
};

/** A5: transactions of several resources. */
export const xaRules: RuleGroup = {
  id: "A5",
  title: "XA",
  rules: [
    rule(
      "A5.1",
      "wire",
      [
        "`start` associates a session with a branch and fails with PROTO where another one is; `end` dissociates; prepare, commit, rollback and forget may come from anywhere; prepare of an associated branch fails with PROTO.",
        "One map of branches for the whole broker. `start` in a session that works for another branch rolls that one back, as in Artemis: nobody ended it.",
      ],
      {
        tests: [
          "requests in the wrong state have the codes of XA",
          "two sessions work for one branch",
          "what is suspended rests while another branch is worked for",
          "are decided by any session of any connection",
          "take messages from several sessions that join them",
          "rest while they are suspended, and others are worked for meanwhile",
          "are answered with XAER_PROTO while the session works for the branch",
          "are answered with XAER_PROTO when the phase is the wrong one",
          "are answered with XAER_DUPID for a branch that exists",
          "are answered with XAER_NOTA when the branch is not known",
        ],
      },
    ),
    rule(
      "A5.2",
      "wire",
      ["Prepare of a branch without work answers RDONLY and forgets it.", "The same."],
      { tests: ["that did nothing are read-only, and need no decision"] },
    ),
    rule(
      "A5.3",
      "wire",
      [
        "A branch that may only be rolled back fails its prepare or commit: RBINTEGRITY in ActiveMQ, RMFAIL in Artemis.",
        "A branch that failed at its end, or whose time is over, is rolled back and cannot be prepared.",
      ],
      {
        tests: [
          "that failed at their end are not prepared",
          "are rolled back when their time is over, unless they are prepared",
        ],
      },
    ),
    rule(
      "A5.4",
      "wire",
      [
        "After prepare only the transaction manager decides. A commit that a failure interrupts is repeated; committing what is committed is fine.",
        "A prepared branch is in the journal and ends with a commit, a rollback or a heuristic decision of an operator. How 4,096 branches ended is remembered.",
      ],
      {
        tests: [
          "the manager completes what a kill between the phases interrupted",
          "a message and a row are committed together",
          "answer a repeated decision as the first, also after a crash, and no other one",
          "whose second phase was not written are in doubt again",
          "are committed in one phase like a local transaction",
        ],
      },
    ),
    rule(
      "A5.5",
      "wire",
      [
        "`recover` with TMSTARTRSCAN lists all prepared branches, the next call nothing.",
        "The same, over every session; branches that were decided by hand come with them, until they are forgotten.",
      ],
      { tests: ["recover lists each prepared branch once", "survive prepared: ${how}"] },
    ),
    rule(
      "A5.6",
      "wire",
      [
        "What a prepared branch has acknowledged stays hidden from others, what it has sent stays unseen, over restarts too; a rollback brings the one back, marked.",
        "The same: both are in the journal before the answer to prepare.",
      ],
      {
        tests: [
          "a prepared branch outlives a kill, and hides what it acknowledged",
          "survive prepared: ${how}",
          "show what they sent and acknowledged after the second phase, not after the first",
          "give back what they acknowledged when they are rolled back after being prepared",
          "are rolled back after a restart, and what they held comes again as redelivered",
          "a branch is whole or not at all whatever a crash loses, and as its manager was told",
          "whose first phase was not written are gone",
        ],
      },
    ),
    rule(
      "A5.7",
      "option",
      [
        "JTA belongs to Java; elsewhere the same cycle needs an interface of its own.",
        "Our client offers the two phases explicitly.",
      ],
      {
        tests: [
          "a branch in two phases takes effect with the second one",
          "a prepared branch outlives its connection, and another one decides",
          "a branch is whole or not at all wherever its connection breaks",
        ],
      },
    ),
  ],
};
