import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { assertError, rejection, setUp } from "../testing/setup.test-support.ts";

describe("management", () => {
  it("gives results, attributes and nothing as JSON does", async () => {
    const { world, connection } = await setUp();
    const { management } = connection;
    const args = ["", 1, true];
    assert.equal(await world.now(management.invoke("broker", "echo", args)), JSON.stringify(args));
    assert.equal(await world.now(management.invoke("broker", "forget")), null);
    assert.equal(await world.now(management.attribute("broker", "Version")), "1");
  });

  it("says what was asked and why it was refused", async () => {
    const { world, connection } = await setUp();
    const { management } = connection;
    const operation = await rejection(world, management.invoke("queue.q", "fly"));
    assertError(operation, "EVH_REJECTED");
    assert.match(String(operation), /Cannot run fly of queue\.q: no such/);
    assertError(await rejection(world, management.attribute("queue.q", "Wings")), "EVH_REJECTED");
  });

  it("refuses a reply that is not one", async () => {
    const { world, connection } = await setUp();
    const reply = rejection(world, connection.management.invoke("broker", "garble"));
    assertError(await reply, "EVH_MESSAGE_FORMAT");
  });
});
