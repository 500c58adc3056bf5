import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { connect, type Connection, type Message } from "everhold";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { BothLine } from "../support/both-line.ts";
import {
  bodyBytesOf,
  bodyOf,
  describeMessage,
  isSendable,
  optionsOf,
} from "../support/both-messages.ts";
import { bothPlan } from "../support/both-plan.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import { TemporaryFolder } from "../support/folders.ts";
import { artemisClients, runJava, type JavaClient } from "../support/java.ts";
import { succeed } from "../support/run-tool.ts";

const seed = Number(process.env["EVERHOLD_BOTH_SEED"] ?? 1);
const randomCount = 300;
const plan = bothPlan(seed, randomCount);

const brokers = {
  "our broker": () => EverholdBroker.start(),
  Artemis: () => ArtemisBroker.start(),
} as const;

for (const [name, start] of Object.entries(brokers)) {
  describe(`Java programs and ours at once, on ${name}`, () => {
    let broker: ArtemisBroker | EverholdBroker;
    let connection: Connection;
    let folder: TemporaryFolder;

    before(async () => {
      folder = new TemporaryFolder();
      broker = await start();
      connection = await connect(broker.url);
    });

    after(async () => {
      await connection.close();
      await broker[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    });

    /** Runs one side in Java: the lines that it wrote about its messages. */
    async function java(
      client: JavaClient,
      direction: "produce" | "consume",
      queue: string,
      lines: readonly BothLine[],
    ): Promise<BothLine[]> {
      const [input, output] = [join(folder.path, "plan"), join(folder.path, `lines-${queue}`)];
      writeFileSync(input, lines.map((line) => `${line.toString()}\n`).join(""));
      const args = [direction, broker.url, queue, input, output];
      succeed(`BothAtOnce ${direction}`, await runJava(client, "BothAtOnce", args));
      return readFileSync(output, "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => BothLine.parse(line));
    }

    for (const client of artemisClients) {
      it(`what ${client} sends our consumer receives, byte for byte (seed ${seed})`, async () => {
        const queue = `from-${client}`;
        const sent = await java(client, "produce", queue, plan);
        const consumer = connection.consumer(queue);
        const received = new Map<number, BothLine>();
        while (received.size < plan.length) {
          const message = await next(consumer);
          const line = describeMessage(message);
          received.set(line.number("property.n"), line);
          await message.ack();
        }
        assert.equal(await consumer.receive({ timeout: 0 }), null);
        await consumer.close();
        compareAll(plan, received, (line, index) => {
          const { tokens } = sent[index] ?? new BothLine();
          const expected = line.without("how", "n", "ttl", "duplicate").say("address", queue);
          for (const key of ["id", "expiration", "timestamp", "body"]) {
            const token = tokens.get(key);
            if (token !== undefined) expected.tokens.set(key, token);
          }
          return expected;
        });
      });

      it(`what our producer sends ${client} receives, byte for byte (seed ${seed})`, async () => {
        const queue = `to-${client}`;
        const lines = plan.filter(isSendable);
        assert.equal(plan.length - lines.length, 2);
        const startMs = Date.now();
        const producer = connection.producer(queue);
        for (const line of lines) await producer.send(bodyOf(line), optionsOf(line, startMs));
        const endMs = Date.now();
        const received = new Map<number, BothLine>();
        const ids = new Set<string>();
        for (const line of await java(client, "consume", queue, lines)) {
          const timestamp = line.number("timestamp");
          assert.ok(startMs <= timestamp && timestamp <= endMs, `it was sent at ${timestamp}`);
          ids.add(line.text("id"));
          received.set(line.number("property.n"), line.without("id", "timestamp"));
        }
        assert.equal(ids.size, lines.length, "every message has an id of its own");
        compareAll(lines, received, (line) => {
          const ttl = line.number("ttl");
          return line
            .without("how", "n", "ttl")
            .say("address", queue)
            .say("body", bodyBytesOf(line))
            .put("expiration", { type: "long", value: ttl === 0 ? 0 : startMs + ttl });
        });
      });
    }
  });
}

async function next(consumer: {
  receive(options: { timeout: number }): Promise<Message | null>;
}): Promise<Message> {
  const message = await consumer.receive({ timeout: 60_000 });
  assert.ok(message !== null, "a message comes");
  return message;
}

/** Every message of a plan has come, once, and is as expected. */
function compareAll(
  lines: readonly BothLine[],
  received: ReadonlyMap<number, BothLine>,
  expectedOf: (line: BothLine, index: number) => BothLine,
): void {
  const wrong: string[] = [];
  lines.forEach((line, index) => {
    const expected = expectedOf(line, index);
    const found = received.get(line.number("n")) ?? new BothLine();
    // What Java did not keep of what it sent can't be compared.
    const comparable = expected.tokens.has("body") ? found : found.without("body");
    if (comparable.toString() !== expected.toString())
      wrong.push(differences(expected, comparable));
  });
  assert.equal(received.size, lines.length);
  assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${lines.length} messages differ`);
}

function differences(expected: BothLine, found: BothLine): string {
  const [one, other] = [expected.toObject(), found.toObject()];
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return names
    .filter((name) => expected.tokens.get(name) !== found.tokens.get(name))
    .map((name) => `${name}: sent ${one[name]}, received ${other[name]}`)
    .join("\n");
}
