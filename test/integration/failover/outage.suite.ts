import assert from "node:assert/strict";
import { it } from "node:test";

import { EverholdError } from "@everhold/base";
import { holdsCount, next, numbered, takeTexts } from "../client/broker-under-test.ts";
import {
  failOnce,
  freshName,
  noticedBy,
  quickly,
  soonMissed,
  type FailoverTarget,
} from "./failover-target.ts";

const isSettled = (error: unknown): boolean => EverholdError.is(error);

/** What waits in an outage, what gives up, what is told, and what is left. */
export function outageScenarios(target: () => FailoverTarget): void {
  it("F26 sends that are given up in an outage, and repeated once, are there once", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("given-up-and-repeated");
    const producer = connection.producer(queue);
    await producer.send("m0");
    const sends = Array.from({ length: 500 }, async (_, index) => {
      const options = { duplicateId: `${queue} ${index}` };
      try {
        await producer.send(`m${index}`, { ...options, timeout: 20 });
      } catch (error) {
        assert.ok(EverholdError.is(error, "EVH_TIMEOUT"));
        await producer.send(`m${index}`, options);
      }
    });
    await failOnce(target(), connection);
    await Promise.all(sends);
    const found = await takeTexts(connection.consumer(queue), 501);
    const expected = ["m0", ...Array.from({ length: 500 }, (_, index) => `m${index}`)];
    assert.deepEqual(found.toSorted(), expected.toSorted());
    await holdsCount(connection, queue, 0);
  });

  it("F23, F87, F91 sends under way settle, and each is there once, in order", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("under-way");
    const producer = connection.producer(queue);
    await producer.send("m0");
    const sends = Array.from({ length: 300 }, (_, index) => producer.send(`m${index + 1}`));
    await failOnce(target(), connection);
    await Promise.all(sends);
    const expected = Array.from({ length: 301 }, (_, index) => `m${index}`);
    assert.deepEqual(await takeTexts(connection.consumer(queue), 301), expected);
    await holdsCount(connection, queue, 0);
  });

  it("F23 a request of the broker that is under way is asked again", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("asked-again");
    await connection.createQueue(queue);
    await target().down();
    const asked = connection.queueInfo(queue);
    await target().up();
    assert.equal((await asked)?.messageCount, 0);
  });

  it("F24, F98 a send repeated by the application under its duplicate id is there once", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("repeated");
    await connection.producer(queue).send("x", { duplicateId: `${queue} x` });
    await failOnce(target(), connection);
    await connection.producer(queue).send("x", { duplicateId: `${queue} x` });
    await connection.producer(queue).send("y", { duplicateId: `${queue} y` });
    assert.deepEqual(await takeTexts(connection.consumer(queue), 2), ["x", "y"]);
    await holdsCount(connection, queue, 0);
  });

  it("F27 a send whose time is over in an outage says that nothing happened", async () => {
    await using connection = await target().connect(quickly);
    const producer = connection.producer(freshName("too-late"));
    await producer.send("first");
    const noticed = noticedBy(connection);
    await target().down();
    await noticed;
    await assert.rejects(producer.send("late", { timeout: 50 }), {
      code: "EVH_TIMEOUT",
      outcome: "none",
    });
    await target().up();
    await producer.send("second");
    assert.deepEqual(await takeTexts(connection.consumer(producer.address), 2), [
      "first",
      "second",
    ]);
  });

  it("F81 after the last attempt the connection ends, and everything that waited is told", async () => {
    const connection = await target().connect({
      ...quickly,
      reconnect: { initialAttempts: 100, attempts: 2, initialDelay: 5, maxDelay: 5 },
    });
    const queue = freshName("given-up");
    await connection.producer(queue).send("x");
    const consumer = connection.consumer(queue);
    await (await next(consumer)).ack();
    const received = consumer.receive();
    received.catch(() => undefined);
    const closed = new Promise<unknown>((resolve) => {
      connection.on("close", ({ error }) => resolve(error));
    });
    await target().down();
    const sent = connection.producer(queue).send("y");
    const ends = await Promise.allSettled([received, sent]);
    assert.ok(isSettled(await closed));
    for (const end of ends) assert.ok(end.status === "rejected" && isSettled(end.reason));
    await connection.close();
    await target().up();
  });

  it("F82 sessions that are being opened all come to stand", async () => {
    await using connection = await target().connect(quickly);
    const opening = Array.from({ length: 50 }, () => connection.session({ transacted: true }));
    await failOnce(target(), connection);
    const settled = await Promise.allSettled(opening);
    const queue = freshName("many-sessions");
    let count = 0;
    for (const result of settled) {
      if (result.status === "rejected") {
        assert.ok(isSettled(result.reason));
        continue;
      }
      await result.value.send(queue, "x");
      await result.value.commit();
      count += 1;
      await result.value.close();
    }
    await holdsCount(connection, queue, count);
  });

  it("F83 afterwards a consumer is sent no more ahead than it asked for", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("window");
    await connection.producer(queue).sendBatch(numbered(20));
    const consumer = connection.consumer(queue, { prefetch: 3 });
    await (await next(consumer)).ack();
    await failOnce(target(), connection);
    await (await next(consumer)).ack();
    await using other = connection.consumer(queue, { prefetch: 0 });
    // Three are ahead at the first, so the fourth behind what it took is the next for others.
    const message = await next(other);
    assert.ok(Number(message.text().slice(1)) <= 5, message.text());
    await message.ack();
  });

  it("F89 it is told once, and once that it is over", async () => {
    await using connection = await target().connect(quickly);
    const events: string[] = [];
    for (const type of ["disconnect", "reconnect", "close"] as const) {
      connection.on(type, () => events.push(type));
    }
    const over = new Promise<void>((resolve) => {
      connection.on("reconnect", () => resolve());
    });
    await failOnce(target());
    await over;
    assert.deepEqual(events, ["disconnect", "reconnect"]);
  });

  it("F92 queues that live with their connection are made again", async () => {
    await using connection = await target().connect(quickly);
    const asked = freshName("asked");
    const answering = connection.consumer(asked);
    const running = answering.run((message) => message.reply(`re: ${message.text()}`));
    assert.equal((await connection.request(asked, "before")).text(), "re: before");
    await failOnce(target(), connection);
    assert.equal((await connection.request(asked, "after")).text(), "re: after");
    await answering.close();
    await running;
  });

  it("F92 a connection can be closed while nobody serves, and leaves nothing", async () => {
    const connection = await target().connect(soonMissed);
    const queue = freshName("closed-meanwhile");
    await connection.producer(queue).send("x");
    const consumer = connection.consumer(queue);
    await next(consumer);
    const waiting = consumer.receive();
    await target().down();
    const sent = connection.producer(queue).send("y");
    const [end, received] = await Promise.allSettled([sent, waiting, connection.close()]);
    await target().up();
    assert.ok(end.status === "rejected" && isSettled(end.reason));
    assert.ok(received.status === "fulfilled" || isSettled(received.reason));
    await using after = await target().connect(quickly);
    assert.deepEqual(await takeTexts(after.consumer(queue), 1), ["x"]);
  });

  it("F95 what a client had that does not come back is for others", async () => {
    const queue = freshName("client-gone");
    const gone = await target().connect({
      ...soonMissed,
      reconnect: { ...soonMissed.reconnect, attempts: 0 },
    });
    // It may be missed before that, by a machine that stands still.
    const noticed = noticedBy(gone);
    await gone.producer(queue).sendBatch(numbered(3));
    const held = await next(gone.consumer(queue));
    assert.equal(held.text(), "m0");
    await target().down();
    await noticed;
    await target().up();
    await using other = await target().connect(quickly);
    assert.deepEqual(await takeTexts(other.consumer(queue), 3), ["m0", "m1", "m2"]);
    await assert.rejects(held.ack(), isSettled);
  });

  it("F101 many consumers closed meanwhile leave nothing at the broker", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("closed-consumers");
    await connection.producer(queue).sendBatch(numbered(5));
    const consumers = Array.from({ length: 100 }, () => connection.consumer(queue));
    await Promise.all(consumers.map((consumer) => consumer.ready()));
    await target().down();
    const closing = Promise.all(consumers.map((consumer) => consumer.close()));
    await target().up();
    await closing;
    const found = await takeTexts(connection.consumer(queue), 5);
    assert.deepEqual(found.toSorted(), ["m0", "m1", "m2", "m3", "m4"]);
  });
}
