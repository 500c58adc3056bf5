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

const signals = ["SIGINT", "SIGTERM"] as const;

/** Starts Artemis and our broker, says what each does for durability, warms both up, and stops them behind `work`. */
export async function withContenders(
  options: BesideOptions & { readonly sync: boolean },
  work: (artemis: Contender, everhold: Contender) => Promise<void>,
): Promise<void> {
  const starting = [startArtemis(options), startEverhold(options)] as const;
  const stopAll = async (): Promise<void> => {
    const started = await Promise.allSettled(starting);
    for (const one of started) if (one.status === "fulfilled") await one.value.stop();
  };
  // Artemis is a process group of its own, which Ctrl-C does not reach.
  const onSignal = (): void => {
    stopAll().then(
      () => process.exit(130),
      () => process.exit(1),
    );
  };
  for (const signal of signals) process.once(signal, onSignal);
  try {
    const started = await Promise.all(starting);
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
    await work(...started);
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    await stopAll();
  }
}
