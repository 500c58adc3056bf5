import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Prng } from "@everhold/base";
import { connect } from "everhold";
import { packets, type PacketDefinition } from "@everhold/wire";

import { frame, RawClient } from "./raw-client.test-support.ts";
import { longestBody, messageTo } from "./sample-value.test-support.ts";
import { TestBroker } from "./test-broker.test-support.ts";
import { Witness } from "./witness.test-support.ts";

describe("values that are valid and absurd", () => {
  let test: TestBroker;

  before(async () => {
    test = await TestBroker.start();
  });

  after(() => test[Symbol.asyncDispose]());

  for (const definition of Object.values<PacketDefinition>(packets)) {
    if (definition.direction === "broker") continue;
    it(`${definition.name} with the longest texts is answered or ends its connection`, async () => {
      await using witness = await Witness.start(test.url);
      const channelId = { connection: 0, administration: 1, session: 10, any: 10 }[
        definition.channel
      ];
      const first = await RawClient.open(test);
      const client = await RawClient.open(test);
      // Twice from two clients: what the first made may be in the way of the second.
      for (const one of [first, client]) {
        for (let count = 0; count < 2; count += 1) {
          one.write(frame(definition.id, channelId, longestBody(definition)));
        }
      }
      for (const one of [first, client]) {
        const isRefused = await one.isRefused();
        assert.equal(one.logged().length, isRefused ? 1 : 0);
        await one.close();
      }
      await witness.sees(3);
    });
  }

  it("messages with changed bytes that were taken reach a well-behaved consumer, moved ones too", async () => {
    const seed = Number(process.env["EVERHOLD_POISON_SEED"] ?? "1");
    const prng = new Prng(seed);
    await using witness = await Witness.start(test.url);
    await using consuming = await connect(test.url, { reconnect: false });
    for (const queue of ["poison", "ExpiryQueue"]) await consuming.createQueue(queue);
    let takenCount = 0;
    let client = await RawClient.open(test);
    for (let round = 0; round < 400; round += 1) {
      const expiration = prng.chance(0.5) ? 0 : 1;
      const message = messageTo("poison", { expiration });
      for (let count = prng.integer(1, 3); count > 0; count -= 1) {
        message[prng.integer(0, message.length - 1)] = prng.integer(0, 255);
      }
      client.send(packets.send, 10, {
        message,
        requiresResponse: true,
        correlationId: 1,
        senderId: 0,
      });
      if (await client.isRefused()) client = await RawClient.open(test);
      else takenCount += 1;
    }
    await client.close();
    assert.ok(takenCount > 100, `seed ${seed}: only ${takenCount} were taken`);
    let receivedCount = 0;
    for (const queue of ["poison", "ExpiryQueue"]) {
      const consumer = consuming.consumer(queue);
      for (;;) {
        const message = await consumer.receive({ timeout: 0 });
        if (message === null) break;
        receivedCount += 1;
        await message.ack();
      }
      await consumer.close();
    }
    assert.ok(receivedCount > 50, `seed ${seed}: only ${receivedCount} were received`);
    assert.equal(consuming.state, "connected");
    for (const { name, messageCount } of test.broker.queues()) {
      if (name === "poison" || name === "ExpiryQueue") assert.equal(messageCount, 0, name);
    }
    await witness.sees(3);
  });
});
