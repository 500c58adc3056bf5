import { rule, type RuleGroup } from "./delivery-rule.ts";

/** A8: who gets what in which order. */
export const orderRules: RuleGroup = {
  id: "A8",
  title: "Order and priority",
  rules: [
    rule(
      "A8.1",
      "wire",
      [
        "Messages of one session to one destination come in the order of their sends, for each priority and delivery mode; across sessions nothing is promised (JMS 6.2.9).",
        "The order of a queue is that in which the broker took the sends.",
      ],
      {
        tests: [
          "a queue gives its messages in the order in which they were sent",
          "messages of one producer keep their order, however many are under way",
        ],
      },
    ),
    rule(
      "A8.2",
      "wire",
      [
        "Allowed are: higher priorities first, later delivery times later, durable and other messages past each other, a transaction as a block (JMS 6.2.9.2).",
        "What waits in a queue comes in the order of the sends, durable or not; but a message that is not durable may overtake durable ones that are still being written, except those of its own transaction.",
      ],
      {
        tests: [
          "durable and non-durable messages of one priority keep their order",
          "what was sent in a transaction is seen after the commit, all of it in order",
          "durable and other messages of a transaction ${how} come in the order of their sends",
        ],
      },
    ),
    rule(
      "A8.3",
      "wire",
      [
        "Strict priority is best effort: what a client has in its window is past it (JMS 3.4.10).",
        "Strict among what is ready at the broker.",
      ],
      {
        tests: [
          "higher priorities come first, and within one the order of sending holds",
          "messages of a higher priority are delivered first",
        ],
      },
    ),
    rule(
      "A8.4",
      "wire",
      [
        "What is given back goes to the head in its order; another consumer may get it. Only an exclusive consumer or a group keeps the order of all.",
        "The same: a row keeps its place.",
      ],
      {
        tests: [
          "a message that comes back is found by those with a filter among many without",
          "when an owner closes, the next one gets what it held and the rest of its groups, in order",
        ],
      },
    ),
    rule(
      "A8.5",
      "wire",
      [
        "Consumers of the highest priority come first, in turn among themselves; one without credit is passed over.",
        "The same.",
      ],
      {
        tests: [
          "consumers of one priority take turns",
          "a consumer of higher priority gets everything that it has credit for",
          "when these have no credit, the next ones take turns, and when some leave, the others",
        ],
      },
    ),
    rule(
      "A8.6",
      "outcome",
      [
        "A failover must not reorder.",
        "Sends are repeated in order, and the broker takes the marks of a producer without a gap only.",
      ],
      {
        tests: [
          "go out again in order under the same duplicate ids, and settle",
          "a gap, an old epoch and an unknown producer each get their own code",
          "nothing is lost or doubled when connections break at any byte",
        ],
      },
    ),
  ],
};

/** A9: what is sent twice. */
export const duplicateRules: RuleGroup = {
  id: "A9",
  title: "Duplicates",
  rules: [
    rule(
      "A9.0",
      "outcome",
      [
        "ActiveMQ's audits are bit windows and LRU lists that forget; Artemis has a ring of 20,000 ids an address; JetStream a window of two minutes; Kafka one number a producer and partition.",
        "Both: a ring of ids that applications give, by address (`idCacheSize`), and one high-water mark for each producer of our client that never wears out.",
      ],
      {
        tests: [
          "the second message with a duplicate id is confirmed and dropped, also after a crash",
          "holds 20,000 ids, forgets the oldest for the next, and takes little memory for it",
        ],
      },
    ),
    rule(
      "A9.1",
      "wire",
      [
        "A producer's sends carry its id, an epoch and a sequence without gaps; a repeat is confirmed again and kept once.",
        "The mark rides in `_AMQ_DUPL_ID`. Every sequence has its own outcome, refusals too, as durable as the mark.",
      ],
      {
        tests: [
          "a producer's sequence is applied once, and a repeat is confirmed again",
          "a repeat of a refused sequence is refused again, after a crash as well",
          "sequences of a prepared branch that is rolled back are refused when repeated",
          "a gap, an old epoch and an unknown producer each get their own code",
        ],
      },
    ),
    rule(
      "A9.2",
      "wire",
      [
        "An application's id keeps a message single: outside a transaction a repeat is confirmed and dropped, inside one it fails the commit. Artemis lets two open transactions with one id both pass.",
        "`duplicateId`, or `_AMQ_DUPL_ID` from anybody. Of two open transactions with one id exactly one commits; a prepared branch keeps its ids for itself.",
      ],
      {
        tests: [
          "an application's duplicate id keeps a message single",
          "a duplicate id that was used rolls the whole transaction back",
          "the same duplicate id twice in one transaction fails it, and the id stays free",
          "of two open transactions with one duplicate id exactly one commits",
          "a prepared branch keeps its duplicate id for itself, as long as it is prepared",
          "an address remembers as many duplicate ids as its setting says, also after a restart",
          "of two open transactions with one duplicate id exactly one commits",
          "a send at once wins over an open transaction with its duplicate id",
          "a prepared branch keeps its duplicate id for itself, as long as it is prepared",
        ],
      },
    ),
    rule(
      "A9.3",
      "wire",
      [
        "A transaction that is rolled back releases its ids.",
        "An id is recorded with the commit only.",
      ],
      {
        tests: [
          "a transaction that was rolled back leaves its duplicate id to the next one",
          "a branch that was rolled back after it was prepared leaves its duplicate id to others",
          "a transaction that was rolled back leaves its duplicate id to the next one",
          "a branch that was rolled back after it was prepared leaves its duplicate id to others",
        ],
      },
    ),
  ],
};
