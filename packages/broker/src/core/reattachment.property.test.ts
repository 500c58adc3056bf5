import assert from "node:assert/strict";
import { test } from "node:test";

import { Prng } from "@everhold/base";
import { ByteReader, packets, readMessage, unsaidQueueAttributes } from "@everhold/wire";

import { ReturningClient } from "../testing/returning-client.test-support.ts";
import { startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, textOf } from "../testing/test-client.test-support.ts";

/** Small caches, so that what is sent again is read from the disk at times. */
const journal = {
  segmentBytes: 64 * 1024,
  prepareAheadBytes: 4096,
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

/** What a session's client did and saw; it acknowledges in the order in which it got messages. */
class Account {
  readonly sent: string[] = [];
  /** Of what was sent and is not committed. */
  pending: string[] = [];
  /** What must come, in its order; the first ones have come. */
  readonly committed: string[] = [];
  readonly got: { readonly text: string; readonly messageId: number }[] = [];
  settledCount = 0;
  /** Settled in the open transaction. */
  settling = 0;
  answerCount = 0;
  expectedAnswers = 0;
  readonly #client: ReturningClient;
  #seen = 0;

  constructor(client: ReturningClient) {
    this.#client = client;
  }

  /** Looks at what has come since the last time. */
  look(): void {
    const { received } = this.#client;
    for (; this.#seen < received.length; this.#seen += 1) {
      const frame = received[this.#seen];
      assert.ok(frame !== undefined);
      if (frame.name !== packets.receive.name) {
        this.answerCount += 1;
        continue;
      }
      const { message, deliveryCount } = this.#client.decode(packets.receive, frame);
      const read = readMessage(new ByteReader(message));
      assert.equal(deliveryCount, 1, "nothing was given back");
      const text = textOf(read).trimEnd();
      assert.equal(text, this.committed[this.got.length], "in order, none lost, none twice");
      this.got.push({ text, messageId: read.messageId });
    }
  }
}

async function round(seed: number, isTransacted: boolean): Promise<number> {
  const prng = new Prng(seed);
  const pick = (count: number): number => prng.uint32() % count;
  const { world, broker } = await startBroker({ journal });
  const choices = {
    autoCommitSends: !isTransacted,
    autoCommitAcks: !isTransacted,
    confirmationWindowSize: [0, 100, 10_000, 1_000_000][pick(4)] ?? 0,
  };
  const client = await ReturningClient.open(world, choices, [], 1 + pick(20));
  const account = new Account(client);
  client.send(packets.createQueueV2, queue);
  client.send(packets.createConsumer, {
    consumerId: 0,
    queueName: "q",
    filter: null,
    browseOnly: false,
    requiresResponse: true,
    priority: 0,
  });
  client.send(packets.flowToken, { consumerId: 0, credits: -1 });
  client.send(packets.sessionStart, {});
  account.expectedAnswers += 2;
  const commit = (): void => {
    client.send(packets.commit, { correlationId: 9 });
    account.expectedAnswers += 1;
    account.committed.push(...account.pending);
    account.pending = [];
    account.settledCount += account.settling;
    account.settling = 0;
  };
  const steps: readonly (() => Promise<void> | void)[] = [
    () => {
      const text = `${account.sent.length}`;
      account.sent.push(text);
      if (isTransacted) account.pending.push(text);
      else account.committed.push(text);
      const requiresResponse = pick(2) === 0;
      if (requiresResponse) account.expectedAnswers += 1;
      const message = messageOf("q", { text: text.padEnd(pick(6) === 0 ? 3_000 : 20) });
      client.send(packets.send, { message, requiresResponse, correlationId: 7, senderId: 0 });
    },
    () => {
      account.look();
      const open = account.got.length - account.settledCount - account.settling;
      if (open === 0) return;
      const count = 1 + pick(open);
      const last = account.got[account.settledCount + account.settling + count - 1];
      const requiresResponse = pick(2) === 0;
      if (requiresResponse) account.expectedAnswers += 1;
      client.send(packets.acknowledge, {
        consumerId: 0,
        messageId: last?.messageId ?? 0,
        requiresResponse,
      });
      if (isTransacted) account.settling += count;
      else account.settledCount += count;
    },
    () => {
      if (isTransacted) commit();
    },
    () => client.settle(),
    () => client.cut(pick(2) === 0),
    () => client.settle().then(() => client.comeBack()),
    () => client.comeBack(),
    () => world.pass(1_000).then(() => client.settle()),
    () => {
      // One more break on the way, wherever it then happens.
      const way = pick(2) === 0 ? "in" : "out";
      client.cutLater({ way, frames: pick(10), isNoticed: pick(2) === 0 });
    },
  ];
  // Traffic more often than trouble.
  const order = [0, 0, 0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 6, 7, 8];
  for (let step = 0; step < 60; step += 1) await steps[order[pick(order.length)] ?? 0]?.();
  if (isTransacted) commit();
  for (let again = 0; again < 20; again += 1) {
    await client.settle();
    await client.comeBack();
  }
  await client.settle();
  account.look();
  assert.equal(account.got.length, account.committed.length, "all has come");
  assert.equal(account.answerCount, account.expectedAnswers, "each request has one answer");
  const left = broker.queues().find(({ name }) => name === "q")?.messageCount;
  assert.equal(left, account.committed.length - account.settledCount);
  assert.ok(client.answers.every(Boolean), "all was kept");
  client.cut(true);
  await client.comeBack();
  await client.settle();
  assert.equal(client.unconfirmedCount, 0, "both sides have counted the same");
  return client.returnCount;
}

for (const isTransacted of [false, true]) {
  const what = isTransacted ? "a transacted session" : "a session";
  test(`${what} loses and doubles nothing, whenever its connection breaks`, async () => {
    let returnCount = 0;
    for (let seed = 1; seed <= 30; seed += 1) {
      try {
        returnCount += await round(seed, isTransacted);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    assert.ok(returnCount > 120, "connections broke");
  });
}
