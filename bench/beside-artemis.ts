import { compare, type Contestant, type Figures } from "./comparison.ts";
import type { Contender } from "./contender.ts";
import { nextQueue, storeMessages } from "./generator.ts";
import { runPerf, type PerfRun } from "./perf-tool.ts";
import { printComparison } from "./print-comparison.ts";
import { processCpuMs } from "./process-cpu.ts";
import { withContenders, type BesideOptions } from "./with-contenders.ts";

interface Scenario {
  readonly name: string;
  readonly sync: boolean;
  readonly durable: boolean;
  readonly producers: number;
  /** Sends without an answer, of each producer. */
  readonly inFlight: number;
  /** Messages a second over all producers; default as many as it can. */
  readonly rate?: number;
  /** Messages that are there already, and only consumed; 0 to send and to consume them. */
  readonly storedCount: number;
}

const storedCount = 250_000;

const scenarios: readonly Scenario[] = [
  ...[true, false].flatMap((durable) => [
    perfClient(durable, 1, 1),
    perfClient(durable, 1, 100),
    perfClient(durable, 10, 1),
    perfClient(durable, 10, 100),
  ]),
  { ...perfClient(true, 10, 100), name: "durable, 2,000 a second from 10 producers", rate: 2_000 },
  { ...perfClient(true, 1, 100), name: "durable, consumption of what is stored", storedCount },
  ...[1, 10].map((producers) => {
    const scenario = perfClient(true, producers, 100);
    return { ...scenario, sync: false, name: `${scenario.name}, neither broker syncs` };
  }),
];

function perfClient(durable: boolean, producers: number, inFlight: number): Scenario {
  const kind = durable ? "durable" : "non-durable";
  const senders = producers === 1 ? "1 producer" : `${producers} producers`;
  const name = `${kind}, ${senders} with ${inFlight} in flight`;
  return { name, sync: true, durable, producers, inFlight, storedCount: 0 };
}

/**
 * Loads Artemis and our broker in turn with the same unmodified `artemis perf client`, and prints medians
 * and ratios. Each broker is one process for all scenarios of a durability setting.
 */
export async function measureBesideArtemis(options: BesideOptions): Promise<void> {
  const chosen = scenarios.filter(({ name }) => name.includes(options.only));
  for (const sync of [true, false]) {
    const ofSync = chosen.filter((scenario) => scenario.sync === sync);
    if (ofSync.length === 0) continue;
    await withContenders({ ...options, sync }, async (artemis, everhold) => {
      for (const scenario of ofSync) {
        const contestants = [artemis, everhold].map((broker): Contestant => ({
          name: broker.name,
          measure: () => measure(broker, scenario, options),
        }));
        const comparison = await compare(scenario.name, options.rounds, contestants);
        printComparison(comparison, options.json);
      }
    });
  }
}

async function measure(
  broker: Contender,
  scenario: Scenario,
  { size, seconds, warmUpSeconds }: BesideOptions,
): Promise<Figures> {
  const { durable, producers, inFlight, rate } = scenario;
  const run: PerfRun = {
    command: "client",
    url: broker.url,
    queue: nextQueue(),
    ...{ durable, producers, inFlight, size, warmUpSeconds, seconds },
    ...(rate !== undefined && { rate }),
  };
  if (scenario.storedCount > 0) {
    const { url, queue } = run;
    await storeMessages({ url, queue, size, durable, storedCount: scenario.storedCount });
  }
  const cpuBeforeMs = processCpuMs(broker.pid);
  const report = await runPerf(
    scenario.storedCount === 0
      ? run
      : { ...run, command: "consumer", messageCount: scenario.storedCount, warmUpSeconds: 1 },
  );
  const cpuAfterMs = processCpuMs(broker.pid);
  return {
    perSecond: report.perSecond,
    ...(report.send !== undefined && { sendP50: report.send.p50, sendP99: report.send.p99 }),
    ...(report.transfer !== undefined && {
      transferP50: report.transfer.p50,
      transferP99: report.transfer.p99,
    }),
    ...(cpuBeforeMs !== undefined &&
      cpuAfterMs !== undefined && {
        brokerCpu: ((cpuAfterMs - cpuBeforeMs) * 1_000) / report.count,
      }),
  };
}
