import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { describe, it } from "node:test";

import { connect, EverholdError, type Connection } from "everhold";

import { freePort } from "../free-port.ts";
import { BrokerProcess } from "./broker-process.test-support.ts";
import { LogRecorder } from "./log-recorder.test-support.ts";
import { temporaryFolder } from "./test-broker.test-support.ts";
import { until } from "./until.test-support.ts";

const killCount = 3;
const repliesPerLife = 100;
const askerCount = 8;
const handlersAtOnce = 20;

describe("an outage", () => {
  it("that outlasts a message's time to live leaves it at the expiry address", async () => {
    await withBroker(async (broker, open) => {
      const connection = await open();
      for (const queue of ["q", "ExpiryQueue"]) await connection.createQueue(queue);
      const consumer = connection.consumer("q");
      await consumer.ready();
      // The address is open, so that the next send waits for nothing but the broker.
      await connection.producer("q").send("first");
      await (await consumer.receive())?.ack();
      await broker.kill();
      const expiresAt = Date.now() + 1;
      const sent = connection.producer("q").send("late", { expiresAt });
      await until(() => Date.now() > expiresAt + 100, "the time passes");
      await broker.start();
      await sent;
      const expired = await connection.consumer("ExpiryQueue").receive({ timeout: 30_000 });
      assert.equal(expired?.text(), "late");
      assert.equal(await consumer.receive({ timeout: 0 }), null);
    });
  });

  it("ends some requests, mixes up no replies, and the next ones are answered", async () => {
    await withBroker(async (broker, open) => {
      const asking = await open();
      const answering = await open();
      await asking.createQueue("questions");
      const stop = new AbortController();
      const options = { concurrency: handlersAtOnce, signal: stop.signal };
      const running = answering.consumer("questions").run(async (message) => {
        // The requester may be the one that is cut off.
        await message.reply(`re: ${message.text()}`, { timeout: 1000 }).catch(() => undefined);
      }, options);
      let replyCount = 0;
      let isEnding = false;
      const ask = async (name: number): Promise<void> => {
        for (let count = 0; !isEnding; count += 1) {
          const text = `${name} ${count}`;
          try {
            const reply = await asking.request("questions", text, { timeout: 1000 });
            assert.equal(reply.text(), `re: ${text}`);
            replyCount += 1;
          } catch (error) {
            if (!EverholdError.is(error)) throw error;
          }
        }
      };
      const askers = Array.from({ length: askerCount }, (_, name) => ask(name));
      for (let kill = 0; kill <= killCount; kill += 1) {
        const target = replyCount + repliesPerLife;
        await until(() => replyCount >= target, "requests are answered");
        if (kill === killCount) break;
        await broker.kill();
        await broker.start();
      }
      isEnding = true;
      await Promise.all(askers);
      stop.abort();
      await running;
    });
  });
});

/** Runs `work` with a broker in a process of its own and connections that come back soon. */
async function withBroker(
  work: (broker: BrokerProcess, open: () => Promise<Connection>) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder();
  await using broker = new BrokerProcess(folder, await freePort());
  await broker.start();
  const connections: Connection[] = [];
  try {
    await work(broker, async () => {
      const reconnect = { initialDelay: 20, maxDelay: 100 };
      const connection = await connect(broker.url, { reconnect, log: new LogRecorder() });
      connections.push(connection);
      return connection;
    });
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
    await broker[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  }
}
