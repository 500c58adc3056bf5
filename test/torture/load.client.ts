import { join } from "node:path";

import { Prng } from "@everhold/base";
import { connect, type Connection, type Log } from "everhold";

import { consume } from "./consuming.ts";
import { HistoryFile } from "./history-file.ts";
import { consumerCount, readPlan } from "./plan.ts";
import { produce, type ClientParts } from "./producing.ts";
import { Recorder } from "./recorder.ts";
import { sabotagedSink, sabotages } from "./sabotage.ts";

/**
 * A share of the clients of a run: `node load.client.js FOLDER NUMBER URL [SABOTAGE]`. It says `ready`, and `lied`
 * when it has told its lie. Told `stop` its producers end, told `finish` its consumers do, and with them the process.
 */
const [folder = "", numberText = "", url = "", sabotageName] = process.argv.slice(2);
const processNumber = Number(numberText);
const plan = readPlan(folder);
const file = new HistoryFile(join(folder, `client-${processNumber}.history`));
const sabotage = sabotages.find((name) => name === sabotageName);
const isOrdered = (queue: number): boolean => consumerCount(plan, queue) === 1;
const recorder = new Recorder(
  processNumber,
  sabotage === undefined
    ? file.write
    : sabotagedSink({ kind: sabotage, after: 200, isOrdered, onTold: sayLie }, file.write),
);
// That connections break is no news here.
const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
// Without the one that started it there is nobody to work for.
process.on("disconnect", () => process.exit(1));

const clients = await Promise.all(
  plan.clients
    .map((client, number) => ({ client, number }))
    .filter(({ number }) => number % plan.processCount === processNumber)
    .map(async ({ client, number }): Promise<ClientParts> => {
      const connection = await open(number);
      const random = new Prng(plan.seed * 1_000 + number);
      return { plan, client, number, connection, recorder, random };
    }),
);
const stopping = new AbortController();
const finishing = new AbortController();
const consuming = Promise.all(clients.map((parts) => consume(parts, finishing.signal)));
const producing = Promise.all(clients.map((parts) => produce(parts, stopping.signal)));
process.send?.("ready");

await nextCommand("stop");
stopping.abort();
await producing;
process.send?.("stopped");
await nextCommand("finish");
finishing.abort();
await consuming;
await Promise.all(clients.map(({ connection }) => connection.close()));
recorder.finish();
file.close();
process.removeAllListeners("disconnect");
process.disconnect();

/** Where there are faults, every third notices silence fast, so that a stopped broker is given up by some and waited for by others. */
async function open(number: number): Promise<Connection> {
  const connection = await connect(url, {
    log: silentLog,
    reconnect: { initialAttempts: 10, maxDelay: 500 },
    ...(plan.faults.length > 0 && number % 3 === 0
      ? { heartbeat: { period: 500, ttl: 2_000 } }
      : {}),
  });
  connection.on("disconnect", () => recorder.connection(number, "down"));
  connection.on("reconnect", () => recorder.connection(number, "up"));
  return connection;
}

function sayLie(): void {
  process.send?.("lied");
}

function nextCommand(expected: string): Promise<void> {
  return new Promise((resolve) => {
    const onMessage = (command: unknown): void => {
      if (command !== expected) return;
      process.off("message", onMessage);
      resolve();
    };
    process.on("message", onMessage);
  });
}
