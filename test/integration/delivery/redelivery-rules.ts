import { rule, type RuleGroup } from "./delivery-rule.ts";

/** A6: what is given back comes again. */
export const redeliveryRules: RuleGroup = {
  id: "A6",
  title: "Redelivery",
  rules: [
    rule(
      "A6.0",
      "wire",
      [
        "ActiveMQ's client computes d1 = initial delay, then base·multiplier up to a maximum with a random share; Artemis' broker min(max, trunc(delay·multiplier^(n−1))·(1 ± factor·random)), n the delivery count.",
        "Artemis' formula and settings by address: `redeliveryDelay`, `redeliveryDelayMultiplier`, `maxRedeliveryDelay`, `redeliveryCollisionAvoidanceFactor`. A policy of ActiveMQ without jitter is written with them, as long as its first delay is its base.",
      ],
      {
        tests: [
          "a multiplier makes the delay grow with each attempt, up to ten times the first one",
          "the longest delay is what is said, also below the first one",
          "chance varies the delay by its factor both ways, and never above the longest one",
          "without a multiplier each redelivery waits for as long",
        ],
      },
    ),
    rule(
      "A6.1",
      "wire",
      [
        "ActiveMQ's `maximumRedeliveries` 6 means seven deliveries, Artemis' `max-delivery-attempts` 10 means ten.",
        "`maxDeliveryAttempts` counts deliveries, 10 by default, −1 without end.",
      ],
      {
        tests: [
          "a message released ten times goes to the dead-letter address",
          "after ten failures of a listener a message is a dead letter",
          "a message tried too often goes to the dead-letter address",
        ],
      },
    ),
    rule(
      "A6.2",
      "wire",
      [
        "Blocking redelivery stops for the delay and keeps the order.",
        "`redeliveryMode: blocking`, an address setting: what stands behind the message waits as long.",
      ],
      {
        tests: [
          "blocking redelivery keeps the order: what stands behind the message waits as long",
          "blocking redelivery holds a consumer with a filter as well, and no browser",
        ],
      },
    ),
    rule(
      "A6.3",
      "wire",
      ["Non-blocking redelivery lets others pass meanwhile.", "The default, as in Artemis."],
      {
        tests: [
          "a message released with a delay comes again, and others overtake it",
          "a message that failed comes again after the delay, and others overtake it meanwhile",
        ],
      },
    ),
    rule(
      "A6.4",
      "wire",
      [
        "Artemis: without a delay back to the head in order; with one each message is scheduled by itself, and count and time are in the journal.",
        "The same, count and time in one record.",
      ],
      {
        tests: [
          "several messages that failed together come again in their order, also with blocking",
          "count, time and order of a redelivery survive a crash (${mode})",
          "a message that is released with a delay comes again then, over a crash as well",
        ],
      },
    ),
    rule(
      "A6.5",
      "wire",
      [
        "The delivery count need not be persistent; the mark of redelivery has to be likely (JMS 3.5.11).",
        "Counts of what failed are in the journal. After a crash what may have been handed out is marked; the mark is no attempt.",
      ],
      {
        tests: [
          "what may have been delivered before a crash is marked, and the mark is no attempt",
          "what was delivered before the broker died comes again marked",
        ],
      },
    ),
    rule(
      "A6.6",
      "wire",
      [
        "A message that is marked as redelivered has a count of 2 or more, the first delivery has 1 (JMS 3.5.11).",
        "The same: the mark is the count, and a consumer's selector may ask for `JMSXDeliveryCount`.",
      ],
      {
        tests: [
          "each released message counts by itself, others in hand stay",
          "a released message comes again in its place, counted",
          "the delivery count grows with every rollback",
          "each message that is released counts by itself, and those still held stay",
        ],
      },
    ),
    rule(
      "A6.7",
      "wire",
      [
        "ActiveMQ's broker can redeliver by sending a delayed copy before it removes the original, which may double it.",
        "The row itself waits: one record, no copy.",
      ],
      { tests: ["a crash before the failure is written makes it unhappened, never half of it"] },
    ),
    rule(
      "A6.8",
      "outcome",
      [
        "ActiveMQ compares before counting in one path and after it in another.",
        "There is one path: the broker counts when a delivery is given back.",
      ],
      {
        tests: [
          "after ten attempts a message is a dead letter",
          "after ten failures of a listener a message is a dead letter",
          "a message that is released too often becomes a dead letter",
        ],
      },
    ),
    rule(
      "A6.9",
      "wire",
      [
        "Blocking may hold a whole queue or only the message's group.",
        "Where messages are grouped only the group is held.",
      ],
      {
        tests: [
          "blocking redelivery holds the rest of the message's group, and no other",
          "what a group waits for may be deleted, and a restart keeps it waiting",
        ],
      },
    ),
  ],
};

/** A7: what is tried too often, and what lives too long. */
export const deadLetterRules: RuleGroup = {
  id: "A7",
  title: "Dead letters and expiry",
  rules: [
    rule(
      "A7.1",
      "wire",
      [
        "ActiveMQ's dead letters go to `ActiveMQ.DLQ`, or to a queue for each source; Artemis' to `dead-letter-address`.",
        "`deadLetterAddress`, `DLQ` by default; `autoCreateDeadLetterResources` with `deadLetterQueuePrefix` and `deadLetterQueueSuffix` makes a queue for each source.",
      ],
      {
        tests: [
          "a message tried too often goes to the dead-letter address",
          "a dead letter that is in memory only reaches a consumer that waits for it",
          "each address has a queue of its own for dead letters and for expired messages, where that is set",
          "dead letters are kept when the sink has no queue and another address has one of its name",
        ],
      },
    ),
    rule(
      "A7.2",
      "wire",
      [
        "ActiveMQ drops non-persistent and, if told so, expired messages instead of keeping them as dead letters, and a duplicate among them.",
        "Non-durable messages become dead letters too, in memory. Nothing is dropped that has an address to go to.",
      ],
      { tests: ["messages in memory expire and become dead letters as well"] },
    ),
    rule(
      "A7.3",
      "wire",
      [
        "ActiveMQ keeps id, body, properties, priority and timestamp, and adds the origin, the cause and the original expiration.",
        "All of the message stays as its sender made it; origin and cause are added (`_EVH_CAUSE`, and `dlqDeliveryFailureCause` for those who look for that), and it expires no more. Only the broker's own number of it is a new one, as in Artemis: one that expires in two subscriptions is two messages.",
      ],
      {
        tests: [
          "a dead letter says where it came from, and stays however often it is tried",
          "a rejected message goes to the dead-letter address with its reason",
          "a dead letter says why it is one, to consumers, filters and those who list it, also after a crash",
          "a message that expires in two queues is two messages where both go, each settled for itself",
        ],
      },
    ),
    rule(
      "A7.4",
      "wire",
      [
        "Artemis adds `_AMQ_ORIG_ADDRESS`, `_AMQ_ORIG_QUEUE`, `_AMQ_ORIG_MESSAGE_ID`, the original routing type and `_AMQ_ACTUAL_EXPIRY`; a message moved again keeps the last origin.",
        "The same names.",
      ],
      {
        tests: [
          "a message that was moved carries the address where it lies, and no routing type",
          "a selector sees of a moved message what its consumer is shown",
        ],
      },
    ),
    rule(
      "A7.5",
      "wire",
      [
        "A dead letter that fails again must not go round for ever: ActiveMQ loses it, Artemis removes what has no address to go to.",
        "On a dead-letter address a message is never tried too often: it stays. Without a dead-letter address a message is dropped and counted.",
      ],
      {
        tests: [
          "a dead letter says where it came from, and stays however often it is tried",
          "without a dead-letter address a message tried too often is dropped",
          "two addresses that are each other's sink do not pass a dead letter to and fro",
          "a dead letter that is rejected stays where it is, counted",
          "without a dead-letter address messages are dropped and counted, and the log says so once",
        ],
      },
    ),
    rule(
      "A7.6",
      "wire",
      [
        "Expiry is looked at on arrival, by a scan every 30 s, before delivery, and in the client.",
        "The same four places.",
      ],
      {
        tests: [
          "an expired message is not delivered but moved, and expires no more",
          "a queue that nobody consumes loses its expired messages as well",
          "a message that has expired on arrival is confirmed and goes to the expiry address",
          "a message that the client finds expired is moved",
        ],
      },
    ),
    rule(
      "A7.7",
      "wire",
      [
        "Artemis: `no-expiry` goes before `expiry-delay` (for messages without a time), which goes before the range of `min-` and `max-expiry-delay`.",
        "The same settings with the same precedence.",
      ],
      {
        tests: [
          "${name} gets ${gets} with ${JSON.stringify(said)}",
          "a message expires when the settings of its address say so, and says that to its consumers",
        ],
      },
    ),
    rule(
      "A7.8",
      "wire",
      [
        "ActiveMQ sends to the dead letters, then removes: a crash between the two doubles the message.",
        "One record moves the row; there is one copy, here or there.",
      ],
      {
        tests: [
          "nothing confirmed is lost and nothing settled comes again over crashes, seed ${seed}",
          "a message that is rejected goes to the dead letters with the reason, exactly once",
        ],
      },
    ),
    rule(
      "A7.9",
      "wire",
      [
        "A message to a topic without subscriptions is dropped, unless `send-to-dla-on-no-route`.",
        "The same.",
      ],
      {
        tests: [
          "a topic without subscriptions keeps nothing",
          "a send to an address without queues succeeds and is dropped",
          "a message that no queue takes goes to the dead letters where that is set, and expires no more",
          "a transaction sends what no queue takes to the dead letters of each address",
        ],
      },
    ),
  ],
};
