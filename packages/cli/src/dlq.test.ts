import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { connect, type Connection } from "everhold";

import { jsonLines, TestBroker, type CliResult } from "./testing/cli-process.test-support.ts";

function lines({ stdout }: CliResult): readonly Readonly<Record<string, unknown>>[] {
  return jsonLines(stdout);
}

describe("everhold dlq", () => {
  let broker: TestBroker;
  let connection: Connection;

  before(async () => {
    broker = await TestBroker.start();
    connection = await connect(broker.url);
  });

  after(async () => {
    await connection.close();
    await broker[Symbol.asyncDispose]();
  });

  /** Sends messages to a queue and rejects them. */
  async function reject(queue: string, bodies: readonly string[], reason: string): Promise<void> {
    await connection.producer(queue).sendBatch(bodies.map((body) => ({ body })));
    const consumer = connection.consumer(queue);
    for (let count = 0; count < bodies.length; count += 1) {
      const message = await consumer.receive({ timeout: 60_000 });
      await message?.reject(reason);
    }
    await consumer.close();
  }

  async function countOf(queue: string): Promise<number> {
    return (await connection.queueInfo(queue))?.messageCount ?? -1;
  }

  test("ls lists the queues of dead letters and expired messages, and no others", async () => {
    await reject("ls", ["a", "b"], "no use");
    const [letters] = lines(await broker.cli(["dlq", "ls", "--json"]));
    assert.deepEqual(letters, {
      queue: "DLQ",
      address: "DLQ",
      kind: "dead letters",
      messageCount: 2,
    });
    const table = await broker.cli(["dlq", "ls"]);
    assert.equal(
      table.stdout,
      "QUEUE  ADDRESS  HOLDS         MESSAGES\nDLQ    DLQ      dead letters         2\n",
    );
    await broker.cli(["dlq", "purge", "DLQ", "--yes"]);
  });

  test("show says where messages come from, and why they are there", async () => {
    await reject("show", ["a", "b", "c"], "no use");
    const shown = lines(await broker.cli(["dlq", "show", "DLQ", "--json", "--limit", "2"]));
    assert.equal(shown.length, 2);
    assert.equal(shown[0]?.["from"], "show");
    assert.equal(shown[0]?.["cause"], "rejected");
    assert.equal(shown[0]?.["reason"], "no use");
    const table = await broker.cli(["dlq", "show", "DLQ", "--filter", "_AMQ_ORIG_QUEUE = 'show'"]);
    assert.match(
      table.stdout,
      /^ID +FROM +SENT +CAUSE +REASON\n(\d+ +show +\S+ \S+ +rejected +no use\n){3}$/,
    );
    await broker.cli(["dlq", "purge", "DLQ", "--yes"]);
  });

  test("retry gives messages back to where they came from, as new ones", async () => {
    await reject("left", ["l1", "l2"], "x");
    await reject("right", ["r1"], "x");
    const left = await broker.cli(["dlq", "retry", "DLQ", "--filter", "_AMQ_ORIG_QUEUE = 'left'"]);
    assert.deepEqual([left.code, left.stdout], [0, "retried 2 messages of DLQ\n"]);
    assert.deepEqual([await countOf("left"), await countOf("right")], [2, 0]);
    const [one] = lines(await broker.cli(["dlq", "show", "DLQ", "--json"]));
    const id = String(one?.["id"]);
    const byId = await broker.cli(["dlq", "retry", "DLQ", "--id", id, "--json"]);
    assert.deepEqual(lines(byId), [{ queue: "DLQ", retried: 1 }]);
    assert.deepEqual([await countOf("right"), await countOf("DLQ")], [1, 0]);
    const again = await broker.cli(["dlq", "retry", "DLQ", "--id", id]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, new RegExp(`not done for ${id}: there is no such message in DLQ`));
    const consumer = connection.consumer("left");
    const message = await consumer.receive({ timeout: 60_000 });
    assert.deepEqual([message?.text(), message?.deliveryCount], ["l1", 1]);
    assert.equal(message?.properties["_AMQ_ORIG_QUEUE"], undefined);
    await consumer.close();
  });

  test("a message whose queue is gone stays, and retry says so", async () => {
    await reject("kept", ["a"], "x");
    await reject("gone", ["b", "c"], "x");
    await connection.deleteQueue("gone");
    const result = await broker.cli(["dlq", "retry", "DLQ"]);
    assert.equal(result.code, 1);
    assert.equal(result.stdout, "retried 1 message of DLQ\n");
    assert.match(
      result.stderr,
      /2 of the messages in DLQ stay there: .* do not exist: gone \[EVH_QUEUE_DOES_NOT_EXIST\]\n$/,
    );
    assert.deepEqual([await countOf("kept"), await countOf("DLQ")], [1, 2]);
    await broker.cli(["dlq", "purge", "DLQ", "--yes"]);
  });

  test("purge removes what it is told, and nothing without a yes", async () => {
    await reject("purged", ["a", "b", "c"], "x");
    const unsaid = await broker.cli(["dlq", "purge", "DLQ"]);
    assert.equal(unsaid.code, 2);
    assert.equal(await countOf("DLQ"), 3);
    const [one] = lines(await broker.cli(["dlq", "show", "DLQ", "--json"]));
    const byId = await broker.cli(["dlq", "purge", "DLQ", "--yes", "--id", String(one?.["id"])]);
    assert.deepEqual([byId.code, byId.stdout], [0, "removed 1 message of DLQ\n"]);
    const rest = await broker.cli(["dlq", "purge", "DLQ", "--yes", "--json"]);
    assert.deepEqual(lines(rest), [{ queue: "DLQ", removed: 2 }]);
    assert.equal(await countOf("DLQ"), 0);
  });

  test("queues for anything else are left alone", async () => {
    await connection.producer("ordinary").send("x");
    for (const args of [
      ["retry", "ordinary"],
      ["purge", "ordinary", "--yes"],
      ["show", "ordinary"],
    ]) {
      const { code, stderr } = await broker.cli(["dlq", ...args]);
      assert.equal(code, 1);
      assert.match(stderr, /expected one for dead letters or expired messages: .*DLQ/);
    }
    assert.equal(await countOf("ordinary"), 1);
    const missing = await broker.cli(["dlq", "show", "nowhere"]);
    assert.match(missing.stderr, /there is no queue nowhere \[EVH_QUEUE_DOES_NOT_EXIST\]/);
  });

  test("a wrong choice is a wrong command line", async () => {
    for (const flags of [
      ["--id", "x"],
      ["--id", "1", "--filter", "TRUE"],
    ]) {
      assert.equal((await broker.cli(["dlq", "retry", "DLQ", ...flags])).code, 2);
    }
  });
});
