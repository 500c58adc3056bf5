import { startArtemis, startEverhold, type Contender } from "./contender.ts";
import { nextQueue } from "./generator.ts";
import { runPerf } from "./perf-tool.ts";

/** How long and how often brokers are measured beside each other. */
export interface BesideOptions {
  readonly rounds: number;
  /** Of one measurement, behind its warm-up. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly size: number;
  /** Only scenarios whose names hold this. */
  readonly only: string;
  readonly json: boolean;
  /** Where our broker writes a CPU profile. */
  readonly profileFolder: string | undefined;
}

/** Time that each broker is loaded before anything counts: Java compiles what is hot meanwhile. */
const brokerWarmUpSeconds = 8;

/** Starts Artemis and our broker, says what each does for durability, warms both up, and stops them behind `work`. */
export async function withContenders(
  options: BesideOptions & { readonly sync: boolean },
  work: (artemis: Contender, everhold: Contender) => Promise<void>,
): Promise<void> {
  const started: Contender[] = [];
  try {
    const artemis = await startArtemis(options);
    started.push(artemis);
    const everhold = await startEverhold(options);
    started.push(everhold);
    const durability = started.map(({ name, durability: text }) => ({ name, durability: text }));
    if (options.json) process.stdout.write(`${JSON.stringify({ durability })}\n`);
    else for (const one of durability) process.stdout.write(`${one.name}: ${one.durability}\n`);
    process.stdout.write(options.json ? "" : "\n");
    for (const { url } of started) {
      await runPerf({
        command: "client",
        ...{ url, queue: nextQueue(), durable: true, producers: 10, inFlight: 100 },
        ...{ size: options.size, warmUpSeconds: 1, seconds: brokerWarmUpSeconds },
      });
    }
    await work(artemis, everhold);
  } finally {
    for (const contender of started) await contender.stop();
  }
}
