import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { connect, type Connection } from "everhold";

import { startBrokerProcess } from "./broker-process.ts";
import { Meter } from "./meter.ts";
import { processCpuMs } from "./process-cpu.ts";

/** Sends without an answer at any time. */
const inFlight = 256;

/** Kinds of selectors, each of which wants messages of one number only. */
const kinds: Readonly<Record<string, (number: number) => string>> = {
  equality: (number) => `number = ${number}`,
  "equality among others": (number) => `region = 'eu' AND size > 10 AND number = ${number}`,
  range: (number) => `number >= ${number} AND number < ${number + 1}`,
};

/** One line of output. */
interface Line {
  readonly workload: "selectors";
  readonly selectors: string;
  readonly subscriptions: number;
  readonly perSecond: number;
  /** µs of the broker's CPU for a send; 0 where the system does not tell. */
  readonly brokerCpu: number;
  /** The broker's CPU for a send divided by that with one subscription. */
  readonly ratio: number;
}

/**
 * Measures what a send costs when an address has one filtered subscription and when it has 1,000, of which
 * each message goes to one; non-durable, so that the disk has no part in it.
 */
export async function measureSelectors(seconds: number, json: boolean): Promise<void> {
  for (const selectors of Object.keys(kinds)) {
    let alone = 0;
    for (const subscriptions of [1, 1_000]) {
      const found = await measureOne(selectors, subscriptions, seconds);
      if (subscriptions === 1) alone = found.brokerCpu;
      const ratio = alone === 0 ? 0 : Math.round((found.brokerCpu / alone) * 100) / 100;
      print({ workload: "selectors", selectors, subscriptions, ...found, ratio }, json);
    }
  }
}

async function measureOne(
  kind: string,
  subscriptions: number,
  seconds: number,
): Promise<Pick<Line, "perSecond" | "brokerCpu">> {
  const folder = mkdtempSync(join(tmpdir(), "everhold-bench-"));
  try {
    const broker = await startBrokerProcess(join(folder, "data"));
    try {
      const connection = await connect(broker.url);
      for (let number = 0; number < subscriptions; number += 1) {
        const filter = kinds[kind]?.(number) ?? "";
        await connection.createQueue(`s${number}`, {
          address: "topic",
          routing: "multicast",
          durable: false,
          filter,
        });
      }
      const found = await send(connection, { subscriptions, seconds, pid: broker.pid });
      await connection.close();
      return found;
    } finally {
      await broker.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface SendOptions {
  readonly subscriptions: number;
  readonly seconds: number;
  readonly pid: number;
}

async function send(
  connection: Connection,
  { subscriptions, seconds, pid }: SendOptions,
): Promise<Pick<Line, "perSecond" | "brokerCpu">> {
  const producer = connection.producer("topic", { durable: false, routing: "multicast" });
  const body = new Uint8Array(64);
  let next = 0;
  const sendUntil = async (meter: Meter): Promise<void> => {
    while (!meter.isOver()) {
      const properties = { number: next++ % subscriptions, region: "eu", size: 100 };
      const startedMs = performance.now();
      await producer.send(body, { properties });
      meter.record(startedMs);
    }
  };
  const sendAll = async (meter: Meter): Promise<void> => {
    await Promise.all(Array.from({ length: inFlight }, () => sendUntil(meter)));
  };
  await sendAll(new Meter(seconds / 4, 0));
  const cpuBefore = processCpuMs(pid) ?? 0;
  const meter = new Meter(seconds, 0);
  await sendAll(meter);
  const { perSecond, count } = meter.result();
  const brokerCpu = (((processCpuMs(pid) ?? 0) - cpuBefore) * 1_000) / Math.max(1, count);
  return { perSecond, brokerCpu: Math.round(brokerCpu * 10) / 10 };
}

function print(line: Line, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
    return;
  }
  const { selectors, subscriptions, perSecond, brokerCpu, ratio } = line;
  process.stdout.write(
    `${selectors}, ${subscriptions} subscriptions: ${perSecond} sends a second, ` +
      `${brokerCpu} µs of the broker's CPU each, ratio ${ratio}\n`,
  );
}
