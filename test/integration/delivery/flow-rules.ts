import { rule, type RuleGroup } from "./delivery-rule.ts";

/** A10: how much is on its way. */
export const prefetchRules: RuleGroup = {
  id: "A10",
  title: "Prefetch, credit, pull",
  rules: [
    rule(
      "A10.1",
      "option",
      [
        "ActiveMQ counts messages: queue 1,000, browser 500, topic 32,766.",
        "`prefetch: { messages }` of our client; CORE's credit is in bytes, so the client gives it for as many of the smallest messages as it has room for.",
      ],
      {
        tests: [
          "stops at as many unsettled messages as it says, and goes on when one is settled",
          "a consumer that prefetches one message leaves the others to the next consumer",
        ],
      },
    ),
    rule(
      "A10.2",
      "option",
      [
        "Prefetch 0 is pulling: each receive asks for one message; a listener is refused.",
        "`prefetch: 0`, and `consumerWindowSize=0` of Java's clients. `run()` works with it: it asks for a message at a time.",
      ],
      {
        tests: [
          "a consumer that prefetches nothing leaves all to others, even what it waited for",
          "lets nothing be delivered before somebody waits for it, and then one message",
          "a consumer without window gets one message for each receive",
          "receiveNoWait gives what is there and never waits",
        ],
      },
    ),
    rule(
      "A10.3",
      "wire",
      [
        "Artemis' credit is in bytes, 1 MiB by default, −1 without a bound, 0 for none in advance; one consumer that is stuck leaves the rest to others.",
        "The same; one delivery may overdraw the credit.",
      ],
      {
        tests: [
          "credits are counted in bytes of frames, and one delivery may overdraw them",
          "windows of one byte and without bound give everything in order",
          "a slow consumer's window is all that it keeps from others",
        ],
      },
    ),
    rule(
      "A10.4",
      "wire",
      [
        "What was prefetched and not seen goes back unmarked when the consumer closes.",
        "The same (A1.13).",
      ],
      {
        tests: [
          "a consumer is closed with messages in its window",
          "closing a consumer gives back what it held, in order and uncounted",
        ],
      },
    ),
    rule(
      "A10.5",
      "outcome",
      [
        "After a failover ActiveMQ gives its consumers credit only when what was interrupted is sorted out.",
        "A consumer of a new connection gets its credit after the client knows what it has in hand.",
      ],
      {
        tests: [
          "is created again, and drops what nobody had taken",
          "loses no credit over reconnects, and knows again what is in hand",
        ],
      },
    ),
    rule(
      "A10.6",
      "option",
      [
        "Credit in both messages and bytes, whichever is reached first.",
        "`prefetch: { bytes, messages }`.",
      ],
      { tests: ["keeps both bounds whatever the sizes, and never comes to a stop"] },
    ),
  ],
};

/** A11: consumers that do not keep up. */
export const slowConsumerRules: RuleGroup = {
  id: "A11",
  title: "Slow consumers",
  rules: [
    rule(
      "A11.1",
      "wire",
      [
        "ActiveMQ marks a consumer slow whose prefetch is full while messages wait, and can end it.",
        "One setting for both: A11.3.",
      ],
      { tests: ["ends with its connection when the broker finds it too slow"] },
    ),
    rule(
      "A11.2",
      "wire",
      [
        "ActiveMQ bounds what waits for a topic's non-durable subscriber and drops the oldest.",
        "A subscription is a queue: `ringSize` bounds it.",
      ],
      {
        tests: [
          "a ring keeps the newest messages, also after a restart",
          "what a consumer holds counts for no ring, and gives way when it comes back",
        ],
      },
    ),
    rule(
      "A11.3",
      "wire",
      [
        "Artemis: a rate below which a consumer is slow, how often to look, and whether to tell (NOTIFY) or to close its connection (KILL).",
        "The same settings; only consumers with a backlog count.",
      ],
      {
        tests: [
          "is told of at each look while it is slow, with who it is",
          "loses its connection with the policy kill, and others get what it held, counted",
          "who waits for messages, or whose filter matches none",
          "is measured in the unit of the settings",
        ],
      },
    ),
  ],
};

/** A12: messages that belong to one consumer. */
export const groupRules: RuleGroup = {
  id: "A12",
  title: "Groups and exclusive consumers",
  rules: [
    rule(
      "A12.1",
      "wire",
      [
        "A group belongs to the consumer that got its first message, until that leaves or the group is closed by its sequence: ActiveMQ by any negative one, Artemis by −1.",
        "As Artemis.",
      ],
      {
        tests: [
          "each group goes to one consumer, new groups to the consumers in turn",
          "when an owner closes, the next one gets what it held and the rest of its groups, in order",
          "the sequence −1 ends a group: its next message may go to another consumer",
          "groups hold after a restart",
        ],
      },
    ),
    rule(
      "A12.2",
      "wire",
      [
        "The first message of a group for its owner is marked: always in ActiveMQ, under `group-first-key` in Artemis.",
        "As Artemis.",
      ],
      {
        tests: [
          "the first message for an owner has the property that the queue names, also after a change",
        ],
      },
    ),
    rule(
      "A12.3",
      "wire",
      [
        "ActiveMQ keeps an LRU of groups; Artemis a map, buckets, or nothing; a new consumer may make it deal anew.",
        "`groupBuckets`, `groupRebalance`, `groupRebalancePauseDispatch`; the map is bounded.",
      ],
      {
        tests: [
          "groups of one bucket share a consumer",
          "without buckets there are no groups",
          "groups are dealt out anew when a consumer comes, if the queue rebalances",
          "a queue that pauses to rebalance hands out nothing before all is settled",
        ],
      },
    ),
    rule(
      "A12.4",
      "wire",
      [
        "An owner without credit blocks its group's messages: ActiveMQ goes on with others, Artemis stops.",
        "Only the group waits.",
      ],
      { tests: ["a consumer that takes nothing more holds up its own groups and no others"] },
    ),
    rule(
      "A12.5",
      "wire",
      [
        "An exclusive consumer gets everything; when it leaves, the one of the next highest priority takes over, unacknowledged messages first.",
        "The queue's attribute `exclusive`, as in Artemis; who has it keeps it, whatever the priority of who comes.",
      ],
      {
        tests: [
          "only the first consumer of an exclusive queue gets messages, until it leaves",
          "a consumer of a higher priority does not take an exclusive queue over",
          "an exclusive queue says which message is its consumer's first",
        ],
      },
    ),
  ],
};
