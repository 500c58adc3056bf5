import { Broker, type BrokerStartOptions } from "../broker.ts";
import type { BrokerOptions } from "../config.ts";
import { ManualWorld } from "./manual-world.test-support.ts";

/** Journal sizes that keep tests quick. */
const smallJournal = { segmentBytes: 1024 * 1024, prepareAheadBytes: 64 * 1024, freeBytesMin: 0 };

/** Starts a broker in a world of its own, or again in one that has crashed or stopped. */
export async function startBroker(
  options: BrokerOptions = {},
  world: ManualWorld = new ManualWorld(),
  group: Pick<BrokerStartOptions, "authority" | "topology"> = {},
): Promise<{ world: ManualWorld; broker: Broker }> {
  const broker = await runUntil(
    world,
    Broker.start({
      ports: world.ports(),
      config: { journal: smallJournal, ...options },
      ...group,
    }),
  );
  return { world, broker };
}

/** Lets the world go on until a promise has settled. */
export async function runUntil<T>(world: ManualWorld, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const mark = (): void => {
    isSettled = true;
  };
  promise.then(mark, mark);
  for (let round = 0; !isSettled && round < 10_000; round += 1) await world.settle();
  return promise;
}

/** The process dies and starts again on the same disk. */
export async function crashAndRestart(
  world: ManualWorld,
  options: BrokerOptions = {},
): Promise<Broker> {
  world.crash();
  const { broker } = await startBroker(options, world);
  return broker;
}
