/**
 * Our client as an application uses it, telling what it is told: states, leadership, watches. Its arguments, the words
 * it takes and the lines it writes are those of `CuratorContestant.java`, which does the same with Curator.
 */
import { createInterface } from "node:readline";

import {
  connect,
  EverholdError,
  LeaderLatch,
  ZooKeeperError,
  type WatchStream,
  type ZooKeeper,
} from "@everhold/zookeeper";

const pauseMs = 10;
const stallMs = 500;

const [servers = "", sessionTimeout = "", base = "", role = ""] = process.argv.slice(2);
const log = { error: ignore, warn: ignore, info: ignore, debug: ignore };
const client = await connect(servers, {
  sessionTimeout: Number(sessionTimeout),
  connectTimeout: 60_000,
  log,
});
tellStates();
if (role === "main") await setUp();
if (role !== "stranger") lead();
tell("ready", { sessionId: BigInt.asUintN(64, client.sessionId).toString(16) });
for await (const word of createInterface({ input: process.stdin })) obey(word).catch(fail);
process.exit(0);

function tellStates(): void {
  client.on("suspended", () => tell("state", { state: "suspended" }));
  client.on("reconnected", ({ sessionChanged }) =>
    tell("state", {
      state: sessionChanged ? "reconnected, another session" : "reconnected, the same session",
    }),
  );
  client.on("lost", ({ by }) => tell("state", { state: `lost, says the ${by}` }));
}

/** A node of each kind, and a watch of each. */
async function setUp(): Promise<void> {
  await client.create(`${base}/plain`, "", { mode: "ephemeral" });
  await client.hold(`${base}/held`);
  await client.getData(`${base}/once`, {
    watch: ({ type }) => tell("watch", { name: "once", event: type }),
  });
  const kept = await client.watch(`${base}/kept`, { recursive: true });
  tellOf(kept).catch(fail);
}

async function tellOf(kept: WatchStream): Promise<void> {
  for await (const { type } of kept) tell("watch", { name: "kept", event: type });
}

/** Asks all the time, as who acts under leadership would, and tells when the answer is another one. */
function lead(): void {
  // More than the servers' tick of 500 ms: the machine may be busy.
  const latch = new LeaderLatch(client, `${base}/latch`, { id: role, tickTime: 1_000 });
  latch.start();
  let leads = false;
  let lastMs = Date.now();
  setInterval(() => {
    const answer = latch.isLeader();
    const nowMs = Date.now();
    if (nowMs - lastMs > stallMs) tell("woke", { leads: answer });
    if (answer !== leads) tell("leads", { leads: answer });
    leads = answer;
    lastMs = nowMs;
  }, pauseMs);
}

async function obey(call: string): Promise<void> {
  tell("call", { call, answer: await answerTo(call, client).catch(nameOf) });
}

async function answerTo(call: string, by: ZooKeeper): Promise<string> {
  if (call === "read") await by.getData(`${base}/value`);
  else if (call === "write") await by.setData(`${base}/value`, "");
  else await by.create(`${base}/created`);
  return "done";
}

function nameOf(error: unknown): string {
  if (error instanceof ZooKeeperError && error.code === "EVH_ZOOKEEPER") return error.reason;
  return EverholdError.is(error) ? error.code : String(error);
}

function tell(type: string, fields: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ at: Date.now(), type, ...fields })}\n`);
}

function fail(error: unknown): never {
  throw error;
}

function ignore(): void {
  // Lines about connections that break on purpose say nothing.
}
