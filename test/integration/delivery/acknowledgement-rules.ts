import { rule, type RuleGroup } from "./delivery-rule.ts";

/** A1: when a message counts as consumed. */
export const acknowledgementRules: RuleGroup = {
  id: "A1",
  title: "Acknowledgement modes",
  rules: [
    rule(
      "A1.1",
      "wire",
      [
        "In a transacted session the acknowledgement mode that was asked for means nothing: only the commit acknowledges.",
        "JMS clients create such a session with `autoCommitAcks` off; an acknowledgement is then part of the transaction. In our client `ack()` takes effect with `commit()`.",
      ],
      {
        tests: [
          "a session knows whether it is transacted",
          "settles acknowledgements with the commit",
        ],
      },
    ),
    rule(
      "A1.2",
      "wire",
      [
        "AUTO, pulling: a message counts as acknowledged once `receive` has returned it (JMS 6.2.10). ActiveMQ acknowledges just before it hands the message over.",
        "Our client's `ack: \"auto\"` acknowledges when the next message is asked for: the application has had its chance to fail. Java's clients acknowledge as they always do.",
      ],
      {
        tests: [
          "`auto` acknowledges a message when the next one is asked for",
          "auto: what was received never comes again",
        ],
      },
    ),
    rule(
      "A1.3",
      "wire",
      [
        "AUTO, listening: the acknowledgement follows the listener's return; where it throws, the message comes again at once, marked and counted. In CLIENT and transacted sessions a throw has no effect (JMS 8.7).",
        "`run()` acknowledges when the handler is done, releases when it throws, rejects where the error says `retryable: false`. Java's listeners see what JMS says.",
      ],
      {
        tests: [
          "`run` acknowledges what was handled, releases what failed, rejects what is hopeless",
          "auto: what a listener fails with comes again, marked",
          "a listener that throws rolls nothing back by itself",
        ],
      },
    ),
    rule(
      "A1.4",
      "outcome",
      [
        "After a failure of an AUTO session it is unsure of one message at most whether it was consumed: the last one (JMS 6.2.11).",
        'With `ack: "auto"` the client recognises what it had in hand when the connection broke and does not show it twice; what it cannot settle is told as `unknown`.',
      ],
      {
        tests: [
          "does not show a message again that the application has in hand",
          "nothing is lost or doubled when connections break at any byte",
        ],
      },
    ),
    rule(
      "A1.4b",
      "outcome",
      [
        "Defaults of ActiveMQ (`sendAcksAsync`) and Artemis (`blockOnAcknowledge=false`) are weaker: many acknowledgements may be under way when the connection breaks.",
        "Acknowledgements are asynchronous here too, but the client keeps those without an answer and repeats them for the new delivery, so that A1.4 holds within one process.",
      ],
      {
        tests: [
          "acknowledges again what comes again, and settles the acknowledgement by that",
          "says unknown of an acknowledgement whose message does not come again",
        ],
      },
    ),
    rule(
      "A1.5",
      "option",
      [
        "ActiveMQ's `optimizeAcknowledge` gathers acknowledgements of an AUTO session and sends one for a range at 65 % of the prefetch or after 300 ms.",
        "Our client gathers those of one turn and sends one packet for an unbroken row of them; nothing waits for a share of the window or a timer, so there is nothing to switch on.",
      ],
      {
        tests: [
          "of many in a row is one packet",
          "out of order names each message, and only the last asks for an answer",
        ],
      },
    ),
    rule(
      "A1.6",
      "wire",
      [
        "DUPS_OK acknowledges lazily: ActiveMQ at half of the prefetch, Artemis by `dupsOKBatchSize`.",
        "It is Java's client that waits; the broker takes one cumulative acknowledgement whenever it comes. Our client has no such mode: its acknowledgements are gathered anyhow.",
      ],
      {
        tests: [
          "dups-ok: what was received never comes again after an orderly close",
          "an acknowledgement covers everything delivered up to its message",
        ],
      },
    ),
    rule(
      "A1.7",
      "wire",
      [
        "CLIENT: acknowledging any message acknowledges all that the session has delivered so far, over all its consumers (JMS 6.2.10).",
        "Java's client sends one cumulative acknowledgement a consumer. Our client has no such mode: `ack()` is about one message.",
      ],
      {
        tests: [
          "client: one acknowledgement covers all that the session received",
          "client: an acknowledgement of one consumer covers the session's others",
        ],
      },
    ),
    rule(
      "A1.8",
      "wire",
      [
        "`recover()` begins again at the first unacknowledged message, marked and counted; other messages may have come between. It is refused in a transacted session (JMS 6.2.10).",
        "Java's client rolls the session back without ending it; the messages return to the head of their queues in order.",
      ],
      {
        tests: [
          "recover gives what was not acknowledged again, in order and marked",
          "a context acknowledges and recovers",
        ],
      },
    ),
    rule(
      "A1.9",
      "option",
      [
        "A provider should bound what a CLIENT session may receive without acknowledging; ActiveMQ widens the credit without a bound.",
        "`prefetch: { messages }` of our client counts what is unsettled, so that deliveries stop at the bound; with `{ bytes }` alone that is 100,000 messages. The broker bounds what it sends by the credit that it was given.",
      ],
      {
        tests: [
          "stops at as many unsettled messages as it says, and goes on when one is settled",
          "a slow consumer's window is all that it keeps from others",
        ],
      },
    ),
    rule(
      "A1.10",
      "wire",
      [
        "INDIVIDUAL acknowledges one message; the others stay in flight, in any order.",
        "The default of our client; in CORE an individual acknowledgement.",
      ],
      {
        tests: [
          "messages are acknowledged in any order",
          "an individual acknowledgement covers its message only",
          "individual: an acknowledgement covers one message",
        ],
      },
    ),
    rule(
      "A1.11",
      "wire",
      [
        "PRE_ACK: the broker acknowledges before the message is on the wire; it does not come again, is never a dead letter and belongs to no transaction.",
        '`ack: "pre"`. What was handed over right before the broker died may come again, marked: the record had not been written.',
      ],
      {
        tests: [
          "`pre` lets the broker forget messages as it delivers them",
          "pre-acknowledged: what was delivered never comes again",
          "what a pre-acknowledging session was given just before a crash comes again marked",
        ],
      },
    ),
    rule(
      "A1.12",
      "wire",
      [
        "Closing a CLIENT session acknowledges nothing; AUTO and DUPS_OK flush what waits; a transacted session rolls back; closing a consumer acknowledges nothing and does not end the transaction (JMS 6.2.15, 8.8).",
        "As said. What a closed consumer had received in a transaction stays with the transaction.",
      ],
      {
        tests: [
          "a session that is closed has rolled back",
          "a consumer is closed in the middle of a transaction",
          "client: what was not acknowledged comes again, marked and in order",
        ],
      },
    ),
    rule(
      "A1.13",
      "wire",
      [
        "When a consumer leaves in order, what its application saw comes again counted, what it had only prefetched comes again unmarked. When its connection breaks nobody knows, and all of it is counted.",
        "The same: closing in order counts what the application saw, where the client can say which (ours on Everhold, Java's always); a broken connection counts an attempt for all that was delivered.",
      ],
      {
        tests: [
          "what is in hand when a consumer closes counts as delivered",
          "closing a consumer gives back what it held, in order and uncounted",
          "a connection that breaks counts as an attempt for what it held",
          "auto: what waits in the client's window comes again, not marked",
          "what nobody looked at goes back uncounted with all that came after it",
        ],
      },
    ),
    rule(
      "A1.14",
      "wire",
      [
        "An acknowledgement is checked against what the consumer holds. Artemis marks the transaction rollback-only over an unknown id; ActiveMQ demands that first, last and count of a range agree.",
        "One of a message that the consumer does not hold is refused with code 104 and changes nothing; in a transaction the commit fails with it.",
      ],
      {
        tests: [
          "a message that was not delivered to the consumer cannot be acknowledged",
          "a wrong acknowledgement fails the transaction with the original code",
          "a wrong acknowledgement that wants no answer gets none",
          "a settlement of what the consumer does not hold is refused and changes nothing",
        ],
      },
    ),
    rule(
      "A1.15",
      "wire",
      [
        "Acknowledgements of a browser do nothing.",
        "A browser holds nothing, so an acknowledgement of its messages is refused as in A1.14; Java's client sends none.",
      ],
      {
        tests: [
          "a browser sees every message in order and takes none",
          "browsing shows everything in order and takes nothing",
        ],
      },
    ),
    rule(
      "A1.16",
      "wire",
      [
        "Acknowledging twice is harmless, and what was acknowledged is never handed out again (JMS 6.2.11).",
        "`ack()` again gives the first one's outcome and sends nothing. On the wire the second one is refused and changes nothing.",
      ],
      {
        tests: [
          "may be asked for twice and is sent once",
          "an acknowledgement that was confirmed holds after a crash",
        ],
      },
    ),
    rule(
      "A1.17",
      "outcome",
      [
        "After a failover ActiveMQ's client forgets what it had delivered, and acknowledging it covers nothing without a word.",
        "An acknowledgement of a delivery of an earlier life of the session is repeated for the new delivery of the same message; where that went to somebody else it is refused with a code and harms nothing.",
      ],
      {
        tests: [
          "acknowledges again what comes again, and settles the acknowledgement by that",
          "refuses to settle a message that went to somebody else meanwhile",
          "settles an acknowledgement that was asked for while nobody was connected",
          "a settlement of an earlier session of the client is refused and changes nothing",
        ],
      },
    ),
  ],
};

/** A2: kinds of acknowledgement. */
export const acknowledgementTypeRules: RuleGroup = {
  id: "A2",
  title: "Kinds of acknowledgement",
  rules: [
    rule("A2.0", "openWire", [
      "OpenWire has seven: DELIVERED widens the credit, STANDARD removes a range, POISON sends to the dead letters, REDELIVERED correlates, INDIVIDUAL removes one, UNMATCHED drops a subscription's copy, EXPIRED removes what the client found expired.",
      "CORE says the same with other packets: credit in bytes for DELIVERED, a cumulative and an individual acknowledgement for STANDARD and INDIVIDUAL, an expiry for EXPIRED, a rollback for REDELIVERED. Dead letters are the broker's decision (A6), and a subscription's queue never holds a copy that it filters out.",
    ]),
    rule(
      "A2.1",
      "wire",
      [
        "Before the application sees a message its client looks whether it has expired, and whether it has been seen before; then it is skipped and the broker told, without waiting.",
        "Java's client and ours report what expired in their window; it goes to the expiry address. What was seen before is a matter of A2.3.",
      ],
      {
        tests: [
          "a message that the client finds expired is moved",
          "drops messages that expired while they waited for the application",
          "a message that expires in the client's window never comes",
        ],
      },
    ),
    rule("A2.2", "openWire", [
      "A waiting acknowledgement of one kind is sent before one of another kind, except DELIVERED, which is dropped.",
      "Nothing of another kind waits: the packets of a session leave in the order in which they were decided.",
    ]),
    rule(
      "A2.3",
      "outcome",
      [
        "ActiveMQ acknowledges a suspected duplicate as poison, which destroys good messages when the suspicion is wrong (AMQ-9829, AMQ-7298).",
        "A suspected duplicate is never a dead letter. The client suppresses only what this process has in hand or has settled, and acknowledges it again.",
      ],
      {
        tests: [
          "knows a durable message again though the broker forgot that it delivered it",
          "takes a fresh message under a number that was given before for what it is",
          "acknowledges again what comes again, and settles the acknowledgement by that",
        ],
      },
    ),
  ],
};
