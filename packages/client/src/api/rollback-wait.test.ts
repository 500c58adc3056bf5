import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, rejection } from "@everhold/test-world";
import { packets } from "@everhold/wire";
import { setUp, type Setup } from "../testing/setup.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";
import type { Session } from "./session.ts";

interface Undoing extends Setup {
  readonly session: Session;
  /** The broker goes on: it answers what the rollback began with. */
  readonly goOn: () => void;
}

/** A transaction whose owner has asked for its rollback, of which only the beginning has come to the broker. */
async function setUpUndoing(): Promise<Undoing> {
  const setup = await setUp();
  const { world, broker, connection } = setup;
  const session = await world.now(connection.session({ transacted: true }));
  await world.now(session.send("q", "undone"));
  let channelId = 0;
  broker.rule = (packet) => {
    if (packet.name !== "SESS_STOP") return "usual";
    channelId = packet.channelId;
    return "drop";
  };
  const rolling = session.rollback({ timeout: 50 });
  rolling.catch(() => undefined);
  await world.advance(50);
  assertError(await rejection(world, rolling), "EVH_TIMEOUT", "unknown");
  const goOn = (): void => {
    broker.connections[0]?.send(packets.nullResponse, channelId, { correlationId: -1 });
  };
  return { ...setup, session, goOn };
}

describe("a rollback that nobody waits for any longer", () => {
  it("is over before the next commit leaves, which is told what went with it", async () => {
    const { world, broker, connection, session, goOn } = await setUpUndoing();
    await world.now(session.send("q", "meanwhile"));
    const committing = session.commit();
    committing.catch(() => undefined);
    await world.settle();
    assert.deepEqual(broker.got("SESS_COMMIT"), []);
    goOn();
    assertError(await rejection(world, committing), "EVH_TRANSACTION_ROLLED_BACK");
    await world.now(session.send("q", "next"));
    await world.now(session.commit());
    assert.deepEqual(broker.queue("q").messages.map(textOf), ["next"]);
    await world.now(connection.close());
  });

  it("lets no later commit take for a success what went with it", async () => {
    const { world, broker, connection, session, goOn } = await setUpUndoing();
    await world.now(session.send("q", "meanwhile"));
    goOn();
    await world.settle();
    const committing = session.commit();
    assertError(await rejection(world, committing), "EVH_TRANSACTION_ROLLED_BACK");
    assert.deepEqual(broker.queue("q").messages, []);
    await world.now(connection.close());
  });
});
