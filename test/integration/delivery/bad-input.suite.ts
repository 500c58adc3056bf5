import assert from "node:assert/strict";

import type { Connection, ConsumerOptions, MessageOptions, NewQueue } from "@everhold/client";

import { holdsCount, next, takeTexts, type SuiteContext } from "../client/broker-under-test.ts";

/** An error's code, or the name of its class where it has none. */
type Refusal = string;

/** Options of a send that no message can have. What TypeScript forbids is given as JavaScript would. */
const badOptions: readonly (readonly [what: string, options: object, refusal: Refusal])[] = [
  ["a priority below 0", { priority: -1 }, "EVH_MESSAGE_FORMAT"],
  ["a priority above 9", { priority: 10 }, "EVH_MESSAGE_FORMAT"],
  ["a fraction as a priority", { priority: 4.5 }, "EVH_MESSAGE_FORMAT"],
  ["a text as a priority", { priority: "5" }, "EVH_MESSAGE_FORMAT"],
  ["a negative ttl", { ttl: -1 }, "EVH_MESSAGE_FORMAT"],
  ["no number as a ttl", { ttl: Number.NaN }, "EVH_MESSAGE_FORMAT"],
  ["a ttl beyond all numbers of milliseconds", { ttl: 1e300 }, "EVH_MESSAGE_FORMAT"],
  ["a negative delay", { delay: -1 }, "EVH_MESSAGE_FORMAT"],
  ["an endless delay", { delay: Infinity }, "EVH_MESSAGE_FORMAT"],
  ["a negative time of delivery", { deliverAt: -1 }, "EVH_MESSAGE_FORMAT"],
  ["a negative time of expiry", { expiresAt: -1 }, "EVH_MESSAGE_FORMAT"],
  ["a function as a property", { properties: { a: () => 1 } }, "EVH_MESSAGE_FORMAT"],
  ["a symbol as a property", { properties: { a: Symbol("a") } }, "EVH_MESSAGE_FORMAT"],
  ["an object as a property", { properties: { a: { b: 1 } } }, "EVH_MESSAGE_FORMAT"],
  ["a list as a property", { properties: { a: [1] } }, "EVH_MESSAGE_FORMAT"],
  ["a long of 65 bits", { properties: { a: 2n ** 64n } }, "EVH_MESSAGE_FORMAT"],
  ["a number for all properties", { properties: 5 }, "EVH_MESSAGE_FORMAT"],
  ["a property that is an option", { properties: { JMSType: "t" } }, "EVH_MESSAGE_FORMAT"],
  ["a number as a correlation id", { correlationId: 5 }, "EVH_MESSAGE_FORMAT"],
  ["a number as a group", { groupId: 5 }, "EVH_MESSAGE_FORMAT"],
  ["a number as a type", { type: 5 }, "EVH_MESSAGE_FORMAT"],
  ["a number as a reply address", { replyTo: 5 }, "EVH_MESSAGE_FORMAT"],
  ["a number as a duplicate id", { duplicateId: 5 }, "EVH_MESSAGE_FORMAT"],
  ["a text as durable", { durable: "yes" }, "EVH_MESSAGE_FORMAT"],
  ["a negative time limit", { timeout: -1 }, "RangeError"],
  ["no number as a time limit", { timeout: Number.NaN }, "RangeError"],
];

const badNames: readonly (readonly [what: string, name: unknown])[] = [
  ["a number", 5],
  ["null", null],
  ["an object", {}],
];

const badBodies: readonly (readonly [what: string, body: unknown])[] = [
  ["null", null],
  ["a number", 5],
  ["a symbol", Symbol("x")],
  ["a function", () => 1],
  ["an object of no kind", { foo: 1 }],
  ["a list", []],
  ["a map that is a list of nothing", { map: null }],
  ["JSON of undefined", { json: undefined }],
  ["JSON of a bigint", { json: 2n }],
];

const badFilters: readonly string[] = [
  "a =",
  "((",
  "'",
  "a LIKE",
  "a BETWEEN 1",
  "1",
  "a = 1 AND",
  "NOT",
  "a IN ()",
  "a IS",
  `${"(".repeat(5_000)}a`,
];

const badConsumers: readonly (readonly [what: string, options: object])[] = [
  ["a number as a filter", { filter: 5 }],
  ["a mode that is none", { ack: "sometimes" }],
  ["a priority beyond 32 bits", { priority: 1e10 }],
  ["a negative prefetch", { prefetch: -1 }],
  ["a prefetch of a fraction", { prefetch: 1.5 }],
];

const badQueues: readonly (readonly [what: string, queue: object])[] = [
  ["a negative number of consumers", { maxConsumers: -2 }],
  ["a routing that is none", { routing: "anyhow" }],
  ["a number as a filter", { filter: 5 }],
];

/** The refusal of what is done, and that the connection works on. */
export function badInputTests(context: SuiteContext): void {
  const isRefused = async (refusal: Refusal, attempt: () => Promise<unknown>): Promise<void> => {
    const { connection } = context;
    const error: unknown = await attempt().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Error, "it is refused");
    const code = "code" in error ? error.code : error.name;
    assert.equal(code, refusal, error.message);
    await worksOn(connection);
  };

  for (const [what, options, refusal] of badOptions) {
    context.it(`a message with ${what} is refused, and the next one is sent`, () =>
      isRefused(refusal, () => context.connection.send("bad-options", "x", untyped(options))),
    );
  }

  for (const [what, body] of badBodies) {
    context.it(`${what} as a body is refused, and the next message is sent`, () =>
      isRefused("EVH_MESSAGE_FORMAT", async () => {
        const { connection } = context;
        const send = connection.send.bind(connection);
        const sent: unknown = Reflect.apply(send, undefined, ["bad-bodies", body]);
        await sent;
      }),
    );
  }

  for (const filter of badFilters) {
    context.it(
      `the filter ${filter.slice(0, 20)} is refused, and another one is taken`,
      async () => {
        const { connection } = context;
        await isRefused("EVH_INVALID_FILTER", async () => {
          await using consumer = connection.consumer("bad-filters", { filter });
          await consumer.ready();
        });
        await isRefused("EVH_INVALID_FILTER", () =>
          connection.createQueue("bad-filter", { filter }),
        );
      },
    );
  }

  for (const [what, options] of badConsumers) {
    context.it(`a consumer with ${what} is refused, and another one is taken`, () =>
      isRefused("EVH_CONFIG", async () => {
        await using consumer = context.connection.consumer("bad-consumers", untyped(options));
        await consumer.ready();
      }),
    );
  }

  for (const [what, queue] of badQueues) {
    context.it(`a queue with ${what} is refused, and another one is made`, () =>
      isRefused("EVH_CONFIG", () => context.connection.createQueue("bad-queue", untyped(queue))),
    );
  }

  context.it("a name of 64 KiB is refused wherever it stands, before it leaves", async () => {
    const { connection } = context;
    const name = "x".repeat(65_536);
    await isRefused("EVH_INVALID_QUEUE", () => connection.send(name, "x"));
    await isRefused("EVH_INVALID_QUEUE", () => connection.createQueue(name));
    await isRefused("EVH_INVALID_QUEUE", async () => connection.consumer(name).ready());
    await isRefused("EVH_INVALID_QUEUE", async () => connection.subscribe(name).ready());
    await isRefused("EVH_INVALID_QUEUE", async () => connection.subscribe("t", { name }).ready());
  });

  for (const [what, name] of badNames) {
    context.it(`${what} as a name is refused wherever it stands`, async () => {
      const { connection } = context;
      const wrong = untypedName(name);
      await isRefused("TypeError", async () => connection.send(wrong, "x"));
      await isRefused("TypeError", async () => connection.consumer(wrong).ready());
      await isRefused("TypeError", async () => connection.subscribe(wrong).ready());
      await isRefused("TypeError", () => connection.createQueue(wrong));
      await isRefused("TypeError", () => connection.deleteQueue(wrong));
      await isRefused("TypeError", () => connection.queueInfo(wrong));
      await isRefused("TypeError", () => connection.addressInfo(wrong));
      await isRefused("TypeError", () => connection.unsubscribe(wrong));
      await isRefused("TypeError", () => connection.browse(wrong).next());
      await isRefused("TypeError", () => connection.request(wrong, "x", { timeout: 1_000 }));
    });
  }

  context.it("time limits that are none are refused everywhere", async () => {
    const { connection } = context;
    for (const timeout of [-1, Number.NaN]) {
      await isRefused("RangeError", () => connection.queueInfo("bad-limits", { timeout }));
      await isRefused("RangeError", () => connection.request("bad-limits", "x", { timeout }));
      for (const attempt of ["receive", "ready", "drain"] as const) {
        await isRefused("RangeError", async () => {
          await using consumer = connection.consumer("bad-limits");
          await consumer[attempt]({ timeout });
        });
      }
    }
  });

  context.it("a reason of 64 KiB is cut, and one that is no text is refused", async () => {
    const { connection } = context;
    await connection.send("bad-reason", "x");
    await using consumer = connection.consumer("bad-reason");
    const message = await next(consumer);
    const reject = message.reject.bind(message);
    await isRefused("TypeError", async () => {
      const rejected: unknown = Reflect.apply(reject, undefined, [5]);
      await rejected;
    });
    await reject("r".repeat(65_536));
    await using dead = connection.consumer("DLQ", { filter: "_AMQ_ORIG_QUEUE = 'bad-reason'" });
    const letter = await next(dead);
    assert.match(String(letter.properties["dlqDeliveryFailureCause"]), /^r{400,500}$/);
    await letter.ack();
  });

  context.it("an empty name is refused", async () => {
    const { connection } = context;
    await isRefused("TypeError", () => connection.send("", "x"));
  });

  context.it(
    "destinations that are not there are refused where nothing is made by itself",
    async () => {
      const { connection } = context;
      const missing = "EVH_QUEUE_DOES_NOT_EXIST";
      await isRefused(missing, () => connection.deleteQueue("bad-nowhere"));
      await isRefused(missing, async () => {
        for await (const message of connection.browse("bad-nowhere")) message.text();
      });
      assert.equal(await connection.queueInfo("bad-nowhere"), undefined);
    },
  );

  context.itUnless(
    "duplicate-id-limit",
    "a duplicate id of 64 KiB is refused, and takes no number of its producer",
    async () => {
      const { connection } = context;
      const producer = connection.producer("bad-duplicates");
      await producer.send("before");
      for (let count = 0; count < 2; count += 1) {
        await isRefused("EVH_REJECTED", () =>
          producer.send("x", { duplicateId: "x".repeat(65_536) }),
        );
      }
      await producer.send("after");
      await holdsCount(connection, "bad-duplicates", 2);
    },
  );

  context.it("a commit, a rollback and a close of nothing are nothing", async () => {
    const session = await context.connection.session({ transacted: true });
    await session.commit();
    await session.rollback();
    await session.rollback();
    await session.commit();
    await session.close();
    await session.close();
    await worksOn(context.connection);
  });
}

/** The next operation: a message goes through. */
async function worksOn(connection: Connection): Promise<void> {
  await connection.send("bad-input-next", "next");
  await using consumer = connection.consumer("bad-input-next");
  assert.deepEqual(await takeTexts(consumer, 1), ["next"]);
}

/** As {@link untyped}, of a name. */
function untypedName(name: unknown): string {
  const wrong: { name: string } = { name: "" };
  return Object.assign(wrong, { name }).name;
}

/** What TypeScript would not let through. */
function untyped(options: object): MessageOptions & ConsumerOptions & NewQueue {
  return options;
}
