import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { packets } from "@everhold/wire";
import { assertError, rejection, setUp } from "../testing/setup.test-support.ts";
import { lastLink } from "../testing/test-broker.test-support.ts";

describe("a branch", () => {
  it("whose connection breaks right behind the answer to its beginning is lost", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = ({ name, channelId }) => {
      if (name !== "SESS_XA_START") return "usual";
      const answer = { error: false, responseCode: 0, message: null, correlationId: 1 };
      broker.connections[0]?.send(packets.xaResponse, channelId, answer);
      const link = lastLink(world);
      // Before anybody who waits for the answer can have gone on.
      world.later(() => {
        const { handler } = link;
        link.handler = undefined;
        handler?.onClosed(undefined);
        link.cut();
      });
      return "drop";
    };
    const branch = await world.now(connection.twoPhase.begin());
    await world.advance(1_000);
    assert.equal(connection.state, "connected");
    const sending = await rejection(world, branch.send("q", "x"));
    assertError(sending, "EVH_TRANSACTION_ROLLED_BACK");
    assertError(await rejection(world, branch.prepare()), "EVH_TRANSACTION_ROLLED_BACK");
    assert.deepEqual(broker.got("SESS_SEND"), []);
    await world.now(connection.close());
  });
});
