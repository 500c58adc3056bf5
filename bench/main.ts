import { parseArgs } from "node:util";

import { measureBesideArtemis } from "./beside-artemis.ts";
import { measureBesideArtemisPair } from "./beside-artemis-pair.ts";
import { measureBesideRhea } from "./beside-rhea.ts";
import { measureGroups } from "./group.ts";
import { measureGroupFailover } from "./group-failover.ts";
import { loads, measureLoad } from "./load.ts";
import { measureSessionPrice } from "./session-price.ts";
import { measureSelectors } from "./selectors.ts";
import { measureBesideZooKeeperClients } from "./zookeeper/beside-zookeeper-clients.ts";
import type { BesideOptions } from "./with-contenders.ts";

const help = `npm run bench -- send|consume|latency [options]    our broker beside its disk
npm run bench -- artemis [options]                 our broker beside Artemis
npm run bench -- rhea [options]                    our client beside rhea
npm run bench -- zookeeper [options]               our ZooKeeper client beside node-zookeeper-client and Curator
npm run bench -- selectors [options]               a send to 1 and to 1,000 filtered subscriptions
npm run bench -- group [options]                   groups with 0, 1 and 2 backups beside a broker of its own
npm run bench -- group-failover [options]          from kill -9 of the live to the next one's first answer
npm run bench -- session-price [options]           Java's transactions, beside what they would cost if they outlived a live
npm run bench -- artemis-pair [options]            a group of two beside a live and backup pair of Artemis

  --size BYTES        of a message's body; default 1024
  --seconds S         how long to measure, after a warm-up; default 5
  --profile FOLDER    write a CPU profile of our broker, or our ZooKeeper client, there
  --json              one JSON object a line

of send, consume and latency:
  --producers N       connections that send; default 1
  --in-flight N       sends or acknowledgements without an answer; default 256 (latency: 1)
  --durable           on disk before the answer; the default
  --non-durable       in memory only
  --generator NAME    client, raw (frames encoded once, send only), or both; default both for send

of group, and of artemis, artemis-pair, rhea, session-price and zookeeper, which need Java 17 and Maven:
  --rounds N          measurements of each, in turn; default 3
  --warm-up S         before each measurement; default 3 (group: a fifth of the seconds)
  --only TEXT         only scenarios whose names hold this

of group-failover:
  --times N           kills; default 50
  --backlog N,N       messages that wait meanwhile, each on a group of its own; default 0
  --beside-artemis    a pair of Artemis is killed as often; needs Java 17

The baseline of a load is a program that does nothing but append the same bytes to a file, with all that
is in flight in one write, on stable storage when durable; the ratio compares with it in the same run.
`;

const comparisons: ReadonlyMap<string, (options: BesideOptions) => Promise<void>> = new Map([
  ["artemis", measureBesideArtemis],
  ["artemis-pair", measureBesideArtemisPair],
  ["group", measureGroups],
  ["rhea", measureBesideRhea],
  ["session-price", measureSessionPrice],
  ["zookeeper", measureBesideZooKeeperClients],
]);

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArguments();
  const [name] = positionals;
  const size = number(values.size, 1_024);
  const seconds = number(values.seconds, 5);
  const json = values.json === true;
  const profileFolder = values.profile;
  const beside = comparisons.get(name ?? "");
  const workload = loads.find((load) => load === name);
  if (values.help === true || name === undefined) {
    process.stdout.write(help);
    process.exitCode = values.help === true ? 0 : 2;
  } else if (workload !== undefined) {
    const producers = number(values.producers, 1);
    const inFlight = workload === "latency" ? 1 : number(values["in-flight"], 256);
    const durable = values["non-durable"] !== true;
    const generators = generatorsFor(workload, values.generator);
    await measureLoad(
      { workload, generators, size, producers, inFlight, durable, seconds, profileFolder },
      json,
    );
  } else if (name === "selectors") {
    await measureSelectors(seconds, json);
  } else if (name === "group-failover") {
    const backlogs = (values.backlog ?? "0").split(",").map(countOf);
    const times = number(values.times, 50);
    const besideArtemis = values["beside-artemis"] === true;
    await measureGroupFailover({ times, backlogs, besideArtemis, json });
  } else if (beside !== undefined) {
    const rounds = number(values.rounds, 3);
    const warmUpSeconds = number(values["warm-up"], 3);
    const only = values.only ?? "";
    const options = { rounds, seconds, warmUpSeconds, size, only, json, profileFolder };
    await beside(options);
  } else {
    process.stderr.write(`bench: there is no "${name}"\n\n${help}`);
    process.exitCode = 2;
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
        rounds: { type: "string" },
        "warm-up": { type: "string" },
        only: { type: "string" },
        times: { type: "string" },
        backlog: { type: "string" },
        "beside-artemis": { type: "boolean" },
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

function generatorsFor(
  workload: (typeof loads)[number],
  asked: string | undefined,
): readonly ("client" | "raw")[] {
  if (workload !== "send") return ["client"];
  if (asked === "client" || asked === "raw") return [asked];
  return ["raw", "client"];
}

function number(text: string | undefined, byDefault: number): number {
  const value = Number(text ?? byDefault);
  if (value > 0) return value;
  process.stderr.write(`bench: expected a number above 0, found ${text ?? ""}\n`);
  return process.exit(2);
}

function countOf(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= 0) return value;
  process.stderr.write(`bench: expected a whole number from 0 on, found "${text}"\n`);
  return process.exit(2);
}
