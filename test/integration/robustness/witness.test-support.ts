import assert from "node:assert/strict";

import {
  connect,
  type Connection,
  type ConnectionEvent,
  type Consumer,
  type Producer,
} from "everhold";

/** What the slowest message of a witness may take, in ms. A disturbed client waits until a time-out of 30 s. */
const roundTripMsMax = 20_000;

/**
 * A well-behaved client that sends and consumes beside what a test does to its broker, one message after
 * the other, and must notice nothing: no error, no break, every message back once and in order, and in time.
 */
export class Witness implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #producer: Producer;
  readonly #consumer: Consumer;
  readonly #queue: string;
  readonly #events: ConnectionEvent[] = [];
  readonly #work: Promise<void>;
  #count = 0;
  #ending = false;

  private constructor(connection: Connection, queue: string) {
    this.#connection = connection;
    this.#queue = queue;
    this.#producer = connection.producer(queue);
    this.#consumer = connection.consumer(queue);
    for (const type of ["disconnect", "reconnecting", "blocked", "error", "close"] as const) {
      connection.on(type, (event) => this.#events.push(event));
    }
    this.#work = this.#run();
    // Whoever ends the witness gets the error; until then it is nobody's.
    this.#work.catch(() => undefined);
  }

  static async start(url: string, queue = "witness"): Promise<Witness> {
    const connection = await connect(url, { reconnect: false });
    await connection.createQueue(queue);
    return new Witness(connection, queue);
  }

  /** Messages that it sent and got back so far. */
  get count(): number {
    return this.#count;
  }

  /** Lets it go on until it has seen `count` more messages through. */
  async sees(count: number): Promise<void> {
    const target = this.#count + count;
    await Promise.race([this.#work, this.#reaches(target)]);
  }

  /** Ends it, and fails if it noticed anything. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#ending = true;
      await this.#work;
      assert.deepEqual(this.#events, []);
      assert.equal((await this.#connection.queueInfo(this.#queue))?.messageCount, 0);
      assert.equal(this.#connection.state, "connected");
      assert.ok(this.#count > 0, "the witness was at work");
    } finally {
      await this.#connection.close();
    }
  }

  async #reaches(target: number): Promise<void> {
    while (this.#count < target) await new Promise((resolve) => setImmediate(resolve));
  }

  async #run(): Promise<void> {
    while (!this.#ending) {
      const text = `message ${this.#count}`;
      await this.#producer.send(text, { timeout: roundTripMsMax });
      const message = await this.#consumer.receive({ timeout: roundTripMsMax });
      assert.ok(message, `${text} comes back within ${roundTripMsMax} ms`);
      assert.deepEqual(
        { text: message.text(), deliveryCount: message.deliveryCount },
        { text, deliveryCount: 1 },
      );
      await message.ack();
      this.#count += 1;
    }
  }
}
