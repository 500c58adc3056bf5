import { connect } from "everhold";

import { compare, type Contestant, type Figures } from "./comparison.ts";
import type { Contender } from "./contender.ts";
import { generate, nextQueue, storeMessages } from "./generator.ts";
import { runPerf } from "./perf-tool.ts";
import { printComparison } from "./print-comparison.ts";
import type { Task } from "./task.ts";
import { withContenders, type BesideOptions } from "./with-contenders.ts";

interface Scenario {
  readonly name: string;
  readonly workload: "send" | "consume";
  /** Sends, or acknowledgements, without an answer. */
  readonly inFlight: number;
  readonly storedCount: number;
}

const scenarios: readonly Scenario[] = [
  { name: "durable sends, 1 in flight", workload: "send", inFlight: 1, storedCount: 0 },
  { name: "durable sends, 100 in flight", workload: "send", inFlight: 100, storedCount: 0 },
  {
    name: "consumption of durable messages, each acknowledged",
    workload: "consume",
    inFlight: 100,
    storedCount: 100_000,
  },
];

/**
 * Our client and rhea, an AMQP 1.0 client, in turn on the same Artemis; beside them our client on our broker
 * and Artemis' Java client on both.
 */
export async function measureBesideRhea(options: BesideOptions): Promise<void> {
  const chosen = scenarios.filter(({ name }) => name.includes(options.only));
  if (chosen.length === 0) return;
  await withContenders({ ...options, sync: true }, async (artemis, everhold) => {
    for (const scenario of chosen) {
      const contestants: readonly Contestant[] = [
        node("rhea", artemis, scenario, options),
        node("client", artemis, scenario, options),
        node("client", everhold, scenario, options),
        java(artemis, scenario, options),
        java(everhold, scenario, options),
      ];
      printComparison(await compare(scenario.name, options.rounds, contestants), options.json);
    }
  });
}

/** A client that runs on Node. */
function node(
  generator: "rhea" | "client",
  broker: Contender,
  { workload, inFlight, storedCount }: Scenario,
  { size, seconds }: BesideOptions,
): Contestant {
  const client = generator === "rhea" ? "rhea" : "our client";
  const measure = async (): Promise<Figures> => {
    const task: Task = {
      ...{ url: broker.url, queue: nextQueue(), durable: true, producers: 1 },
      ...{ workload, inFlight, storedCount, size, seconds },
    };
    if (storedCount > 0) await storeMessages(task);
    const { perSecond, p50, p99, cpu } = await generate(generator, task);
    await deleteQueue(task);
    // rhea is not told when the broker has an acknowledgement safe, so that there is no latency to compare.
    const latency = workload === "send" ? { sendP50: p50, sendP99: p99 } : {};
    return { perSecond, ...latency, clientCpu: cpu };
  };
  return { name: `${client} on ${broker.name}`, measure };
}

/** Artemis' own client, as `artemis perf` uses it. */
function java(
  broker: Contender,
  { workload, inFlight, storedCount }: Scenario,
  { size, seconds, warmUpSeconds }: BesideOptions,
): Contestant {
  const measure = async (): Promise<Figures> => {
    const task = { url: broker.url, queue: nextQueue(), durable: true, size };
    const run = { ...task, producers: 1, inFlight, seconds };
    if (storedCount > 0) await storeMessages({ ...task, storedCount });
    const { perSecond, send } = await runPerf(
      workload === "send"
        ? { ...run, command: "producer", warmUpSeconds }
        : { ...run, command: "consumer", warmUpSeconds: 1, messageCount: storedCount },
    );
    await deleteQueue(task);
    return { perSecond, ...(send !== undefined && { sendP50: send.p50, sendP99: send.p99 }) };
  };
  return { name: `Java on ${broker.name}`, measure };
}

/** What was only sent must not fill the broker for the next round. */
async function deleteQueue({ url, queue }: { url: string; queue: string }): Promise<void> {
  const connection = await connect(url);
  try {
    if ((await connection.queueInfo(queue)) !== undefined) await connection.deleteQueue(queue);
  } finally {
    await connection.close();
  }
}
