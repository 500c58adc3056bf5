import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import {
  connect,
  type Connection,
  type ConnectOptions,
  type Consumer,
  type Message,
} from "@everhold/client";
import { nodePorts } from "@everhold/node";

import type { Exclusion } from "./exclusions.ts";

/** A broker that the suite talks to. */
export interface RunningBroker extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What it wrote last and what its threads do, for a program of others that may hang by itself. */
  diagnosis?(): Promise<string>;
}

/** One that dies at once when told to, and comes back on the same data and port. */
export interface MortalBroker extends RunningBroker {
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** What the client's suite is run against. */
export interface BrokerUnderTest {
  /** As in "the client on …". */
  readonly name: string;
  /** What it cannot do; each is explained in docs/ARTEMIS.md. */
  readonly lacks: readonly Exclusion[];
  /** A fresh broker with the defaults of its kind. */
  start(): Promise<RunningBroker>;
  /** A broker in a process of its own, which may be the one that the suite uses. */
  startMortal(): Promise<MortalBroker>;
  /** One that certainly is another than the one that the suite uses. */
  startAnother(): Promise<MortalBroker>;
}

/** Log lines of connections that are cut on purpose say nothing. */
const ports = nodePorts({ log: { level: "error" } });

/** How long a message may take that is certain to come, in ms: far beyond what any needs. */
const patienceMs = 60_000;

/** How long a test may take, in ms: one that hangs is named, instead of holding up all that come after it. */
const testTimeoutMs = 180_000;

/** How long a broker may take to answer a new connection, in ms, before it is taken for one that hangs. */
const answerTimeoutMs = 20_000;

/** What the tests of one broker share: the broker and a connection. Queues are named after their test. */
export class SuiteContext {
  readonly target: BrokerUnderTest;
  #broker: RunningBroker | undefined;
  #connection: Connection | undefined;

  constructor(target: BrokerUnderTest) {
    this.target = target;
  }

  async start(): Promise<void> {
    this.#broker = await this.target.start();
    this.#connection = await this.connect();
  }

  async stop(): Promise<void> {
    await this.#connection?.close();
    await this.#broker?.[Symbol.asyncDispose]();
  }

  get broker(): RunningBroker {
    assert.ok(this.#broker !== undefined, "the suite has started");
    return this.#broker;
  }

  /** The connection that tests share; what they change of it they must not. */
  get connection(): Connection {
    assert.ok(this.#connection !== undefined, "the suite has started");
    return this.#connection;
  }

  /** Another connection, which the caller closes. */
  connect(options: ConnectOptions = {}, url: string = this.broker.url): Promise<Connection> {
    return connect(ports, url, options);
  }

  /**
   * A test of what every broker can. Where it fails and a broker of others answers nobody any more, that one is
   * shown, another takes its place, and the test has one more try: the same again is a failure.
   */
  it(name: string, test: () => Promise<void>): void {
    it(name, { timeout: 3 * testTimeoutMs }, async () => {
      try {
        await inTime(test());
      } catch (error) {
        const diagnosis = await this.#broker?.diagnosis?.();
        if (diagnosis === undefined) throw error;
        process.stderr.write(`${name}: ${String(error)}\n${diagnosis}\n`);
        if (await this.#answers()) throw error;
        process.stderr.write(`${name}: the broker answers nobody; once more, on another one\n`);
        await this.#replaceBroker();
        await inTime(test());
      }
    });
  }

  /** Whether the broker talks to a new connection. */
  async #answers(): Promise<boolean> {
    try {
      const connection = await this.connect({
        connectTimeout: answerTimeoutMs,
        callTimeout: answerTimeoutMs,
      });
      await connection.queueInfo("unknown", { timeout: answerTimeoutMs });
      await connection.close();
      return true;
    } catch {
      return false;
    }
  }

  async #replaceBroker(): Promise<void> {
    await this.#broker?.[Symbol.asyncDispose]();
    this.#connection?.close().catch(() => {});
    await this.start();
  }

  /** A test of what brokers without `exclusion` can; the others are not asked. */
  itUnless(exclusion: Exclusion, name: string, test: () => Promise<void>): void {
    if (!this.target.lacks.includes(exclusion)) this.it(name, test);
  }
}

/** Fails when it takes too long; what hangs is left behind. */
async function inTime(work: Promise<void>): Promise<void> {
  const patience = new AbortController();
  const late = pause(testTimeoutMs, undefined, { signal: patience.signal }).then(() => {
    throw new Error(`it took more than ${testTimeoutMs} ms`);
  });
  late.catch(() => {});
  try {
    await Promise.race([work, late]);
  } finally {
    patience.abort();
  }
}

/** The next message of a consumer, which is certain to come. */
export async function next<T = unknown>(consumer: Consumer<T>): Promise<Message<T>> {
  const message = await consumer.receive({ timeout: patienceMs });
  assert.ok(message !== null, `a message comes from ${consumer.queue}`);
  return message;
}

/** The texts of the next messages, each acknowledged. */
export async function takeTexts(consumer: Consumer, count: number): Promise<string[]> {
  const texts: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const message = await next(consumer);
    texts.push(message.text());
    await message.ack();
  }
  return texts;
}

/** How many messages a queue holds; 0 when there is none of this name. */
export async function countOf(connection: Connection, queue: string): Promise<number> {
  return (await connection.queueInfo(queue))?.messageCount ?? 0;
}

/**
 * Waits until a queue holds so many messages, and fails when it does not come to that. Artemis counts a message
 * that it is done with until its end is stored, so a count may be right a moment later than the answer before it.
 */
export async function holdsCount(
  connection: Connection,
  queue: string,
  expected: number,
): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  let count = await countOf(connection, queue);
  while (count !== expected && performance.now() < deadlineMs) {
    await pause(10);
    count = await countOf(connection, queue);
  }
  assert.equal(count, expected, `the messages in ${queue}`);
}

/** Waits until so many messages can be browsed in a queue: back in their places, and with no consumer. */
export async function showsCount(
  connection: Connection,
  queue: string,
  expected: number,
): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    let count = 0;
    for await (const _ of connection.browse(queue)) count += 1;
    if (count === expected) return;
    assert.ok(performance.now() < deadlineMs, `${queue} shows ${count} messages, not ${expected}`);
    await pause(10);
  }
}

/** `text` with a number, so many times. */
export function numbered(count: number, text: string = "m"): { readonly body: string }[] {
  return Array.from({ length: count }, (_, index) => ({ body: `${text}${index}` }));
}
