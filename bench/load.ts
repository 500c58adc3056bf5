import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { measureBaseline } from "./baseline.ts";
import { startBrokerProcess } from "./broker-process.ts";
import { generate, nextQueue, storeMessages, type GeneratorName } from "./generator.ts";
import { warmUpShare } from "./meter.ts";
import { messagesMax, type Measurement, type Task } from "./task.ts";

/** What our broker can be loaded with alone. */
export const loads = ["send", "consume", "latency"] as const;

/** A load and how it is generated. */
export interface Load {
  readonly workload: (typeof loads)[number];
  readonly generators: readonly ("client" | "raw")[];
  readonly size: number;
  readonly producers: number;
  readonly inFlight: number;
  readonly durable: boolean;
  readonly seconds: number;
  readonly profileFolder: string | undefined;
}

/** One line of output. */
interface Line extends Measurement {
  readonly workload: Task["workload"];
  readonly generator: string;
  readonly size: number;
  readonly producers: number;
  readonly inFlight: number;
  readonly durability: "durable" | "non-durable";
  readonly baselinePerSecond: number;
  readonly ratio: number;
}

/** Messages that `consume` finds in the queue for each second it is to run. */
const storedPerSecond = 100_000;

/** Measures our broker beside a program that only appends to a file, and prints a line per generator. */
export async function measureLoad(load: Load, json: boolean): Promise<void> {
  for (const generator of load.generators) {
    if (process.stderr.isTTY) {
      process.stderr.write(`measuring ${load.workload} (${generator}) ...\r`);
    }
    print(await measureLine(load, generator), json);
  }
}

async function measureLine(load: Load, generator: GeneratorName): Promise<Line> {
  const folder = mkdtempSync(join(tmpdir(), "everhold-bench-"));
  try {
    const { size, inFlight, durable, producers, workload, seconds, profileFolder } = load;
    const baselinePerSecond = await measureBaseline({
      folder,
      size,
      inFlight,
      durable,
      milliseconds: 1_000,
    });
    const broker = await startBrokerProcess(join(folder, "data"), {
      nodeArguments:
        profileFolder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`],
    });
    let measurement: Measurement;
    try {
      const task = { workload, size, producers, inFlight, durable, seconds, url: broker.url };
      measurement = await generateLoad(generator, { ...task, queue: nextQueue(), storedCount: 0 });
    } finally {
      await broker.stop();
    }
    return {
      workload,
      generator,
      size,
      producers,
      inFlight,
      durability: durable ? "durable" : "non-durable",
      ...measurement,
      baselinePerSecond,
      ratio: Math.round((measurement.perSecond / baselinePerSecond) * 1_000) / 1_000,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function generateLoad(generator: GeneratorName, task: Task): Promise<Measurement> {
  if (task.workload !== "consume") return generate(generator, task);
  const wanted = Math.ceil(storedPerSecond * task.seconds * (1 + warmUpShare));
  const storedCount = Math.min(messagesMax(task), wanted);
  const filled = { ...task, storedCount };
  await storeMessages(filled);
  return generate(generator, filled);
}

function print(line: Line, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
    return;
  }
  const { workload, generator, size, producers, inFlight, durability } = line;
  const rate = line.perSecond.toLocaleString("en-US");
  const baseline = line.baselinePerSecond.toLocaleString("en-US");
  process.stdout.write(
    `${workload} (${generator}), ${size} bytes, ${durability}, ${producers === 1 ? "1 producer" : `${producers} producers`}, ` +
      `${inFlight} in flight: ${rate}/s, p50 ${line.p50} ms, p99 ${line.p99} ms; ` +
      `baseline ${baseline}/s, ratio ${line.ratio}\n`,
  );
}
