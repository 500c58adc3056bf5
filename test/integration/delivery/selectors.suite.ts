import assert from "node:assert/strict";

import {
  holdsCount,
  next,
  numbered,
  takeTexts,
  type SuiteContext,
} from "../client/broker-under-test.ts";

/** A13 and A14 as our client sees them. */
export function deliverySelectorTests(context: SuiteContext): void {
  context.it(
    "A13.4 two consumers of a queue with different selectors take what is theirs",
    async () => {
      const { connection } = context;
      const producer = connection.producer("a13-4");
      for (let number = 0; number < 9; number += 1) {
        await producer.send(`${number}`, { properties: { c: ["r", "g", "b"][number % 3] ?? "" } });
      }
      const red = connection.consumer("a13-4", { filter: "c = 'r'" });
      const blue = connection.consumer("a13-4", { filter: "c = 'b'" });
      assert.deepEqual(await takeTexts(red, 3), ["0", "3", "6"]);
      assert.deepEqual(await takeTexts(blue, 3), ["2", "5", "8"]);
      assert.equal(await red.receive({ timeout: 0 }), null);
      await Promise.all([red.close(), blue.close()]);
      await holdsCount(connection, "a13-4", 3);
    },
  );

  context.it("A13.4 a subscription counts only what it wants", async () => {
    const { connection } = context;
    const subscription = connection.subscribe("a13-4-topic", {
      name: "a13-4-some",
      filter: "n > 6",
    });
    await subscription.ready();
    const producer = connection.producer("a13-4-topic", { routing: "multicast" });
    for (let n = 0; n < 10; n += 1) await producer.send(`${n}`, { properties: { n } });
    await holdsCount(connection, "a13-4-some", 3);
    assert.deepEqual(await takeTexts(subscription, 3), ["7", "8", "9"]);
    await subscription.close();
    await connection.unsubscribe("a13-4-some");
  });

  context.it("A13.5 one match behind thousands of others is delivered", async () => {
    const { connection } = context;
    const producer = connection.producer("a13-5", { durable: false });
    await producer.sendBatch(numbered(3_000));
    await producer.send("needle", { properties: { wanted: true } });
    const consumer = connection.consumer("a13-5", { filter: "wanted" });
    assert.deepEqual(await takeTexts(consumer, 1), ["needle"]);
    await consumer.close();
    await holdsCount(connection, "a13-5", 3_000);
  });

  context.it("A14.3 an acknowledgement of one subscription leaves the other's copy", async () => {
    const { connection } = context;
    const subscriptions = ["a14-3-a", "a14-3-b"].map((name) =>
      connection.subscribe("a14-3", { name }),
    );
    await Promise.all(subscriptions.map((one) => one.ready()));
    await connection.producer("a14-3", { routing: "multicast" }).send("news");
    const [first, second] = subscriptions;
    assert.ok(first !== undefined && second !== undefined);
    assert.deepEqual(await takeTexts(first, 1), ["news"]);
    await holdsCount(connection, "a14-3-a", 0);
    await holdsCount(connection, "a14-3-b", 1);
    assert.deepEqual(await takeTexts(second, 1), ["news"]);
    await Promise.all(subscriptions.map((one) => one.close()));
    for (const name of ["a14-3-a", "a14-3-b"]) await connection.unsubscribe(name);
  });

  context.it(
    "A14.7 a delayed message is for the subscriptions that were there when it was sent",
    async () => {
      const { connection } = context;
      const early = connection.subscribe("a14-7");
      await early.ready();
      await connection.producer("a14-7", { routing: "multicast" }).send("later", { delay: 100 });
      const late = connection.subscribe("a14-7");
      await late.ready();
      assert.equal((await next(early)).text(), "later");
      assert.equal(await late.receive({ timeout: 0 }), null);
      await Promise.all([early.close(), late.close()]);
    },
  );
}
