import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { readRecordings } from "./read-recordings.test-support.ts";
import { replayOnOurBroker } from "./replay.test-support.ts";
import { replayOnOurClient } from "./scripted-broker.test-support.ts";

/** A difference, as `PACKET.field: theirs → ours`, and why it is right. */
interface Reasoned {
  readonly difference: RegExp;
  readonly reason: string;
  /** Whether there may be no such difference. */
  readonly isOptional?: true;
}

/** What an operation of management tells of the broker itself, its clock and its ids. */
const aboutTheBroker: readonly Reasoned[] = [
  {
    difference: /^SESS_RECEIVE_MSG\.timestamp: \d+ → \d{13}$/,
    reason: "an answer of management says when it was made",
  },
  {
    difference: /^SESS_RECEIVE_MSG\.body: \["[0-9a-f-]{32,36}"\] → \["[0-9a-f]{32}"\]$/,
    reason: "the id of the node, which the tool asks for",
  },
  {
    difference: /^SESS_RECEIVE_MSG\.body: \["\{\\"data\\":.*→ \["\{\\"data\\":/,
    reason: "the list of queues holds ids, and queues that only one of the brokers has",
  },
];

const fromArtemis: readonly Reasoned[] = [
  ...aboutTheBroker,
  {
    difference: /^SESS_QUEUEQUERY_RESP_V3\.autoDelete: false → true$/,
    reason:
      "the recorded broker was told to keep queues, ours deletes them where nobody tells it not to",
  },
  {
    difference: /^SESS_QUEUEQUERY_RESP_V3\.temporary: true → false$/,
    reason:
      "the queue of a shared subscription that is not durable ends with its last consumer, not with the " +
      "connection that created it",
  },
  {
    difference: /^SESS_BINDINGQUERY_RESP_V5\.(exists: false → true|queueNames: \[\] → \["mark\/1")/,
    reason: "our client asks every broker whether it is Everhold",
  },
  {
    difference: /^SESS_RECEIVE_LARGE_MSG\.userId: (\w{12})1(\w+) → \1[^1]\2$/,
    reason: "Artemis makes the id of a user one of version 1 when it passes a large message on",
  },
  {
    difference: /^SESS_RECEIVE_MSG\.priority: 0 → 4$/,
    reason: "an answer of management has the usual priority",
  },
  {
    difference: /^SESS_RECEIVE_MSG\.property (JMSReplyTo|JMSCorrelationID): string \S+ → none$/,
    reason: "Artemis copies the question's address for answers, and a correlation id null",
  },
  {
    difference: /^SESS_RECEIVE_MSG\.body: \["\[\]"\] → \["\[\{\\"nodeID/,
    reason: "our broker names itself in the list of nodes, Artemis only when it is clustered",
  },
];

const fromOurs: readonly Reasoned[] = [
  ...aboutTheBroker,
  {
    difference: /^SESS_(QUEUE|BINDING)QUERY_RESP_V\d\./,
    reason: "what is told of queues and addresses is held to what Artemis tells",
    isOptional: true,
  },
  {
    difference: /^SESS_RECEIVE_MSG\.body: \["\[\{\\"nodeID.*→ \["\[\{\\"nodeID/,
    reason: "the list of nodes holds the address of the broker",
  },
];

/** Session and message ids, the producer's mark, the connection's own id, times. */
const drawn =
  /^(CREATESESSION(_V2)?\.name|SESS_SEND(_LARGE)?\.(userId|timestamp|expiration|property (__AMQ_CID|_AMQ_DUPL_ID))|EVERHOLD_COMMIT_AS\.producerId): /;

const howToRecord =
  "where a change is meant, `RECORD=1 npm run interop -- conversations` records anew";

describe("a recorded client that speaks to our broker again", () => {
  for (const { broker, wording, reasons } of [
    { broker: "artemis-2.44.0", wording: "as Artemis answered", reasons: fromArtemis },
    { broker: "everhold", wording: "as it was answered before", reasons: fromOurs },
  ]) {
    it(`is answered ${wording}, but for differences with a reason`, async () => {
      const used = new Set<Reasoned>();
      const wrong: string[] = [];
      const recordings = readRecordings().filter((recording) => recording.broker === broker);
      for (const recording of recordings) {
        for (const difference of await replayOnOurBroker(recording)) {
          const reasoned = reasons.find((one) => one.difference.test(difference));
          if (reasoned === undefined) wrong.push(`${recording.name}: ${difference.slice(0, 1000)}`);
          else used.add(reasoned);
        }
      }
      assert.deepEqual(wrong, [], howToRecord);
      assert.deepEqual(
        reasons
          .filter((one) => !used.has(one) && one.isOptional !== true)
          .map(({ reason }) => reason),
        [],
        "every reason is needed",
      );
      assert.ok(recordings.length >= 45, `${recordings.length} recordings`);
    });
  }
});

describe("our client, answered as it was when it was recorded", () => {
  it("says what it said then, but for what it draws at random and reads off the clock", async () => {
    const wrong: string[] = [];
    const recordings = readRecordings().filter(({ client }) => client === "everhold");
    for (const recording of recordings) {
      for (const difference of await replayOnOurClient(recording)) {
        if (!drawn.test(difference)) wrong.push(`${recording.name}: ${difference.slice(0, 1000)}`);
      }
    }
    assert.deepEqual(wrong, [], howToRecord);
    assert.equal(recordings.length, 20);
  });
});
