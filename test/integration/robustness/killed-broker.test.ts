import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { describe, it } from "node:test";

import { connect, EverholdError, verifyData, type Connection } from "everhold";

import { freePort } from "../free-port.ts";
import { BrokerProcess } from "./broker-process.test-support.ts";
import { LogRecorder } from "./log-recorder.test-support.ts";
import { temporaryFolder } from "./test-broker.test-support.ts";
import { until } from "./until.test-support.ts";

const killCount = 5;
/** What must have been confirmed between two kills. */
const sendsPerLife = 300;
const transactionsPerLife = 5;
const messagesPerTransaction = 4;
const movedCount = 400;
const inFlightMax = 50;
const padding = "x".repeat(500);

describe("a broker that is killed under load", () => {
  it(`${killCount} kills lose nothing, double nothing and split no transaction`, async () => {
    const folder = temporaryFolder();
    await using broker = new BrokerProcess(folder, await freePort());
    await broker.start();
    const connections: Connection[] = [];
    const open = async (): Promise<Connection> => {
      const reconnect = { initialDelay: 20, maxDelay: 100 };
      const connection = await connect(broker.url, { reconnect, log: new LogRecorder() });
      connections.push(connection);
      return connection;
    };
    try {
      const first = await open();
      for (const queue of ["orders", "kept", "batches", "in", "out"])
        await first.createQueue(queue);
      await fillIn(first);

      const orders = [
        new Sending(await open(), "orders", "a"),
        new Sending(await open(), "orders", "b"),
        new Sending(await open(), "kept", "c"),
      ];
      const settling = new Settling(await open(), "orders");
      const others = new Settling(await open(), "orders");
      const batches = [new Batches(await open(), "d"), new Batches(await open(), "e")];
      const moves = new Moves(await open());

      for (let kill = 0; kill < killCount; kill += 1) {
        const sendTargets = orders.map((one) => one.confirmed.size + sendsPerLife);
        const commitTargets = batches.map((one) => one.committed.size + transactionsPerLife);
        const settled = settling.settled.size + others.settled.size + sendsPerLife;
        await until(
          () =>
            orders.every((one, index) => one.confirmed.size >= (sendTargets[index] ?? 0)) &&
            batches.every((one, index) => one.committed.size >= (commitTargets[index] ?? 0)) &&
            settling.settled.size + others.settled.size >= settled &&
            moves.committedCount > 0,
          "everybody gets on",
        );
        await broker.kill();
        const report = await verifyData(folder);
        assert.deepEqual(report.problems, []);
        assert.ok(report.isSound);
        await broker.start();
      }

      await Promise.all([...orders, ...batches, moves].map((one) => one.end()));
      await until(() => settling.isIdle && others.isIdle, "what was received is settled");
      await Promise.all([settling.end(), others.end()]);

      // A connection of its own looks at what is left.
      const last = await open();
      const left = await drain(last, "orders");
      const kept = await drain(last, "kept");
      checkOrders(orders.slice(0, 2), [settling, others], left);
      assert.deepEqual(orders[2]?.failures, []);
      assert.deepEqual(kept, [...(orders[2]?.confirmed ?? [])]);
      checkBatches(batches, await drain(last, "batches"));
      const places = new Map<string, string[]>();
      for (const queue of ["in", "out"]) {
        for (const text of await drain(last, queue)) {
          places.set(text, [...(places.get(text) ?? []), queue]);
        }
      }
      assert.equal(places.size, movedCount, "nothing that was to be moved is lost");
      assert.deepEqual(
        [...places].filter(([, queues]) => queues.length > 1),
        [],
      );
      assert.ok(moves.committedCount > 0, "something was moved");
    } finally {
      await Promise.all(connections.map((connection) => connection.close()));
      await broker[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    }
  });
});

/** Sends numbered messages to a queue, many at a time. */
class Sending {
  /** What the broker said it has. */
  readonly confirmed = new Set<string>();
  readonly failures: unknown[] = [];
  readonly #work: Promise<void>;
  #isEnding = false;

  constructor(connection: Connection, queue: string, name: string) {
    this.#work = this.#run(connection, queue, name);
  }

  end(): Promise<void> {
    this.#isEnding = true;
    return this.#work;
  }

  async #run(connection: Connection, queue: string, name: string): Promise<void> {
    const producer = connection.producer(queue);
    const sends = new Set<Promise<void>>();
    for (let count = 0; !this.#isEnding; count += 1) {
      const text = `${name} ${count} `;
      const sent = producer.send(text + padding).then(
        () => void this.confirmed.add(text),
        (error: unknown) => void this.failures.push(error),
      );
      sends.add(sent);
      sent.finally(() => sends.delete(sent)).catch(() => undefined);
      if (sends.size >= inFlightMax) await Promise.race(sends);
    }
    await Promise.all(sends);
  }
}

/** Receives messages and settles each. */
class Settling {
  /** What the broker said is settled. */
  readonly settled = new Set<string>();
  /** Of these the broker did not say whether they are settled. */
  readonly doubtful = new Set<string>();
  /** Received after they had been settled: what must never happen. */
  readonly doubled: string[] = [];
  readonly #connection: Connection;
  readonly #work: Promise<void>;
  #underWay = 0;

  constructor(connection: Connection, queue: string) {
    this.#connection = connection;
    this.#work = this.#run(queue);
  }

  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  async end(): Promise<void> {
    await this.#connection.drain();
    await this.#work;
  }

  async #run(queue: string): Promise<void> {
    for await (const message of this.#connection.consumer(queue)) {
      const text = message.text().slice(0, -padding.length);
      if (this.settled.has(text)) this.doubled.push(text);
      this.#underWay += 1;
      message
        .ack()
        .then(
          () => void this.settled.add(text),
          () => void this.doubtful.add(text),
        )
        .finally(() => {
          this.#underWay -= 1;
        })
        .catch(() => undefined);
    }
  }
}

/** Sends groups of messages, each in a transaction. */
class Batches {
  readonly name: string;
  readonly committed = new Set<number>();
  readonly rolledBack = new Set<number>();
  /** The broker was killed while it committed. */
  readonly doubtful = new Set<number>();
  readonly #work: Promise<void>;
  #isEnding = false;

  constructor(connection: Connection, name: string) {
    this.name = name;
    this.#work = this.#run(connection);
  }

  end(): Promise<void> {
    this.#isEnding = true;
    return this.#work;
  }

  async #run(connection: Connection): Promise<void> {
    for (let count = 0; !this.#isEnding; count += 1) {
      try {
        await connection.transaction(async (transaction) => {
          for (let index = 0; index < messagesPerTransaction; index += 1) {
            await transaction.send("batches", `${this.name} ${count} ${padding}`);
          }
        });
        this.committed.add(count);
      } catch (error) {
        if (!EverholdError.is(error)) throw error;
        const isDoubtful = error.code === "EVH_TRANSACTION_OUTCOME_UNKNOWN";
        (isDoubtful ? this.doubtful : this.rolledBack).add(count);
      }
    }
  }
}

/** Takes messages from one queue and puts them into another, in transactions. */
class Moves {
  committedCount = 0;
  readonly #work: Promise<void>;
  #isEnding = false;

  constructor(connection: Connection) {
    this.#work = this.#run(connection);
  }

  end(): Promise<void> {
    this.#isEnding = true;
    return this.#work;
  }

  async #run(connection: Connection): Promise<void> {
    while (!this.#isEnding) {
      let movedCountOfThis = 0;
      try {
        await connection.transaction(async (transaction) => {
          const consumer = transaction.consumer("in", { prefetch: 2 });
          for (let count = 0; count < 2; count += 1) {
            const message = await consumer.receive({ timeout: 1_000 });
            if (message === null) return;
            await transaction.send("out", message.text());
            await message.ack();
            movedCountOfThis += 1;
          }
        });
        if (movedCountOfThis > 0) this.committedCount += 1;
      } catch (error) {
        // Done again later: the check at the end finds what was done twice or not at all.
        if (!EverholdError.is(error)) throw error;
      }
    }
  }
}

async function fillIn(connection: Connection): Promise<void> {
  const messages = Array.from({ length: movedCount }, (_, index) => ({
    body: `moved ${index}${padding}`,
  }));
  await connection.producer("in").sendBatch(messages);
}

/** Everything that is left in a queue, in order. */
async function drain(connection: Connection, queue: string): Promise<string[]> {
  const found: string[] = [];
  const consumer = connection.consumer(queue);
  const acks: Promise<void>[] = [];
  for (;;) {
    const message = await consumer.receive({ timeout: 0 });
    if (message === null) break;
    found.push(message.text().slice(0, -padding.length));
    acks.push(message.ack());
  }
  await Promise.all(acks);
  await consumer.close();
  return found;
}

function checkOrders(
  sendings: readonly Sending[],
  settlings: readonly Settling[],
  left: readonly string[],
): void {
  const confirmed = new Set<string>();
  for (const { confirmed: some, failures } of sendings) {
    assert.deepEqual(failures, []);
    for (const text of some) confirmed.add(text);
  }
  const settled = new Map<string, number>();
  const doubtful = new Set<string>();
  for (const one of settlings) {
    assert.deepEqual(one.doubled, []);
    for (const text of one.settled) settled.set(text, (settled.get(text) ?? 0) + 1);
    for (const text of one.doubtful) doubtful.add(text);
  }
  const leftOnce = new Set(left);
  assert.equal(leftOnce.size, left.length, "nothing is in the queue twice");
  const lost = [...confirmed].filter(
    (text) => !settled.has(text) && !doubtful.has(text) && !leftOnce.has(text),
  );
  assert.deepEqual(lost, []);
  const twice = [...settled].filter(([text, count]) => count > 1 || leftOnce.has(text));
  assert.deepEqual(twice, []);
  const unknown = [...settled.keys(), ...left].filter((text) => !confirmed.has(text));
  assert.deepEqual(unknown, []);
}

function checkBatches(batches: readonly Batches[], found: readonly string[]): void {
  const counts = new Map<string, number>();
  for (const text of found) counts.set(text, (counts.get(text) ?? 0) + 1);
  for (const { name, committed, rolledBack, doubtful } of batches) {
    const countOf = (index: number): number => counts.get(`${name} ${index} `) ?? 0;
    for (const index of committed) {
      assert.equal(countOf(index), messagesPerTransaction, `${name} ${index} was committed`);
    }
    for (const index of rolledBack) {
      assert.equal(countOf(index), 0, `${name} ${index} was rolled back`);
    }
    for (const index of doubtful) {
      assert.ok([0, messagesPerTransaction].includes(countOf(index)), `${name} ${index} is whole`);
    }
  }
}
