import assert from "node:assert/strict";

import { holdsCount, next, takeTexts, type SuiteContext } from "./broker-under-test.ts";

/** Requests and their replies. */
export function requestTests(context: SuiteContext): void {
  context.it("requests get their replies", async () => {
    const { connection } = context;
    const server = connection.consumer("rpc");
    const running = server.run((message) => message.reply(`re: ${message.text()}`), {
      concurrency: 8,
    });
    const texts = Array.from({ length: 100 }, (_, index) => `q${index}`);
    const replies = await Promise.all(texts.map((text) => connection.request("rpc", text)));
    assert.deepEqual(
      replies.map((reply) => reply.text()),
      texts.map((text) => `re: ${text}`),
    );
    await server.close();
    await running;
  });

  context.it("a request without an answer ends at its time limit, outcome unknown", async () => {
    const { connection } = context;
    const consumer = connection.consumer("silent");
    // Behind one that is answered the way is open: the next one leaves at once, and within its time.
    const first = connection.request("silent", "who is there?");
    const early = await next(consumer);
    await early.reply("nobody");
    await early.ack();
    await first;
    const asked = assert.rejects(connection.request("silent", "anybody?", { timeout: 1000 }), {
      code: "EVH_TIMEOUT",
      outcome: "unknown",
    });
    const late = await next(consumer);
    await asked;
    // Nobody waits for it any more; it hurts nobody.
    await late.reply("too late");
    await late.ack();
    await consumer.close();
  });

  context.it(
    "a reply whose requester has gone is refused, and leaves no queue behind",
    async () => {
      const requester = await context.connect();
      const abort = new AbortController();
      const asked = assert.rejects(
        requester.request("asked", "anybody?", { signal: abort.signal }),
        { code: "EVH_ABORTED" },
      );
      const { connection } = context;
      const consumer = connection.consumer("asked");
      const message = await next(consumer);
      abort.abort();
      await asked;
      await requester.close();
      const { replyTo = "" } = message;
      // The broker hears of the end of a connection on its own time.
      while ((await connection.queueInfo(replyTo)) !== undefined) continue;
      await assert.rejects(message.reply("too late"), { code: "EVH_QUEUE_DOES_NOT_EXIST" });
      assert.equal(await connection.queueInfo(replyTo), undefined);
      await message.ack();
      await consumer.close();
    },
  );

  context.it("a reply goes to a queue that the request names", async () => {
    const { connection } = context;
    await connection.producer("questions").send("why", { replyTo: "answers", correlationId: "c7" });
    const consumer = connection.consumer("questions");
    const question = await next(consumer);
    await question.reply({ json: { why: "because" } });
    await question.ack();
    const answers = connection.consumer<{ why: string }>("answers");
    const answer = await next(answers);
    assert.deepEqual([answer.json(), answer.correlationId], [{ why: "because" }, "c7"]);
    assert.equal(answer.durable, true);
    await answer.ack();
    await Promise.all([consumer.close(), answers.close()]);
  });

  context.it("a message that names no address for replies can't be answered", async () => {
    const { connection } = context;
    await connection.producer("one-way").send("x");
    const consumer = connection.consumer("one-way");
    await assert.rejects((await next(consumer)).reply("y"), { code: "EVH_ILLEGAL_STATE" });
    await consumer.close();
  });

  context.it("a reply in a transaction leaves with the commit", async () => {
    const { connection } = context;
    await connection.producer("tx-questions").send("q", { replyTo: "tx-answers" });
    const session = await connection.session({ transacted: true });
    const question = await next(session.consumer("tx-questions"));
    await question.reply("a");
    await question.ack();
    await holdsCount(connection, "tx-answers", 0);
    await session.commit();
    await session.close();
    const answers = connection.consumer("tx-answers");
    assert.deepEqual(await takeTexts(answers, 1), ["a"]);
    await answers.close();
  });
}
