import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError, Prng } from "@everhold/base";
import { assertNothingRuns, TestWorld } from "@everhold/test-world";
import type { Connection } from "./connection.ts";
import type { Consumer } from "./consumer.ts";
import type { Session } from "./session.ts";
import { connect } from "../connect.ts";
import { TestBroker } from "../testing/test-broker.test-support.ts";

const seedCount = 400;
const callCount = 30;

/** One application that calls whatever it can, in any order, and gives up at any time. */
class RandomApplication {
  readonly world: TestWorld;
  readonly broker: TestBroker;
  readonly calls: { readonly name: string; state: "pending" | "done" }[] = [];
  readonly unexpected: unknown[] = [];
  readonly #prng: Prng;
  readonly #consumers: Consumer[] = [];
  readonly #sessions: Session[] = [];
  readonly #messages: {
    ack(): Promise<void>;
    reject(): Promise<void>;
    release(): Promise<void>;
  }[] = [];
  readonly #aborts: AbortController[] = [];
  readonly #soon: (() => void)[] = [];
  #connection: Connection | undefined;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
    this.world = new TestWorld(seed);
    this.broker = new TestBroker(this.world);
  }

  async run(): Promise<void> {
    const signal = this.#signal();
    const connecting = connect(this.world.ports, "tcp://broker:61616", {
      reconnect: { attempts: 5, initialAttempts: 2 },
      connectTimeout: 500,
      callTimeout: 1000,
      ...signal,
    });
    this.#follow(
      "connect",
      connecting.then((connection) => (this.#connection = connection)),
    );
    for (let step = 0; step < callCount; step += 1) {
      if (this.#connection !== undefined) this.#call(this.#connection);
      if (this.#chance(0.4)) this.#disturb();
      if (this.#chance(0.5)) this.#soon.shift()?.();
      await this.#letTimePass();
    }
    this.broker.rule = () => "usual";
    this.broker.start();
    await this.world.advance(1000);
    if (this.#connection !== undefined) this.#follow("close at last", this.#connection.close());
    await this.world.advance(120_000);
  }

  /** Follows a call as an application would that awaits it. */
  #follow(name: string, promise: Promise<unknown>): void {
    const call: (typeof this.calls)[number] = { name, state: "pending" };
    this.calls.push(call);
    promise.then(
      () => (call.state = "done"),
      (error: unknown) => {
        call.state = "done";
        const isKnown = EverholdError.is(error) && error.code !== "EVH_INTERNAL";
        if (!isKnown) this.unexpected.push(name, error);
      },
    );
  }

  #call(connection: Connection): void {
    const queue = this.#pick(["a", "b"]) ?? "a";
    switch (this.#below(22)) {
      case 0:
      case 1:
      case 2: {
        const durable = this.#chance(0.7);
        const limits = this.#limits();
        return this.#follow(
          "send",
          (async () => connection.producer(queue, { durable }).send("x", limits))(),
        );
      }
      case 3:
      case 4: {
        const ack = this.#pick(["explicit", "auto", "pre"] as const) ?? "auto";
        return this.#attempt("consumer", () => this.#keep(connection.consumer(queue, { ack })));
      }
      case 5:
        return this.#attempt("subscribe", () =>
          this.#consumers.push(connection.subscribe("t", this.#chance(0.5) ? { name: "s" } : {})),
        );
      case 6:
      case 7:
      case 8:
        return this.#receive();
      case 9:
        return this.#iterate();
      case 10:
        return this.#runHandlers();
      case 11: {
        const consumer = this.#pick(this.#consumers);
        if (consumer === undefined) return;
        return this.#follow("consumer.drain", consumer.drain({ timeout: 500, ...this.#signal() }));
      }
      case 12: {
        const consumer = this.#pick(this.#consumers);
        if (consumer !== undefined) this.#follow("consumer.close", consumer.close());
        return;
      }
      case 13: {
        const opening = connection.session({ transacted: this.#chance(0.8), ...this.#limits() });
        return this.#follow(
          "session",
          opening.then((session) => this.#sessions.push(session)),
        );
      }
      case 14:
      case 15:
        return this.#useSession(queue);
      case 16:
        return this.#follow(
          "transaction",
          connection.transaction((t) => t.send(queue, "x"), this.#limits()),
        );
      case 17:
        return this.#follow(
          "request",
          connection.request(queue, "x", { timeout: 500, ...this.#signal() }),
        );
      case 18:
        return this.#follow("browse", this.#browse(connection, queue));
      case 19:
        return this.#follow("queueInfo", connection.queueInfo(queue, this.#limits()));
      case 20:
        return this.#follow("queueNames", connection.queueNames(this.#limits()));
      default:
        if (this.#chance(0.15))
          this.#follow("drain", connection.drain({ timeout: 500, ...this.#signal() }));
        else if (this.#chance(0.1)) this.#follow("close", connection.close());
    }
  }

  /** Some consumers are closed before they can have opened. */
  #keep(consumer: Consumer): void {
    this.#consumers.push(consumer);
    if (this.#chance(0.5)) this.#soon.push(() => this.#follow("close soon", consumer.close()));
  }

  #receive(): void {
    const consumer = this.#pick(this.#consumers);
    if (consumer === undefined) return;
    const timeout = this.#pick([0, 1, 50, undefined]);
    const receiving = consumer.receive({
      ...(timeout === undefined ? {} : { timeout }),
      ...this.#signal(),
    });
    this.#follow(
      "receive",
      receiving.then((message) => {
        if (message !== null) this.#messages.push(message);
      }),
    );
    const message = this.#messages.shift();
    if (message === undefined) return;
    const verb = this.#pick(["ack", "reject", "release"] as const) ?? "ack";
    this.#follow(verb, message[verb]());
    if (this.#chance(0.2)) this.#follow("ack again", message.ack());
  }

  #iterate(): void {
    const consumer = this.#pick(this.#consumers);
    if (consumer === undefined) return;
    this.#follow(
      "loop",
      (async () => {
        for await (const message of consumer) await message.ack();
      })(),
    );
  }

  #runHandlers(): void {
    const consumer = this.#pick(this.#consumers);
    if (consumer === undefined) return;
    const handler = (): void => {
      if (this.#chance(0.3)) throw new Error("the handler's own");
    };
    this.#follow("run", consumer.run(handler, { concurrency: 2, ...this.#signal() }));
  }

  #useSession(queue: string): void {
    const session = this.#pick(this.#sessions);
    if (session === undefined) return;
    switch (this.#below(5)) {
      case 0:
        return this.#follow("commit", session.commit());
      case 1:
        return this.#follow("rollback", session.rollback());
      case 2:
        return this.#attempt("session.consumer", () => this.#keep(session.consumer(queue)));
      case 3:
        return this.#follow("session.close", session.close());
      default:
        return this.#follow("session.send", session.producer(queue).send("x", this.#limits()));
    }
  }

  async #browse(connection: Connection, queue: string): Promise<void> {
    let left = 5;
    for await (const message of connection.browse(queue, this.#signal())) {
      message.text();
      if (--left === 0) return;
    }
  }

  /** What the world does to it. */
  #disturb(): void {
    switch (this.#below(17)) {
      case 0:
        return this.broker.cut();
      case 1:
        return this.broker.kill();
      case 2:
      case 3:
        this.broker.kill();
        return this.broker.start();
      case 4: {
        const share = this.#below(4);
        this.broker.rule = () => (this.#below(8) < share ? "drop" : "usual");
        return;
      }
      case 5: {
        this.broker.rule = () => (this.#below(8) === 0 ? 113 : "usual");
        return;
      }
      case 6:
      case 7:
        this.broker.rule = () => "usual";
        return;
      case 8:
        this.broker.grantsCredit = !this.broker.grantsCredit;
        return;
      case 9:
      case 10:
        this.#aborts.splice(0, 3).forEach((aborting) => aborting.abort());
        return;
      case 11:
      case 12:
        return this.broker.cutKeeping();
      default:
    }
  }

  async #letTimePass(): Promise<void> {
    switch (this.#below(8)) {
      case 0:
        return this.world.advance(this.#below(2000));
      case 1:
        return this.world.settle();
      case 2:
      case 3:
      case 4:
        return this.world.step();
      default:
        // The next call comes while the promises of this one are on their way.
        for (let ticks = this.#below(6); ticks > 0; ticks -= 1) await Promise.resolve();
    }
  }

  #attempt(name: string, call: () => unknown): void {
    try {
      call();
    } catch (error) {
      this.#follow(name, Promise.reject(error));
    }
  }

  #limits(): { timeout?: number; signal?: AbortSignal } {
    return { ...(this.#chance(0.3) ? { timeout: this.#below(300) } : {}), ...this.#signal() };
  }

  #signal(): { signal?: AbortSignal } {
    if (!this.#chance(0.3)) return {};
    const aborting = new AbortController();
    this.#aborts.push(aborting);
    return { signal: aborting.signal };
  }

  #below(bound: number): number {
    return this.#prng.integer(0, bound - 1);
  }

  #chance(share: number): boolean {
    return this.#prng.chance(share);
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[this.#below(Math.max(1, items.length))];
  }
}

describe("calls in any order, given up at any time, over any connection", () => {
  it(`all settle, with typed errors, and reject nothing that nobody awaits (${seedCount} seeds)`, async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", onUnhandled);
    try {
      for (let seed = 1; seed <= seedCount; seed += 1) {
        const application = new RandomApplication(seed);
        await application.run();
        const pending = application.calls.flatMap(({ name, state }) =>
          state === "pending" ? [name] : [],
        );
        const message = `seed ${seed}`;
        assert.deepEqual(unhandled, [], message);
        assert.deepEqual(application.unexpected, [], message);
        assert.deepEqual(pending, [], message);
        assertNothingRuns(application.world);
      }
    } finally {
      process.off("unhandledRejection", onUnhandled);
    }
  });
});
