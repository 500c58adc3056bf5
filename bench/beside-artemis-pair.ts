import { ArtemisPair } from "#interop/artemis-pair";

import { compare, type Contestant, type Figures } from "./comparison.ts";
import { nextQueue } from "./generator.ts";
import { startGroup } from "./group.ts";
import { runPerf } from "./perf-tool.ts";
import { printComparison } from "./print-comparison.ts";
import type { BesideOptions } from "./with-contenders.ts";

const scenarios = [
  { name: "durable, 1 producer with 1 in flight", producers: 1, inFlight: 1 },
  { name: "durable, 1 producer with 100 in flight", producers: 1, inFlight: 100 },
  { name: "durable, 10 producers with 100 in flight", producers: 10, inFlight: 100 },
] as const;

/** Time that each is loaded before anything counts: Java compiles what is hot meanwhile. */
const warmUpSeconds = 8;

/** An Artemis live and backup pair beside our group of two, each in turn under the same `artemis perf client`. */
export async function measureBesideArtemisPair(options: BesideOptions): Promise<void> {
  const chosen = scenarios.filter(({ name }) => name.includes(options.only));
  // As `artemis create` tunes its journal to this disk.
  await using pair = await ArtemisPair.start({ journal: [], heap: "2G" });
  const group = await startGroup(2);
  try {
    const both = [
      { name: `Artemis ${pair.live.version}, 1 backup`, url: pair.live.url },
      { name: "Everhold, 1 backup", url: group.live?.url ?? "" },
    ];
    for (const { url } of both) {
      await load(url, { producers: 10, inFlight: 100 }, { ...options, seconds: warmUpSeconds });
    }
    for (const { name, ...scenario } of chosen) {
      const contestants = both.map((one): Contestant => ({
        name: one.name,
        measure: () => load(one.url, scenario, options),
      }));
      printComparison(await compare(name, options.rounds, contestants), options.json);
    }
  } finally {
    await group.end();
  }
}

async function load(
  url: string,
  { producers, inFlight }: { readonly producers: number; readonly inFlight: number },
  { size, seconds, warmUpSeconds: perRunSeconds }: BesideOptions,
): Promise<Figures> {
  const { perSecond, send, transfer } = await runPerf({
    command: "client",
    ...{ url, queue: nextQueue(), durable: true, producers, inFlight },
    ...{ size, seconds, warmUpSeconds: perRunSeconds },
  });
  return {
    perSecond,
    ...(send !== undefined && { sendP50: send.p50, sendP99: send.p99 }),
    ...(transfer !== undefined && { transferP50: transfer.p50, transferP99: transfer.p99 }),
  };
}
