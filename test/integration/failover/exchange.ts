import type { Connection, Consumer, Message } from "@everhold/client";

import type { Story } from "./story.ts";

/** How long what is certain to come may take, in ms: far beyond what any break costs. */
const patienceMs = 40_000;
/** How long a reply may take, in ms: one that is lost with the reply queue of a broker that died never comes. */
const usualReplyMs = 3000;

/** Names that no other exchange of the same broker uses. */
export interface ExchangeNames {
  readonly prefix: string;
  /** How long a reply may take, in ms. Default: 3000. */
  readonly replyMs?: number;
}

/** The queues in which an exchange may leave something. */
export function queuesOf({ prefix }: ExchangeNames): string[] {
  return ["work", "out", "large", "branch", "late"].map((name) => `${prefix}-${name}`);
}

/**
 * A little of everything that an application does with a broker, one thing after the other, so that the frames are
 * the same each time. Whatever fails is noted, and the next thing is done.
 */
export async function exchange(
  connection: Connection,
  names: ExchangeNames,
  story: Story,
): Promise<void> {
  const scene = new Scene(connection, names, story);
  for (const queue of queuesOf(names)) {
    await story.call("createQueue", () => connection.createQueue(queue));
  }
  await scene.sends();
  await scene.settlements();
  await scene.transactions();
  await scene.largeMessages();
  await scene.requests();
  await scene.subscription();
  await scene.questions();
  await scene.branch();
  await scene.blockedReceive();
  await story.call("close", () => connection.close());
}

class Scene {
  readonly #connection: Connection;
  readonly #prefix: string;
  readonly #replyMs: number;
  readonly #story: Story;

  constructor(
    connection: Connection,
    { prefix, replyMs = usualReplyMs }: ExchangeNames,
    story: Story,
  ) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#replyMs = replyMs;
    this.#story = story;
  }

  /** One by one, several under way, with an id of the application's, not durable. */
  async sends(): Promise<void> {
    const { send } = this.#sender("work");
    await send("s0");
    await Promise.all(["s1", "s2", "s3"].map((text) => send(text)));
    await send("s4", { duplicateId: `${this.#prefix} s4` });
    await send("s5", { durable: false });
  }

  /** Acknowledged, given back, refused, many at once, left. */
  async settlements(): Promise<void> {
    const consumer = this.#connection.consumer(`${this.#prefix}-work`, { prefetch: 4 });
    const first = await this.#next(consumer);
    if (first !== undefined) await this.#ack(first);
    const second = await this.#next(consumer);
    if (second !== undefined) await this.#story.call("release", () => second.release());
    const taken = [];
    for (let count = 0; count < 3; count += 1) taken.push(await this.#next(consumer));
    const messages = taken.filter((message) => message !== undefined);
    await Promise.all(messages.map((message) => this.#ack(message)));
    await this.#story.call("close consumer", () => consumer.close());
  }

  /** Receives from one queue and sends to another: committed, rolled back, committed again. */
  async transactions(): Promise<void> {
    const session = await this.#story.call("session", () =>
      this.#connection.session({ transacted: true }),
    );
    if (session === undefined) return;
    const { send } = this.#sender("work");
    await send("t0");
    await send("t1");
    const consumer = session.consumer(`${this.#prefix}-work`);
    for (const [name, isKept] of [
      ["a", true],
      ["b", false],
      ["c", true],
    ] as const) {
      const message = await this.#next(consumer);
      const texts = [`${name}1`, `${name}2`];
      for (const text of texts) {
        const work = (): Promise<void> => session.send(`${this.#prefix}-out`, text);
        await this.#story.send(text, work, { transaction: name });
      }
      if (message !== undefined) await this.#ack(message, name);
      if (isKept) await this.#story.end(name, () => session.commit());
      else await this.#story.call("rollback", () => session.rollback());
    }
    await this.#story.call("close session", () => session.close());
  }

  /** A message in parts, each way. */
  async largeMessages(): Promise<void> {
    const text = `large ${"x".repeat(10_000)}`;
    const work = (): Promise<void> =>
      this.#connection.send(`${this.#prefix}-large`, text, { properties: { name: "l0" } });
    await this.#story.send("l0", work);
    const consumer = this.#connection.consumer(`${this.#prefix}-large`);
    const message = await this.#next(consumer);
    if (message !== undefined) {
      if (message.text() !== text) this.#story.damage("l0");
      await this.#ack(message);
    }
    await this.#story.call("close consumer", () => consumer.close());
  }

  /** Asked and answered on one connection: replies come on a temporary queue. */
  async requests(): Promise<void> {
    const consumer = this.#connection.consumer(`${this.#prefix}-asked`);
    const options = { timeout: this.#replyMs };
    const running = consumer.run((message) => message.reply(`re: ${message.text()}`, options));
    for (const text of ["q0", "q1"]) {
      await this.#story.call("request", async () => {
        const question = { timeout: this.#replyMs };
        const reply = await this.#connection.request(`${this.#prefix}-asked`, text, question);
        if (reply.text() !== `re: ${text}`)
          throw new Error(`${text} had the reply ${reply.text()}`);
      });
    }
    await this.#story.call("close consumer", () => consumer.close());
    await this.#story.call("run", () => running);
  }

  /** A durable subscription, from its beginning to its end. */
  async subscription(): Promise<void> {
    const topic = `${this.#prefix}-topic`;
    const name = `${this.#prefix}-subscription`;
    const consumer = this.#connection.subscribe(topic, { name });
    await this.#story.call("subscribe", () => consumer.ready());
    const producer = this.#connection.producer(topic, { routing: "multicast" });
    await this.#story.send("p0", () => producer.send("p0"));
    const message = await this.#next(consumer);
    if (message !== undefined) await this.#ack(message);
    await this.#story.call("close consumer", () => consumer.close());
    await this.#story.call("unsubscribe", () => this.#connection.unsubscribe(name));
  }

  /** What can be asked of the broker. */
  async questions(): Promise<void> {
    const queue = `${this.#prefix}-out`;
    await this.#story.call("queueInfo", () => this.#connection.queueInfo(queue));
    await this.#story.call("browse", async () => {
      for await (const message of this.#connection.browse(queue)) message.text();
    });
  }

  /** A branch of a distributed transaction, to its commit. */
  async branch(): Promise<void> {
    const branch = await this.#story.call("begin", () => this.#connection.twoPhase.begin());
    if (branch === undefined) return;
    const work = (): Promise<void> => branch.send(`${this.#prefix}-branch`, "x0");
    await this.#story.send("x0", work, { transaction: "x" });
    const vote = await this.#story.call("prepare", () => branch.prepare());
    if (vote === "prepared") await this.#story.end("x", () => branch.commit());
    await this.#story.call("close branch", async () => branch[Symbol.asyncDispose]());
  }

  /** Without a window, the consumer waits before there is anything. */
  async blockedReceive(): Promise<void> {
    const consumer = this.#connection.consumer(`${this.#prefix}-late`, { prefetch: 0 });
    await this.#story.call("consumer", () => consumer.ready());
    const next = this.#next(consumer);
    const { send } = this.#sender("late");
    await send("b0");
    const message = await next;
    if (message !== undefined) await this.#ack(message);
    const none = await this.#story.call("receive none", () => consumer.receive({ timeout: 0 }));
    if (none !== null && none !== undefined) this.#note(none);
  }

  #sender(queue: string): {
    send: (text: string, options?: { duplicateId?: string; durable?: boolean }) => Promise<void>;
  } {
    const producer = this.#connection.producer(`${this.#prefix}-${queue}`);
    return {
      send: (text, options = {}) =>
        this.#story.send(text, () => producer.send(text, options), {
          isDurable: options.durable ?? true,
        }),
    };
  }

  /** The next message; `undefined` where the consumer has failed or there is none. */
  async #next(consumer: Consumer): Promise<Message | undefined> {
    const message = await this.#story.call("receive", () =>
      consumer.receive({ timeout: patienceMs }),
    );
    if (message === null || message === undefined) return undefined;
    this.#note(message);
    return message;
  }

  #note(message: Message): void {
    this.#story.delivery(textOf(message), message.redelivered);
  }

  async #ack(message: Message, transaction?: string): Promise<void> {
    await this.#story.settle(textOf(message), () => message.ack(), transaction);
  }
}

/** Large messages are named by a property. */
export function textOf(message: Message): string {
  const name = message.properties["name"];
  return typeof name === "string" ? name : message.text();
}
