import { rule, type RuleGroup } from "./delivery-rule.ts";

/** A14: what comes and goes beside queues. */
export const subscriptionRules: RuleGroup = {
  id: "A14",
  title: "Subscriptions, temporary destinations, browsing, delays",
  rules: [
    rule(
      "A14.1",
      "wire",
      [
        "A durable subscription is known by client id and name, has one subscriber, and is made anew with another topic or selector while nobody uses it; it cannot be ended while it is in use (JMS 8.3.3).",
        "The queue `clientId.name`, as Java's client names it; that client makes it anew. Ours refuses another filter rather than lose what waits.",
      ],
      {
        tests: [
          "a durable subscription has one subscriber at a time",
          "another selector makes a durable subscription anew",
          "unsubscribe ends a durable subscription",
          "a durable subscription needs a client id",
          "a durable subscription that is not shared has one consumer",
        ],
      },
    ),
    rule(
      "A14.2",
      "wire",
      [
        "A shared subscription has many subscribers, each message goes to one; another topic or selector is refused while it is in use; one that is not durable ends with its last subscriber (JMS 8.3.2, 8.3.4).",
        "The same.",
      ],
      {
        tests: [
          "subscribers of a shared subscription share its messages",
          "a shared subscription of another topic or selector is refused",
          "a shared subscription ends with its last subscriber",
          "a shared durable subscription stays without subscribers",
          "shared subscriptions with and without client id are apart",
        ],
      },
    ),
    rule(
      "A14.3",
      "wire",
      [
        "A durable subscription gathers while nobody listens, another one gets what is sent while it lives; the copies are independent (JMS 4.2.2).",
        "The same.",
      ],
      {
        tests: [
          "a topic reaches every subscription, and a durable one later",
          "the copies of a message in several queues are settled apart",
          "a durable subscription keeps messages while its subscriber is away",
          "each subscriber of a topic gets every message from its start on",
        ],
      },
    ),
    rule(
      "A14.4",
      "wire",
      [
        "noLocal: nothing that was sent over the same connection, or under the same client id (JMS 8.3).",
        "Java's client writes it into the subscription's filter.",
      ],
      { tests: ["a noLocal subscriber gets only what others send"] },
    ),
    rule(
      "A14.5",
      "wire",
      [
        "Only its connection consumes from a temporary destination, anybody sends to it; it ends with its connection or when it is deleted (JMS 6.2.2).",
        "The same. Our client makes its reply queue again after a break; replies that waited there are lost.",
      ],
      {
        tests: [
          "only the connection that made it receives from a temporary queue",
          "a temporary queue ends with its connection",
          "a temporary queue is deleted, but not under a consumer",
          "gets its reply over a reconnect",
        ],
      },
    ),
    rule(
      "A14.6",
      "wire",
      [
        "A browser need not be a snapshot, shows nothing before its time, follows its selector, and may show what is in flight (JMS 4.1.6).",
        "It shows what is ready, once and in order, and changes no count.",
      ],
      {
        tests: [
          "a browser sees what is ready, changes nothing, and needs no start",
          "a browser with a selector sees what it says",
          "a browser beside a consumer disturbs neither",
          "a browser sees nothing before its time, and a forced delivery is answered without it",
        ],
      },
    ),
    rule(
      "A14.7",
      "wire",
      [
        "A delayed message is seen no sooner than its time; a topic's subscription must exist when it is sent; order is that of the times (JMS 7.9, 3.4.13).",
        "The same; messages of one time keep the order of their sends.",
      ],
      {
        tests: [
          "a scheduled message is in its queue at once and delivered at its time, not earlier",
          "each subscription of a topic gets it, as far as there was one when it was sent",
          "messages come in the order of their times",
          "a topic's subscribers get a delayed message at its time",
        ],
      },
    ),
    rule("A14.8", "openWire", [
      "ActiveMQ's scheduler repeats messages by period and by cron.",
      "CORE has no such thing, and Artemis' clients never ask for it: one delay a message.",
    ]),
  ],
};
