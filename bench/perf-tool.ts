import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { artemisHome } from "#interop/artifacts";
import { runTool, succeed } from "#interop/run-tool";

/** Bytes after which the broker confirms what it has handled; as Artemis' documentation of the tool has it. */
const confirmationWindowBytes = 20_000;

/** Without it the tool's producer and consumer, each alone, tell time in ms. */
const microsecondClock = "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED";

/** One run of `artemis perf`. */
export interface PerfRun {
  /** `client` sends and consumes at once; the others do one of both. */
  readonly command: "client" | "producer" | "consumer";
  readonly url: string;
  readonly queue: string;
  readonly durable: boolean;
  readonly producers: number;
  /** Sends without an answer, of each producer. */
  readonly inFlight: number;
  readonly size: number;
  /** Messages a second over all producers; default as many as it can. */
  readonly rate?: number;
  readonly warmUpSeconds: number;
  /** Behind the warm-up. */
  readonly seconds: number;
  /** A consumer ends after so many messages, if its time is not over earlier. */
  readonly messageCount?: number;
}

/** Latencies in ms. */
interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** What the tool reported. */
export interface PerfReport {
  /** Messages that were answered, or received by a consumer alone; the mean of the time behind the warm-up. */
  readonly perSecond: number;
  /** From a send to its answer. */
  readonly send: Latency | undefined;
  /** From a send to its reception. */
  readonly transfer: Latency | undefined;
  /** All messages of the run, those of the warm-up too. */
  readonly count: number;
}

/** Runs the unmodified tool of the published distribution. @throws Error when it fails */
export async function runPerf(run: PerfRun): Promise<PerfReport> {
  const home = await artemisHome("2.44.0");
  const folder = mkdtempSync(join(tmpdir(), "everhold-perf-"));
  try {
    const file = join(folder, "report.json");
    const sending = [
      ...["--producers", run.producers, "--max-pending", run.inFlight],
      ...["--message-size", run.size],
      ...(run.durable ? ["--persistent"] : []),
      ...(run.rate === undefined ? [] : ["--rate", run.rate]),
    ];
    const result = await runTool(
      join(home, "bin", "artemis"),
      [
        ...["perf", run.command, "--silent", "--json", file],
        ...["--url", `${run.url}?confirmationWindowSize=${confirmationWindowBytes}`],
        ...["--warmup", run.warmUpSeconds, "--duration", run.warmUpSeconds + run.seconds],
        ...(run.command === "consumer" ? [] : sending),
        ...(run.messageCount === undefined ? [] : ["--message-count", run.messageCount]),
        `queue://${run.queue}`,
      ].map(String),
      {
        timeoutMs: (run.warmUpSeconds + run.seconds + 60) * 1_000,
        env: { JAVA_ARGS: microsecondClock },
      },
    );
    succeed(`artemis perf ${run.command}`, result);
    return reportOf(run, JSON.parse(readFileSync(file, "utf8")));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The tool writes a list: one sample a second, and then a summary. */
function reportOf(run: PerfRun, report: unknown): PerfReport {
  const samples = Array.isArray(report) ? report.map(fieldsOf) : [];
  const summary = samples.find(({ sampleType }) => sampleType === "summary");
  if (summary?.["result"] !== "success") {
    throw new Error(`artemis perf ${run.command} reported ${JSON.stringify(summary)}`);
  }
  const rate = run.command === "consumer" ? "received" : "completed";
  const intervals = samples.filter(({ sampleType }) => sampleType === "interval");
  // Each is of the second before it. What is sampled behind the end are messages that were left over.
  const firstMs = Number(intervals[0]?.["time"]);
  const beginMs = firstMs + (run.warmUpSeconds - 0.5) * 1_000;
  const endMs = firstMs + (run.warmUpSeconds + run.seconds - 0.5) * 1_000;
  const rates = intervals
    .filter(({ time }) => Number(time) > beginMs && Number(time) < endMs)
    .map((interval) => Number(interval[rate]));
  if (rates.length === 0) throw new Error("artemis perf ended before its warm-up was over");
  return {
    perSecond: rates.reduce((sum, perSecond) => sum + perSecond, 0) / rates.length,
    send: latencyOf(summary["totalSendTime"]),
    transfer: run.command === "client" ? latencyOf(summary["totalTransferTime"]) : undefined,
    count: Number(summary[run.command === "consumer" ? "totalReceived" : "totalCompleted"]),
  };
}

/** The tool counts in µs. */
function latencyOf(value: unknown): Latency | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const percentiles = fieldsOf(value);
  return { p50: Number(percentiles["50"]) / 1_000, p99: Number(percentiles["99"]) / 1_000 };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value))
    : {};
}
