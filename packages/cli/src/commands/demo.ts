import { InvalidArgumentError, type Command } from "commander";

import { countArgument, type CommandContext } from "../command-context.ts";
import { areFlightsReal, flightCountMax, readFlights } from "../demo/flights.ts";
import { flightsPerKillMin, killsMax, runDemo } from "../demo/run-demo.ts";
import { eventText, isGood, resultText } from "../demo/story.ts";
import { exitCodes } from "../exit-codes.ts";
import { formatCount, ProgressBar } from "../terminal/progress-bar.ts";
import { writeJson, type Terminal } from "../terminal/terminal.ts";
import { UsageError } from "../usage-error.ts";

interface DemoFlags {
  readonly zookeeper?: string;
  readonly flights: number;
  readonly kills: number;
  readonly stall: number;
}

const stallSeconds = 30;

/** `everhold demo failover`: messages through a group whose live is killed again and again. */
export function addDemoCommand(program: Command, { terminal }: CommandContext): void {
  const demo = program.command("demo").description("see what Everhold does");
  demo
    .command("failover")
    .description(
      "sends flights as durable messages over a topic to two durable subscribers, through a group of " +
        "brokers on this machine whose live is ended with kill -9 while they flow, and compares what came " +
        "with what was sent, and the members' journals with each other",
    )
    .option(
      "--zookeeper <servers>",
      "host:port,… of a ZooKeeper that settles who leads a group of three; a node below /everhold/groups stays in it. " +
        "Default: a folder settles who leads a pair",
    )
    .option("--flights <n>", "how many flights", countArgument(1, flightCountMax), flightCountMax)
    .option("--kills <n>", "how often the live is killed", countArgument(0, killsMax), 5)
    .option("--stall <seconds>", "give up after so long without progress", positive, stallSeconds)
    .action(async (flags: DemoFlags) => {
      const flightsMin = flightsPerKillMin * (flags.kills + 1);
      if (flags.flights < flightsMin) {
        const found = `found --flights ${flags.flights} and --kills ${flags.kills}`;
        throw new UsageError(`${found}; so many kills need ${flightsMin} flights`);
      }
      if (!(await failOver(terminal, flags))) process.exitCode = exitCodes.failure;
    });
}

/** @returns whether every promise was kept */
async function failOver(terminal: Terminal, flags: DemoFlags): Promise<boolean> {
  const { zookeeper, kills, stall } = flags;
  const flights = readFlights(flags.flights);
  const bar = new ProgressBar(terminal, { label: "received", total: flights.length * 2 });
  const startedMs = performance.now();
  const say = async (text: string): Promise<void> => {
    if (terminal.json) return;
    bar.clear();
    await terminal.write(`${text}\n`);
  };
  try {
    await say(
      `${formatCount(flights.length)} ${areFlightsReal() ? "real" : "made-up"} flights as durable messages to two ` +
        "durable subscribers,\n" +
        (zookeeper === undefined
          ? "through a pair of brokers that a folder settles"
          : "through a group of three brokers that ZooKeeper settles") +
        `;\nkill -9 of the live ${kills === 1 ? "once" : `${kills} times`}`,
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
    const verdict = isGood(result) ? "Nothing lost, nothing doubled." : "FAILED: see above.";
    if (terminal.json) await writeJson(terminal, result);
    else await say(`${resultText(result)}\n${verdict}`);
    return isGood(result);
  } finally {
    bar.clear();
  }
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError("expected a number above 0");
}
