import { Command, InvalidArgumentError } from "commander";

import { countArgument } from "../command-context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { formatCount, ProgressBar } from "../terminal/progress-bar.ts";
import { processTerminal, writeJson, type Terminal } from "../terminal/terminal.ts";
import { readFlights } from "./flights.ts";
import { runDemo, type DemoResult } from "./run-demo.ts";

interface DemoFlags {
  readonly flights: number;
  readonly kills: number;
  readonly stall: number;
}

const stallSeconds = 30;
const flightCountMax = 200_000;

const program = new Command("npm run demo --")
  .description(
    "Sends the flights of the vega-datasets package as durable messages over a topic to two durable\n" +
      "subscribers, ends the broker with kill -9 while they flow, and compares what came with the file.",
  )
  .option("--json", "print one JSON line at the end")
  .option("--flights <n>", "how many flights", countArgument(1, flightCountMax), flightCountMax)
  .option("--kills <n>", "how often the broker is killed", countArgument(0, 100), 3)
  .option("--stall <seconds>", "give up after so long without progress", positive, stallSeconds);

process.exitCode = await demo(program.parse().opts<DemoFlags>());

async function demo(flags: DemoFlags): Promise<ExitCode> {
  const terminal = processTerminal(process.argv.includes("--json"));
  const flights = readFlights(flags.flights);
  const total = flights.length * 2;
  const bar = new ProgressBar(terminal, { label: "received by both", total });
  if (!terminal.json) {
    await terminal.write(
      `${formatCount(flights.length)} flights as durable messages, two durable subscribers, ` +
        `kill -9 ${flags.kills === 1 ? "once" : `${flags.kills} times`}\n`,
    );
  }
  try {
    const result = await runDemo({
      flights,
      kills: flags.kills,
      stallMs: flags.stall * 1_000,
      signal: terminal.stop,
      onProgress: ({ sent, received, restarts }) =>
        bar.update(
          received.stats + received.archive,
          `sent ${formatCount(sent)}, restarts ${restarts}`,
        ),
    });
    bar.clear();
    await report(terminal, result);
    return isGood(result) ? exitCodes.ok : exitCodes.failure;
  } catch (error) {
    bar.clear();
    const message = error instanceof Error ? error.message : String(error);
    terminal.writeError(
      terminal.json ? `${JSON.stringify({ error: { message } })}\n` : `demo: ${message}\n`,
    );
    return terminal.stop.aborted ? exitCodes.interrupted : exitCodes.failure;
  }
}

async function report(terminal: Terminal, result: DemoResult): Promise<void> {
  if (terminal.json) return writeJson(terminal, result);
  const { sent, received, lost, duplicated, redelivered, restarts, left, seconds, equal } = result;
  const rows: readonly (readonly [string, string])[] = [
    ["sent", formatCount(sent)],
    ["received by stats", formatCount(received.stats)],
    ["received by archive", formatCount(received.archive)],
    ["lost", formatCount(lost)],
    ["duplicated", formatCount(duplicated)],
    ["redelivered, and marked so", formatCount(redelivered)],
    ["left in the queues", formatCount(left)],
    ["kills and restarts", formatCount(restarts)],
    ["seconds", seconds.toFixed(1)],
    ["same as the file", equal ? "yes" : "NO"],
  ];
  const lines = rows.map(([label, value]) => `  ${label.padEnd(28)}${value.padStart(10)}\n`);
  await terminal.write(lines.join(""));
  const verdict = isGood(result) ? "Nothing lost, nothing doubled." : "FAILED: see above.";
  await terminal.write(`${verdict}\n`);
}

function isGood({ sent, received, lost, duplicated, left, equal }: DemoResult): boolean {
  const isComplete = received.stats === sent && received.archive === sent && lost === 0;
  return isComplete && duplicated === 0 && left === 0 && equal;
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError("expected a number above 0");
}
