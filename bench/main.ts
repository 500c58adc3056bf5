import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { measureBaseline } from "./baseline.ts";
import { startBrokerProcess } from "./broker-process.ts";
import { parseMeasurement, type Measurement, type Task, type Workload } from "./task.ts";

const help = `npm run bench -- send|consume|latency [options]

  --size BYTES        of a message's body; default 1024
  --producers N       connections that send; default 1
  --in-flight N       sends or acknowledgements without an answer; default 256 (latency: 1)
  --durable           on disk before the answer; the default
  --non-durable       in memory only
  --seconds S         how long to measure, after a warm-up; default 5
  --generator NAME    client, raw (frames encoded once, send only), or both; default both for send
  --profile FOLDER    write a CPU profile of the broker there
  --json              one JSON object a line

The baseline is a program that does nothing but append the same bytes to a file, with all that is in
flight in one write, on stable storage when durable; the ratio compares with it in the same run.
`;

const workloads = ["send", "consume", "latency"] as const;

/** One line of output. */
interface Line extends Measurement {
  readonly workload: Workload;
  readonly generator: string;
  readonly size: number;
  readonly producers: number;
  readonly inFlight: number;
  readonly durability: "durable" | "non-durable";
  readonly baselinePerSecond: number;
  readonly ratio: number;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArguments();
  const workload = workloads.find((name) => name === positionals[0]);
  if (values.help === true || workload === undefined) {
    process.stdout.write(help);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const settings = {
    workload,
    size: number(values.size, 1_024),
    producers: number(values.producers, 1),
    inFlight: workload === "latency" ? 1 : number(values["in-flight"], 256),
    durable: values["non-durable"] !== true,
    seconds: number(values.seconds, 5),
  };
  for (const generator of generatorsFor(workload, values.generator)) {
    if (process.stderr.isTTY) process.stderr.write(`measuring ${workload} (${generator}) ...\r`);
    const line = await measureLine(settings, generator, values.profile);
    print(line, values.json === true);
  }
}

function parseArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        size: { type: "string" },
        producers: { type: "string" },
        "in-flight": { type: "string" },
        durable: { type: "boolean" },
        "non-durable": { type: "boolean" },
        seconds: { type: "string" },
        generator: { type: "string" },
        profile: { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    return process.exit(2);
  }
}

function generatorsFor(workload: Workload, asked: string | undefined): readonly string[] {
  if (workload !== "send") return ["client"];
  if (asked === "client" || asked === "raw") return [asked];
  return ["raw", "client"];
}

async function measureLine(
  settings: Omit<Task, "url">,
  generator: string,
  profileFolder: string | undefined,
): Promise<Line> {
  const folder = mkdtempSync(join(tmpdir(), "everhold-bench-"));
  try {
    const { size, inFlight, durable, producers, workload } = settings;
    const baselinePerSecond = await measureBaseline({
      folder,
      size,
      inFlight,
      durable,
      milliseconds: 1_000,
    });
    const profile =
      profileFolder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`];
    const broker = await startBrokerProcess(join(folder, "data"), profile);
    let measurement: Measurement;
    try {
      measurement = await generate(generator, { ...settings, url: broker.url });
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

/** Runs a load generator in a process of its own. @throws Error when it ends without a result */
function generate(generator: string, task: Task): Promise<Measurement> {
  const program = fileURLToPath(new URL(`./${generator}.main.js`, import.meta.url));
  const child = fork(program, [JSON.stringify(task)]);
  return new Promise((resolve, reject) => {
    child.once("message", (value) => resolve(parseMeasurement(value)));
    child.once("exit", (code) =>
      reject(new Error(`the load generator ended with ${String(code)}`)),
    );
  });
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

function number(text: string | undefined, byDefault: number): number {
  const value = Number(text ?? byDefault);
  if (value > 0) return value;
  process.stderr.write(`bench: expected a number above 0, found ${text ?? ""}\n`);
  return process.exit(2);
}
