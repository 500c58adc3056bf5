/** A process that wants the lock again and again: `node contender.client.js SETTINGS`. */
import { setTimeout as pause } from "node:timers/promises";

import { Prng } from "@everhold/base";
import { connect, EverholdError, type ZooKeeper } from "@everhold/zookeeper";

import { isCommand, parseSettings } from "./contender-settings.ts";
import { joinContest } from "./contest.ts";
import { nowMicroseconds } from "./history.ts";
import { LineLink } from "./line-link.ts";
import { Registers } from "./registers.ts";
import { Stalls } from "./stalls.ts";
import { Teller } from "./teller.ts";
import type { Turn } from "./turn.ts";
import { workInTurn } from "./turn-work.ts";

const settings = parseSettings(process.argv[2]);
const { number, sabotage } = settings;
const control = await LineLink.open(settings.controlPort);
// Without the one that started it there is nobody to work for.
let hasEnded = false;
control.onClose(() => {
  if (!hasEnded) process.exit(1);
});
const teller = new Teller(number, (event) => control.send(event));
const stalls = new Stalls();
const stopping = new AbortController();
control.send({ kind: "contender", process: number });
control.onValue((value) => {
  if (!isCommand(value)) throw new Error(`found ${JSON.stringify(value)}`);
  if (value.command === "stop") stopping.abort();
  else if (value.command === "stall") stalls.take(value);
  else if (value.command === "jumpClock") jumpClock(value.byMs);
  else measure();
});
process.on("uncaughtException", (error) => {
  teller.tell({ kind: "failed", process: number, error: `uncaught: ${error.stack}` });
});

const random = new Prng(settings.seed);
const registers = await Registers.open(settings.storePort, number);
// That connections break is no news here.
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const { servers, sessionTimeout } = settings;
const client = await connect(servers, { sessionTimeout, connectTimeout: 120_000, log });
tellSession();
client.on("reconnected", tellSession);
const contest = joinContest[settings.contest](client);
while (!stopping.signal.aborted) await takeTurn();
await teller.settles("contest.close", contest.close());
await teller.settles("client.close", client.close());
await registers.close();
teller.tell({ kind: "ended", process: number, leakedSockets: await leakedSockets() });
hasEnded = true;
await control.close();

async function takeTurn(): Promise<void> {
  // Some have no patience.
  const timeout = random.chance(0.2) ? random.integer(200, 3_000) : 60_000;
  try {
    const wait = { timeout, signal: stopping.signal };
    await inTurn(await teller.settles("take", contest.take(wait)));
  } catch (error) {
    if (EverholdError.is(error)) {
      teller.tell({ kind: "gaveUp", process: number, code: error.code });
    } else if (!stopping.signal.aborted) {
      const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
      teller.tell({ kind: "failed", process: number, error: words });
    }
  }
  await pause(random.integer(0, 50));
}

async function inTurn(turn: Turn): Promise<void> {
  const at = nowMicroseconds();
  const token = Number(turn.token);
  teller.tell({ kind: "granted", process: number, token, sessionId: sessionOf(client), at });
  const shownToken = sabotage === "token" ? Number.MAX_SAFE_INTEGER : undefined;
  const isHeld = (): boolean =>
    sabotage === "trust" ? client.state === "connected" : turn.isHeld();
  const parts = { client, registers, stalls, teller, random, shownToken };
  try {
    await workInTurn(parts, { token: turn.token, isHeld });
  } finally {
    await teller.settles("release", turn.release());
  }
}

/** Sockets besides the one that this is told through, when those that are being closed have had their time. */
async function leakedSockets(): Promise<number> {
  const deadlineMs = performance.now() + 10_000;
  for (;;) {
    const sockets = process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap");
    if (sockets.length === 1 || performance.now() > deadlineMs) return sockets.length - 1;
    await pause(20);
  }
}

function tellSession(): void {
  teller.tell({ kind: "session", process: number, sessionId: sessionOf(client) });
}

function sessionOf({ sessionId }: ZooKeeper): string {
  return BigInt.asUintN(64, sessionId).toString(16);
}

/** The wall clock alone, as when somebody sets it: the monotonic one goes on. */
function jumpClock(byMs: number): void {
  const before = Date.now;
  Date.now = () => before() + byMs;
}

function measure(): void {
  globalThis.gc?.();
  const { heapUsed: heapBytes, rss: rssBytes } = process.memoryUsage();
  const handles = process.getActiveResourcesInfo().length;
  teller.tell({
    kind: "usage",
    process: number,
    at: nowMicroseconds(),
    heapBytes,
    rssBytes,
    handles,
  });
}

function quiet(): void {
  // On purpose.
}
