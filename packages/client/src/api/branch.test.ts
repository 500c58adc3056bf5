import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, rejection } from "@everhold/test-world";
import { packets } from "@everhold/wire";
import { setUp } from "../testing/setup.test-support.ts";
import { lastLink, type TestBroker } from "../testing/test-broker.test-support.ts";

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

  /** Answers what is asked of branches, each as done, but for packets of these names. */
  function answering(broker: TestBroker, ...silent: string[]): void {
    broker.rule = ({ name, channelId }) => {
      if (silent.includes(name)) return "drop";
      if (name === "EVERHOLD_RESUME") return 104;
      if (!name.startsWith("SESS_XA_") && name !== "EVERHOLD_COMMIT_BRANCH_AS") return "usual";
      const answer = { error: false, responseCode: 0, message: null, correlationId: -1 };
      broker.connections[0]?.send(packets.xaResponse, channelId, answer);
      return "drop";
    };
  }

  it("is committed in one phase under numbers that go on with the next branch", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => {
      fresh.features = ["mark/1", "outcome/1", "outcome/2", "resume/1"];
    });
    answering(broker);
    for (let count = 0; count < 2; count += 1) {
      const branch = await world.now(connection.twoPhase.begin());
      await world.now(branch.commit());
    }
    const [first, second] = broker.got("EVERHOLD_COMMIT_BRANCH_AS");
    assert.deepEqual([first?.["number"], second?.["number"]], [1, 2]);
    assert.deepEqual(first?.["producerId"], second?.["producerId"]);
    assert.deepEqual(broker.got("SESS_XA_COMMIT"), []);
    await world.now(connection.close());
  });

  it("whose commit in one phase nobody waits for can be asked about, and its numbers are not used again", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => {
      fresh.features = ["mark/1", "outcome/1", "outcome/2", "resume/1"];
    });
    // A broker answers in order.
    answering(broker, "EVERHOLD_COMMIT_BRANCH_AS", "SESS_CLOSE", "EVERHOLD_OUTCOME_QUERY");
    const branch = await world.now(connection.twoPhase.begin());
    const committing = branch.commit({ timeout: 50 });
    committing.catch(() => undefined);
    await world.advance(50);
    const error = await rejection(world, committing);
    assertError(error, "EVH_TRANSACTION_OUTCOME_UNKNOWN", "unknown");
    const asking = connection.outcome(error);
    asking.catch(() => undefined);
    await world.settle();
    const [given] = broker.got("EVERHOLD_COMMIT_BRANCH_AS");
    const [query] = broker.got("EVERHOLD_OUTCOME_QUERY");
    assert.deepEqual([query?.["producerId"], query?.["number"]], [given?.["producerId"], 1]);
    answering(broker);
    const next = await world.now(connection.twoPhase.begin());
    await world.now(next.commit());
    const last = broker.got("EVERHOLD_COMMIT_BRANCH_AS").at(-1);
    assert.notDeepEqual(last?.["producerId"], given?.["producerId"]);
    broker.kill();
    await world.settle();
    await world.now(connection.close());
  });

  it("is committed in one phase under other numbers where the broker has forgotten whose they are", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => {
      fresh.features = ["mark/1", "outcome/1", "outcome/2", "resume/1"];
    });
    answering(broker);
    const branch = await world.now(connection.twoPhase.begin());
    const usual = broker.rule;
    const forgotten = 9003;
    broker.rule = (packet) => {
      if (packet.name !== "EVERHOLD_COMMIT_BRANCH_AS") return usual(packet);
      broker.rule = usual;
      return forgotten;
    };
    await world.now(branch.commit());
    const [first, second] = broker.got("EVERHOLD_COMMIT_BRANCH_AS");
    assert.deepEqual([first?.["number"], second?.["number"]], [1, 1]);
    assert.notDeepEqual(first?.["producerId"], second?.["producerId"]);
    await world.now(connection.close());
  });

  it("is committed in one phase as ever where the broker keeps no outcome of that", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => {
      fresh.features = ["mark/1", "outcome/1", "resume/1"];
    });
    answering(broker);
    const branch = await world.now(connection.twoPhase.begin());
    await world.now(branch.commit());
    assert.deepEqual(
      broker.got("SESS_XA_COMMIT").map(({ onePhase }) => onePhase),
      [true],
    );
    await world.now(connection.close());
  });
});
