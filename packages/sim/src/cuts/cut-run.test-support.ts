import { connect, type Connection, type ConnectOptions } from "@everhold/client";
import { SimDisk } from "../disk/sim-disk.ts";
import { SimNetwork } from "../network/sim-network.ts";
import { BrokerProcess } from "../scenario/broker-process.ts";
import { brokerHost, brokerUrl } from "../scenario/everhold.ts";
import { Machine } from "../world/machine.ts";
import { World } from "../world/world.ts";
import { CuttingNetwork, type CutPoint, type Passing } from "./cutting-network.test-support.ts";

/** What strikes at the frame: the connection breaks, or the broker dies as well and is started again. */
export type CutFault = "cut" | "kill";

/** One run of a script. */
export interface CutOptions {
  /** Where the fault strikes; `undefined`: nowhere. */
  readonly point: CutPoint | undefined;
  readonly fault: CutFault;
  readonly options?: ConnectOptions;
}

/** What a script works with. */
export interface CutStage {
  readonly connection: Connection;
  /** From here on frames count, and the fault may strike. */
  readonly arm: () => void;
  /** From here on they do not. */
  readonly disarm: () => void;
  /** Another client, on a machine of its own. */
  readonly connectAnother: (options?: ConnectOptions) => Promise<Connection>;
  readonly sleep: (delayMs: number) => Promise<void>;
  /** How often the connection broke. */
  readonly breakCount: () => number;
  /** Milliseconds since the world began. */
  readonly nowMs: () => number;
}

/** How a run went. */
export interface CutResult {
  /** What passed from the moment the fault was armed. */
  readonly passed: readonly Passing[];
  /** Whether the fault struck. */
  readonly hasStruck: boolean;
}

/** Virtual ms that a script may take. */
const scriptMsMax = 300_000;

/**
 * Runs a script of one client on a real broker in a world of its own, and lets a fault strike at one frame.
 * @throws Error what the script threw, or what went wrong beside it
 */
export async function runCut(
  { point, fault, options = {} }: CutOptions,
  script: (stage: CutStage) => Promise<void>,
): Promise<CutResult> {
  const world = new World({ seed: 1 });
  const network = new SimNetwork(world);
  const newMachine = (name: string, disk: SimDisk): Machine =>
    new Machine({ world, network, name, disk });
  const disk = newDisk(world, brokerHost);
  const cutting = new CuttingNetwork();
  const broker = new BrokerProcess({
    world,
    machine: newMachine(brokerHost, disk),
    disk,
    mutate: (ports) => ({ ...ports, network: cutting.around(ports.network) }),
    onFrame: () => undefined,
    setup: {
      journal: { segmentBytes: 128 * 1024, snapshotBytes: 128 * 1024, tailCacheBytes: 64 * 1024 },
      maxSizeBytes: -1,
      addressFullPolicy: "block",
      maxDeliveryAttempts: -1,
    },
  });
  cutting.onStrike = () => {
    // Not within a step of the broker.
    if (fault === "kill") world.after(0, "cuts", "kill", () => broker.crash({ power: false }));
  };
  broker.start();
  await world.run({ condition: () => broker.broker !== undefined });
  let machineCount = 0;
  const connectAnother = (more: ConnectOptions = {}): Promise<Connection> => {
    machineCount += 1;
    const name = `client${machineCount}`;
    const ports = newMachine(name, newDisk(world, name)).start();
    // The broker may have died just now.
    const reconnect = { initialAttempts: 100 };
    return connect(ports, brokerUrl, { reconnect, ...options, ...more });
  };
  const sleep = (delayMs: number): Promise<void> =>
    new Promise((resolve) => void world.after(delayMs, "script", "wakes", resolve));
  let breakCount = 0;
  let isOver = false;
  let problem: unknown;
  const play = async (): Promise<void> => {
    const connection = await connectAnother();
    connection.on("disconnect", () => (breakCount += 1));
    await script({
      connection,
      arm: () => cutting.arm(point),
      disarm: () => cutting.disarm(),
      connectAnother,
      sleep,
      breakCount: () => breakCount,
      nowMs: () => world.nowMs,
    });
  };
  play().then(
    () => (isOver = true),
    (error: unknown) => {
      problem = error;
      isOver = true;
    },
  );
  await world.run({ condition: () => isOver, timeMs: scriptMsMax });
  for (const failure of world.failures) throw failure.error;
  if (problem !== undefined) throw problem;
  if (!isOver) throw new Error("the script has not ended");
  return { passed: cutting.passed, hasStruck: point !== undefined && !cutting.isArmed };
}

/** Every place at which a fault may strike in what passed. */
export function* cutPoints(passed: readonly Passing[]): IterableIterator<CutPoint> {
  for (const from of ["client", "broker"] as const) {
    const count = passed.filter((passing) => passing.from === from).length;
    for (let index = 0; index < count; index += 1) {
      yield { from, index, when: "before" };
      yield { from, index, when: "after" };
    }
  }
}

function newDisk(world: World, name: string): SimDisk {
  const scheduler = {
    after: (delayMs: number, task: () => void): unknown =>
      world.after(delayMs, `${name} disk`, "done", task),
  };
  return new SimDisk({ seed: world.randomFor(`${name} disk`).uint32(), scheduler });
}
