import { rule, type RuleGroup } from "./delivery-rule.ts";

/** A3: what a send is and when it is over. */
export const sendingRules: RuleGroup = {
  id: "A3",
  title: "The way of a send",
  rules: [
    rule(
      "A3.1",
      "option",
      [
        "ActiveMQ sends without waiting when there is no callback, no send timeout, no response is demanded, `alwaysSyncSend` is off, and the message is not persistent, or `useAsyncSend` is on, or it is in a transaction; else it waits for the answer.",
        "`asyncSend` of a connection or producer (`never`, `transacted`, `nonDurable`, `always`), `sendTimeout` and `confirm` decide the same; the table of 64 combinations is a test.",
      ],
      {
        tests: [
          "is as ActiveMQ decides it, for all 64 combinations of what decides it",
          "is that of transactions only by default",
          "that the broker refuses is told by an error event",
        ],
      },
    ),
    rule(
      "A3.2",
      "option",
      [
        "The producer window bounds the bytes of sends that nobody waits for; a send that is waited for does not use it, and one message may exceed it.",
        "`asyncSendWindow` of a connection or producer, in bytes, 0 for none; it opens again with the broker's answers. CORE's own window, credit of the address, is `producerWindow`.",
      ],
      {
        tests: [
          "lets sends leave while it has room, the last of which may exceed it",
          "is not used by sends that wait for their answer, and yet holds them back",
          "asynchronous sends arrive in order through a window of one byte",
        ],
      },
    ),
    rule(
      "A3.3",
      "wire",
      [
        "The send sets destination, delivery mode, expiration, priority, timestamp, id and delivery time; what the caller wrote into these headers is overwritten. In a transaction time counts from the send (JMS 3.4).",
        "The headers are arguments of the send, and there are no others to overwrite. A ttl and a delay count from the send.",
      ],
      {
        tests: [
          "is the client's to say: priority, expiration and time of sending",
          "counts from the send, not from the commit",
          "the sender's headers are those of the receiver",
          "what a producer says by default holds for all its sends",
        ],
      },
    ),
    rule(
      "A3.4",
      "outcome",
      [
        "All producers of a session send in the order of the calls.",
        "Sends of one connection to one address leave in the order of the calls; a send that waits for credit of its address holds up no other address.",
      ],
      { tests: ["send in the order of their calls", "holds up no other address"] },
    ),
    rule(
      "A3.5",
      "outcome",
      [
        "A producer with a destination refuses any other, one without demands one, and a temporary destination that is gone is refused.",
        "`producer(address)` has no way to name another, `send(address, …)` demands one. A reply to a queue that is gone is EVH_QUEUE_DOES_NOT_EXIST.",
      ],
      {
        tests: [
          "goes where it says, and needs an address",
          "a reply whose requester has gone is refused, and leaves no queue behind",
        ],
      },
    ),
    rule(
      "A3.6",
      "outcome",
      [
        "Callbacks of asynchronous sends come one at a time, in the order of the sends, never within the call; commit, rollback and close wait for them (JMS 7.3).",
        "A promise settles in a later turn. `commit()` waits for the sends before it, `close()` for those of its producer. Promises of sends to different addresses may settle out of order, for each is a request of its own.",
      ],
      {
        tests: [
          "with a confirmation window every send completes, in order",
          "closing waits for the completions",
          "is waited for by its producer's close",
          "leaves before the commit of its transaction does",
        ],
      },
    ),
    rule(
      "A3.7",
      "outcome",
      [
        "Non-persistent is at most once: it may be lost and must not come twice. Persistent is once and only once (JMS 7.7, 9.1).",
        "Sends that are not durable are never repeated after a break: their promise rejects with outcome `unknown`. Durable ones are repeated under their mark.",
      ],
      {
        tests: [
          "are rejected as unknown when they are not durable, and as nothing when they have not left",
          "that is not durable never goes out again: its loss is told, once for all",
          "nothing is lost or doubled when connections break at any byte",
        ],
      },
    ),
    rule(
      "A3.8",
      "wire",
      [
        "A message that has expired on arrival is not stored in its queue, is treated as expired, and its producer is answered all the same.",
        "It is confirmed and found at the expiry address.",
      ],
      {
        tests: [
          "a message that has expired on arrival is confirmed and goes to the expiry address",
        ],
      },
    ),
    rule(
      "A3.9",
      "wire",
      [
        "When memory is full a send fails, or waits and is answered later, or its connection is read no more.",
        "`addressFullPolicy` says which: credit is withheld (`block`), the send is refused with EVH_ADDRESS_FULL (`fail`), or the message is dropped (`drop`). Above the memory of the broker as a whole, credit stops first and sends are refused then. What a transaction acknowledged takes its room until the commit, in Artemis too: with `block` one that sends where only it can make room waits for itself, until its send's `timeout` ends.",
      ],
      {
        tests: [
          "messages in memory are bounded: first credits stop, then sends are refused",
          "credits for a full address come when there is room again",
          "waits for credit, and leaves in order when it comes",
          "takes and drops what is sent to it with the policy drop, and says so once",
          "refuses sends with the policy fail, counted in messages too",
          "gives no credit with the policy block, and refuses sends only above its threshold",
          "get credit in the order in which they asked, as much as there is room for, a thousand of them",
        ],
      },
    ),
    rule(
      "A3.10",
      "wire",
      [
        "Artemis' clients wait for durable sends and not for others, ask for credit of 64 KiB; an address that is full pages, blocks, fails or drops; a full disk blocks.",
        "The same for Java's clients. `page` means that bodies leave memory: those of durable messages are never kept there. A full disk refuses durable sends with a code and goes on with acknowledgements from its reserve.",
      ],
      {
        tests: [
          "with the policy fail a full address refuses credits and sends",
          "a full disk refuses sends and still takes acknowledgements",
          "a producer with a small window sends everything",
          "goes on as if nothing were with the policy page",
          "fails or drops what a transaction sends as its policy says",
        ],
      },
    ),
  ],
};
