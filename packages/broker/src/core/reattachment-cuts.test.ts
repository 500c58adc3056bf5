import assert from "node:assert/strict";
import { test } from "node:test";

import { ByteReader, packets, readMessage, unsaidQueueAttributes } from "@everhold/wire";

import { largeBytes, largeHeaders } from "../testing/large-client.test-support.ts";
import {
  ReturningClient,
  type Cut,
  type SessionFrame,
} from "../testing/returning-client.test-support.ts";
import { startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, textOf } from "../testing/test-client.test-support.ts";

/** Sizes with which messages are read from the disk again, not only from memory. */
const smallCaches = {
  segmentBytes: 1024 * 1024,
  prepareAheadBytes: 64 * 1024,
  freeBytesMin: 0,
  tailCacheBytes: 16 * 1024,
  readCacheBytes: 16 * 1024,
  readAheadBytes: 4096,
};

const queue = {
  address: "q",
  queueName: "q",
  filter: null,
  durable: true,
  temporary: false,
  requiresResponse: true,
  autoCreated: false,
  routingType: 1,
  maxConsumers: -1,
  purgeOnNoConsumers: false,
  ...unsaidQueueAttributes,
};
const consumer = { queueName: "q", filter: null, browseOnly: false, requiresResponse: true };

/** What is the same in each run: not the ids of messages, which depend on how records are batched. */
function describe(client: ReturningClient, frame: SessionFrame): string {
  if (frame.name === packets.receive.name) {
    const { message, consumerId, deliveryCount } = client.decode(packets.receive, frame);
    const read = readMessage(new ByteReader(message));
    const marker = read.properties.get("_hornetq.forced.delivery.seq")?.value;
    return `delivery ${consumerId} ${deliveryCount} ${String(marker ?? textOf(read))}`;
  }
  if (frame.name === packets.receiveContinuation.name) {
    const { part, continues } = client.decode(packets.receiveContinuation, frame);
    return `part ${part.length} ${part[0]} ${String(continues)}`;
  }
  if (frame.name === packets.nullResponse.name) {
    return `answer ${String(client.decode(packets.nullResponse, frame).correlationId)}`;
  }
  if (frame.name === packets.exception.name) {
    return `refusal ${client.decode(packets.exception, frame).code}`;
  }
  return frame.name;
}

async function nextId(client: ReturningClient): Promise<number> {
  const [frame] = await client.take();
  assert.ok(frame !== undefined);
  const { message } = client.decode(packets.receive, frame);
  return readMessage(new ByteReader(message)).messageId;
}

function post(client: ReturningClient, text: string, correlationId: number): void {
  const message = messageOf("q", { text });
  client.send(packets.send, { message, requiresResponse: true, correlationId, senderId: 0 });
}

function commit(client: ReturningClient, correlationId: number): void {
  client.send(packets.commit, { correlationId });
}

/** Sends, acknowledgements, commits, a rollback, queries, a refusal, a message in parts each way. */
async function exchange(client: ReturningClient): Promise<void> {
  client.send(packets.createQueueV2, queue);
  client.send(packets.queueQuery, { queueName: "q" });
  client.send(packets.deleteQueue, { queueName: "missing" });
  await client.take(3);
  client.send(packets.createConsumer, { ...consumer, consumerId: 0, priority: 0 });
  client.send(packets.flowToken, { consumerId: 0, credits: 1_000_000 });
  client.send(packets.sessionStart, {});
  await client.take();
  client.send(packets.producerRequestCredits, { credits: 65_536, address: "q" });
  await client.take();
  for (const text of ["a", "b", "c"]) post(client, text, 5);
  commit(client, 6);
  await client.take(4);
  const first = await nextId(client);
  const second = await nextId(client);
  await nextId(client);
  client.send(packets.acknowledge, { consumerId: 0, messageId: first, requiresResponse: false });
  commit(client, 7);
  await client.take();
  client.send(packets.acknowledge, { consumerId: 0, messageId: second, requiresResponse: true });
  post(client, "never", 8);
  await client.take(2);
  client.send(packets.sessionStop, {});
  await client.take();
  client.send(packets.rollback, { considerLastMessageAsDelivered: false });
  await client.take();
  client.send(packets.sessionStart, {});
  await nextId(client);
  const third = await nextId(client);
  client.send(packets.acknowledge, { consumerId: 0, messageId: third, requiresResponse: false });
  client.send(packets.forceConsumerDelivery, { consumerId: 0, sequence: 3 });
  await client.take();
  client.send(packets.sendLarge, { headers: largeHeaders() });
  const body = largeBytes(230_000);
  for (let start = 0; start < body.length; start += 100_000) {
    const isLast = start + 100_000 >= body.length;
    client.send(packets.sendContinuation, {
      part: body.subarray(start, start + 100_000),
      continues: !isLast,
      messageBodySize: isLast ? body.length : null,
      requiresResponse: isLast,
      correlationId: isLast ? 9 : 0,
      senderId: 0,
    });
  }
  commit(client, 10);
  await client.take(2);
  await client.take(4);
  client.send(packets.sessionStop, {});
  await client.take();
  client.send(packets.rollback, { considerLastMessageAsDelivered: false });
  client.send(packets.consumerClose, { consumerId: 0 });
  client.send(packets.queueQuery, { queueName: "q" });
  await client.take(3);
  client.send(packets.addMetadataV2, { key: "a", data: "b", requiresConfirmation: true });
  await client.take();
}

async function run(
  cuts: readonly Cut[],
): Promise<{ client: ReturningClient; seen: string[]; left: number }> {
  const { world, broker } = await startBroker({ journal: smallCaches });
  const client = await ReturningClient.open(
    world,
    { autoCommitSends: false, autoCommitAcks: false },
    cuts,
  );
  await exchange(client);
  const seen = client.received.map((frame) => describe(client, frame));
  const left = broker.queues().find(({ name }) => name === "q")?.messageCount ?? -1;
  // Both sides have counted the same.
  client.cut(true);
  await client.settle();
  await client.comeBack();
  assert.equal(client.answers.at(-1), true);
  assert.equal(client.unconfirmedCount, 0);
  return { client, seen, left };
}

const whole = await run([]);

test("an exchange ends with what was committed in the queue", () => {
  assert.equal(whole.left, 1);
  assert.equal(whole.client.returnCount, 1);
  assert.ok(whole.seen.includes("delivery 0 0 3"));
});

for (const way of ["out", "in"] as const) {
  for (const isNoticed of [true, false]) {
    const when = isNoticed ? "" : " that the broker does not notice";
    test(`a client sees nothing of a break at any frame ${way}${when}`, async () => {
      const frames = way === "out" ? whole.client.lastSent + 1 : whole.seen.length;
      for (let count = 0; count < frames; count += 1) {
        const { seen, left, client } = await run([{ way, frames: count, isNoticed }]);
        assert.deepEqual(seen, whole.seen, `cut ${way} after ${count}`);
        assert.equal(left, whole.left);
        assert.equal(client.returnCount, 2);
        assert.ok(client.answers.every(Boolean));
      }
    });
  }
}
