import assert from "node:assert/strict";
import { test } from "node:test";
import { errorOf } from "@everhold/test-world";
import { runCut, type CutStage } from "./cut-run.test-support.ts";
import type { CutPoint } from "./cutting-network.test-support.ts";

/**
 * The connection ends for good as the client says something, or before it is told that it is done. Then another
 * one asks what became of it.
 */
async function askAfter(
  loss: "request" | "answer",
  begin: (stage: CutStage) => Promise<() => Promise<void>>,
): Promise<string> {
  const options = { reconnect: { attempts: 0, initialAttempts: 100 } };
  const { passed } = await runCut({ point: undefined, fault: "kill", options }, async (stage) => {
    const work = await begin(stage);
    stage.arm();
    await work();
    stage.disarm();
    await stage.connection.close();
  });
  const answers = passed.filter(({ from }) => from === "broker");
  const answer = answers.findIndex(({ name }) => name === "NULL_RESPONSE");
  const point: CutPoint =
    loss === "request" ? lost : { from: "broker", index: answer, when: "before" };
  let told = "";
  const { hasStruck } = await runCut({ point, fault: "kill", options }, async (stage) => {
    const work = await begin(stage);
    stage.arm();
    const error = await errorOf(work());
    assert.equal(error.outcome, "unknown");
    stage.disarm();
    const other = await stage.connectAnother();
    const { outcome, code } = await other.outcome(error);
    told = code === undefined ? outcome : `${outcome} ${code}`;
    await other.close();
  });
  assert.ok(hasStruck);
  return told;
}

async function beginSend({ connection }: CutStage): Promise<() => Promise<void>> {
  await connection.send("q", "before");
  return () => connection.send("q", "x");
}

async function beginCommit({ connection }: CutStage): Promise<() => Promise<void>> {
  const session = await connection.session({ transacted: true });
  await session.send("q", "x");
  await session.commit();
  await session.send("q", "y");
  return () => session.commit();
}

/** The first frame that the client sends. */
const lost = { from: "client", index: 0, when: "before" } as const;

test("another connection is told what became of a send whose answer was lost", async () => {
  assert.equal(await askAfter("answer", beginSend), "applied");
  assert.equal(await askAfter("request", beginSend), "notSeen");
});

test("another connection is told what became of a commit whose answer was lost", async () => {
  assert.equal(await askAfter("answer", beginCommit), "applied");
  assert.equal(await askAfter("request", beginCommit), "notSeen");
});

test("a commit that its caller gave up is decided as its session comes back", async () => {
  await runCut({ point: lost, fault: "kill" }, async (stage) => {
    const { connection } = stage;
    const session = await connection.session({ transacted: true });
    await session.send("q", "x");
    stage.arm();
    const error = await errorOf(session.commit({ timeout: 100 }));
    assert.equal(error.code, "EVH_TRANSACTION_OUTCOME_UNKNOWN");
    stage.disarm();
    const { outcome, code } = await connection.outcome(error, { timeout: 60_000 });
    assert.equal(`${outcome} ${code}`, "none EVH_TRANSACTION_ROLLED_BACK");
    await session.send("q", "y");
    await session.commit();
    await connection.close();
  });
});
