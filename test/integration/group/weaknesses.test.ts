/** What HornetQ and Artemis have lost, by the numbers of docs/WEAKNESSES.md. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { connect, EverholdError } from "everhold";

import { GroupProcesses } from "./group-processes.ts";
import { until } from "./until.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe("transactions through a group of processes", () => {
  it("W1, W11 are on the next live as a whole when they were committed, and not at all when they were rolled back", async () => {
    const group = await GroupProcesses.make(["anna", "bert", "cleo"], 2);
    const story = (): string => group.story;
    try {
      for (const member of group.members) member.start();
      await until("all in sync", () => group.inSync.length === 3, story);
      await using connection = await connect(group.urls, { log: silent });
      const expected: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        const { live } = group;
        assert.ok(live !== undefined, story());
        await using given = await connection.session({ transacted: true });
        await given.send("orders", `${round}, given up`);
        await given.rollback();
        await using kept = await connection.session({ transacted: true });
        const texts = [`${round}, first`, `${round}, second`];
        for (const text of texts) await kept.send("orders", text);
        const committing = kept.commit().then(
          () => true,
          (error: unknown) => {
            // It was not committed, and that is known.
            if (error instanceof EverholdError && error.code === "EVH_TRANSACTION_ROLLED_BACK")
              return false;
            throw error;
          },
        );
        await live.end("SIGKILL");
        if (await committing) expected.push(...texts);
        live.start();
        await until("all in sync again", () => group.inSync.length === 3, story);
      }
      await connection.producer("orders").send("the end");
      expected.push("the end");
      const got: string[] = [];
      for await (const message of connection.consumer("orders")) {
        got.push(message.text());
        await message.ack();
        if (got.at(-1) === "the end") break;
      }
      assert.deepEqual(got, expected, story());
    } finally {
      await group.end();
    }
  });
});
