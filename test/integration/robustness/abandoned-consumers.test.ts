import assert from "node:assert/strict";
import { it } from "node:test";

import { connect } from "everhold";

import { TestBroker } from "./test-broker.test-support.ts";
import { until } from "./until.test-support.ts";

it("a consumer that is closed while it opens leaves none at the broker", async () => {
  await using test = await TestBroker.start();
  await using connection = await connect(test.url);
  await connection.createQueue("q");
  await connection.producer("q").send("text");
  await using session = await connection.session({ transacted: true });
  const consumerCount = (): number | undefined => test.broker.queues()[0]?.consumerCount;

  await session.consumer("q").close();
  await connection.consumer("q").close();
  await using consumer = session.consumer("q");
  await consumer.ready();
  await until(() => consumerCount() === 1, "only the consumer that is open is left");
  const message = await consumer.receive({ timeout: 30_000 });
  assert.equal(message?.text(), "text");
});
