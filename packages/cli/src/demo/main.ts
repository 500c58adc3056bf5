import { Command, InvalidArgumentError } from "commander";

import { countArgument } from "../command-context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { formatCount, ProgressBar } from "../terminal/progress-bar.ts";
import { processTerminal, writeJson } from "../terminal/terminal.ts";
import { readFlights } from "./flights.ts";
import { flightsPerKillMin, killsMax, runDemo } from "./run-demo.ts";
import { eventText, isGood, resultText } from "./story.ts";

interface DemoFlags {
  readonly zookeeper?: string;
  readonly flights: number;
  readonly kills: number;
  readonly stall: number;
}

const stallSeconds = 30;
const flightCountMax = 200_000;

const program = new Command("npm run demo --")
  .description(
    "Sends the flights of the vega-datasets package as durable messages over a topic to two durable " +
      "subscribers, through a group of brokers whose live is ended with kill -9 while they flow, and " +
      "compares what came with the file, and the members' journals with each other.",
  )
  .option("--json", "print one JSON line at the end")
  .option(
    "--zookeeper <servers>",
    "host:port,… of a ZooKeeper that settles who leads a group of three; a node below /everhold/groups stays in it. " +
      "Default where Java and Maven are found: one that is started for the demo",
  )
  .option("--folder", "a folder settles who leads a pair; the default elsewhere")
  .option("--flights <n>", "how many flights", countArgument(1, flightCountMax), flightCountMax)
  .option("--kills <n>", "how often the live is killed", countArgument(0, killsMax), 5)
  .option("--stall <seconds>", "give up after so long without progress", positive, stallSeconds);

const flags = program.parse().opts<DemoFlags>();
const flightsMin = flightsPerKillMin * (flags.kills + 1);
if (flags.flights < flightsMin) {
  const found = `found --flights ${flags.flights} and --kills ${flags.kills}`;
  program.error(`error: ${found}; so many kills need ${flightsMin} flights`, {
    exitCode: exitCodes.usage,
  });
}
process.exitCode = await demo(flags);

async function demo({ zookeeper, flights: count, kills, stall }: DemoFlags): Promise<ExitCode> {
  const terminal = processTerminal(process.argv.includes("--json"));
  const flights = readFlights(count);
  const bar = new ProgressBar(terminal, { label: "received", total: flights.length * 2 });
  const startedMs = performance.now();
  const say = async (text: string): Promise<void> => {
    if (terminal.json) return;
    bar.clear();
    await terminal.write(`${text}\n`);
  };
  try {
    await say(
      `${formatCount(flights.length)} flights as durable messages to two durable subscribers, through\n` +
        (zookeeper === undefined
          ? "a pair of brokers that a folder settles"
          : "a group of three brokers that ZooKeeper settles") +
        `; kill -9 of the live ${kills === 1 ? "once" : `${kills} times`}`,
    );
    const result = await runDemo({
      flights,
      settling:
        zookeeper === undefined ? { kind: "folder" } : { kind: "zookeeper", servers: zookeeper },
      kills,
      stallMs: stall * 1_000,
      signal: terminal.stop,
      onProgress: ({ sent, received }) =>
        bar.update(received.stats + received.archive, `sent ${formatCount(sent)}`),
      onEvent: (event) => say(eventText(event, performance.now() - startedMs)),
    });
    bar.clear();
    const verdict = isGood(result) ? "Nothing lost, nothing doubled." : "FAILED: see above.";
    if (terminal.json) await writeJson(terminal, result);
    else await say(`${resultText(result)}\n${verdict}`);
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

function positive(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError("expected a number above 0");
}
