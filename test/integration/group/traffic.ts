import assert from "node:assert/strict";

import { connect, EverholdError, type Connection, type Log, type Producer } from "everhold";

import type { GroupProcesses } from "./group-processes.ts";
import { until } from "./until.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Numbered messages through one queue of a group, each sent when the one before was answered; and who takes them. */
export class Traffic implements AsyncDisposable {
  /** Acknowledgements of which the client could not say what became of them. */
  inDoubtCount = 0;
  readonly #group: GroupProcesses;
  readonly #connections: readonly Connection[];
  readonly #producer: Producer;
  readonly #got: number[] = [];
  #settledCount = 0;
  readonly #taking: Promise<void>;
  readonly #stop: () => Promise<void>;
  readonly #bytes: number;
  #sentCount = 0;
  #longestMs = 0;

  private constructor(
    group: GroupProcesses,
    producing: Connection,
    consuming: Connection,
    bytes: number,
  ) {
    this.#group = group;
    this.#bytes = bytes;
    this.#connections = [producing, consuming];
    this.#producer = producing.producer("orders");
    const consumer = consuming.consumer("orders");
    this.#stop = () => consumer.close();
    this.#taking = (async () => {
      for await (const message of consumer) {
        this.#got.push(Number(message.text()));
        await message.ack().catch((error: unknown) => {
          if (!(error instanceof EverholdError) || error.outcome !== "unknown") throw error;
          this.inDoubtCount += 1;
        });
        this.#settledCount += 1;
      }
    })();
    // Told by `end`; until then nobody waits for it.
    this.#taking.catch(() => undefined);
  }

  /** Each message has `bytes` at least. `urls`: where clients reach the members. Default: as they say themselves. */
  static async start(group: GroupProcesses, bytes = 0, urls = group.urls): Promise<Traffic> {
    const options = { log: silent };
    const producing = await connect(urls, options);
    return new Traffic(group, producing, await connect(urls, options), bytes);
  }

  /** Sends one after the other; settles when the last one was answered. Each has `bytes` at least. */
  async send(count: number, bytes = this.#bytes): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const text = String(this.#sentCount).padStart(bytes, "0");
      this.#sentCount += 1;
      const sentMs = performance.now();
      await this.#producer.send(text);
      this.#longestMs = Math.max(this.#longestMs, performance.now() - sentMs);
    }
  }

  /** The longest that a send has waited for its answer since this was asked last, in ms. */
  takeLongestMs(): number {
    const longestMs = this.#longestMs;
    this.#longestMs = 0;
    return longestMs;
  }

  /** Waits until all that was sent is acknowledged. @throws EverholdError where one could not be acknowledged */
  async settled(): Promise<void> {
    const story = (): string => this.#group.story;
    const settled = until("the last one", () => this.#settledCount >= this.#sentCount, story);
    // Where the other one ended first, its own end is no news.
    settled.catch(() => undefined);
    await Promise.race([settled, this.#taking]);
  }

  /**
   * Waits until the last message is acknowledged.
   * @throws AssertionError where one was lost, doubled or overtaken, or more than so many acknowledgements are in doubt; EverholdError where one could not be acknowledged
   */
  async end(inDoubtMax = 0): Promise<void> {
    await this.settled();
    await this.#stop();
    await this.#taking;
    const sent = Array.from({ length: this.#sentCount }, (_, index) => index);
    assert.deepEqual(this.#got, sent, this.#group.story);
    assert.ok(
      this.inDoubtCount <= inDoubtMax,
      `${this.inDoubtCount} in doubt\n${this.#group.story}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) await connection.close();
  }
}
