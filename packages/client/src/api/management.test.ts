import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";

import { loseReply, setUp } from "../testing/setup.test-support.ts";

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

  it("leaves no request twice when the connection breaks, and says that its outcome is unknown", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.management.attribute("broker", "Version"));
    broker.takeNames();
    broker.rule = ({ name }) => (name === "SESS_SEND" ? "drop" : "usual");
    const asking = connection.management.invoke("broker", "forget");
    asking.catch(() => undefined);
    await world.settle();
    broker.rule = () => "usual";
    const before = broker.takeNames();
    broker.cut();
    await world.advance(1000);
    assertError(await rejection(world, asking), "EVH_UNBLOCKED", "unknown");
    const sends = [...before, ...broker.takeNames()].filter((name) => name === "SESS_SEND");
    assert.equal(sends.length, 1);
  });

  it("says at once that the answer is lost, when the broker had taken the request", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    await world.now(connection.management.attribute("broker", "Version"));
    const asking = connection.management.invoke("broker", "forget");
    asking.catch(() => undefined);
    await loseReply(setup);
    assertError(await rejection(world, asking), "EVH_UNBLOCKED", "unknown");
    await world.now(connection.close());
    assertNothingRuns(world);
  });

  it("asks again for what changes nothing", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    await world.now(connection.management.attribute("broker", "Version"));
    const asking = connection.management.attribute("broker", "Version");
    const naming = connection.queueNames();
    await loseReply(setup);
    assert.equal(await world.now(asking), "1");
    assert.ok(Array.isArray(await world.now(naming)));
    await world.now(connection.close());
    assertNothingRuns(world);
  });
});
