import { EverholdError, type Prng } from "@everhold/base";
import type { Broker } from "@everhold/broker";
import type { Logins, Ports } from "@everhold/env";
import type { DiskEvent } from "../disk/disk-machine.ts";
import type { SimDisk } from "../disk/sim-disk.ts";
import { SimNetwork } from "../network/sim-network.ts";
import { watchingNetwork, type PassingFrame } from "../network/watching-network.ts";
import { Machine } from "../world/machine.ts";
import type { World } from "../world/world.ts";
import { startBroker, type BrokerSetup } from "./everhold.ts";

/** How a {@link BrokerProcess} is made. */
export interface BrokerProcessOptions {
  readonly world: World;
  readonly machine: Machine;
  readonly disk: SimDisk;
  /** What it gets instead of the machine's ports, where it is lied to. */
  readonly mutate: (ports: Ports) => Ports;
  readonly setup: BrokerSetup;
  /** Told of each frame that passes its network, just before. */
  readonly onFrame: (frame: PassingFrame) => void;
  /** Who may come in, for one life of the broker. Default: everybody. */
  readonly logins?: ((ports: Ports) => Logins) | undefined;
  /** Told of what its disk does. */
  readonly onDisk?: (event: DiskEvent) => void;
  /** Told when it has ended; `crash` says without a word to anybody. */
  readonly onEnded?: (how: "crash" | "stop") => void;
}

/** The broker's machine: starts it, starts it again after a crash, and looks twice at what a crash left. */
export class BrokerProcess {
  readonly #options: BrokerProcessOptions;
  readonly #prng: Prng;
  #broker: Broker | undefined;
  #crashAtWrite: { readonly power: boolean } | undefined;
  #copyCount = 0;
  #checkCount = 0;
  #openChecks = 0;

  constructor(options: BrokerProcessOptions) {
    this.#options = options;
    this.#prng = options.world.randomFor("broker process");
    options.disk.observe((event) => {
      options.onDisk?.(event);
      if (event.operation === "write" && event.phase === "started") this.#onWriteStarted();
    });
  }

  /** The broker, while it runs and has recovered. */
  get broker(): Broker | undefined {
    return this.#broker;
  }

  /** How often a folder was recovered twice and compared. */
  get checkCount(): number {
    return this.#checkCount;
  }

  /** Whether such comparisons are under way. */
  get checking(): boolean {
    return this.#openChecks > 0;
  }

  start(): void {
    const { world, machine, mutate, onFrame, logins } = this.#options;
    const ports = machine.start();
    const network = watchingNetwork(ports.network, onFrame);
    const checked = logins === undefined ? ports : { ...ports, logins: logins(ports) };
    this.#start(mutate({ ...checked, network })).catch((error: unknown) => {
      // A disk that fails while a broker starts ends that start; any other error is one of ours.
      if (EverholdError.is(error, "EVH_IO")) this.crash({ power: false });
      else world.fail(machine.name, error);
    });
  }

  /** Ends it without a word and starts it again after a while; false when it was not running. */
  crash(options: { readonly power: boolean }): boolean {
    const { world, machine } = this.#options;
    if (!machine.running) return false;
    this.#broker = undefined;
    machine.crash(options);
    this.#options.onEnded?.("crash");
    if (this.#prng.chance(0.3)) this.compareRecoveries();
    world.after(this.#prng.fraction() * 3000, machine.name, "boots", () => this.start());
    return true;
  }

  /**
   * As {@link crash}, but while the disk writes, or just after: a time picked at random seldom meets the
   * moments that matter.
   */
  crashWhileWriting(options: { readonly power: boolean }): boolean {
    if (this.#broker === undefined) return false;
    this.#crashAtWrite = options;
    return true;
  }

  /** A crash that still waits for a write does not come any more. */
  disarm(): void {
    this.#crashAtWrite = undefined;
  }

  /**
   * Recovers two copies of the folder, each on a machine of its own: both must give the same index, and
   * the one that is expected, where one is.
   */
  compareRecoveries(expected?: string): void {
    this.#openChecks += 1;
    this.#copyCount += 1;
    const copies = ["a", "b"].map((which) => this.#recoverCopy(`copy ${this.#copyCount} ${which}`));
    this.#compare(copies, expected).catch((error: unknown) => {
      this.#options.world.fail("recovery", error);
    });
  }

  /** Stops it in order. */
  async stop(): Promise<void> {
    await this.#broker?.stop();
    this.#broker = undefined;
    this.#options.machine.stop();
    this.#options.onEnded?.("stop");
  }

  /** Stops it in order and starts it again; false when it was not running. */
  restart(): boolean {
    const { world, machine } = this.#options;
    if (this.#broker === undefined) return false;
    const { bootCount } = machine;
    const restart = async (): Promise<void> => {
      await this.stop();
      if (machine.bootCount === bootCount) this.start();
    };
    restart().catch((error: unknown) => world.fail(machine.name, error));
    return true;
  }

  #onWriteStarted(): void {
    const options = this.#crashAtWrite;
    if (options === undefined) return;
    this.#crashAtWrite = undefined;
    const { world, machine, disk } = this.#options;
    const delayMs = this.#prng.fraction() * disk.faults.delayMsMax;
    world.after(delayMs, machine.name, "dies while writing", () => void this.crash(options));
  }

  async #compare(copies: readonly Promise<string>[], expected: string | undefined): Promise<void> {
    const found = await Promise.all(copies);
    this.#openChecks -= 1;
    this.#checkCount += 1;
    const wanted = expected ?? found[0];
    if (found.every((fingerprint) => fingerprint === wanted)) return;
    throw new Error(`a folder recovered twice gives ${found.join(" and ")}, expected ${wanted}`);
  }

  async #recoverCopy(name: string): Promise<string> {
    const { world, disk, mutate } = this.#options;
    const after = (delayMs: number, task: () => void): unknown =>
      world.after(delayMs, name, "disk", task);
    const copy = disk.clone(world.randomFor(name).uint32(), { after });
    copy.faults.writeErrorProbability = 0;
    copy.capacityBytes = Number.MAX_SAFE_INTEGER;
    const network = new SimNetwork(world);
    const machine = new Machine({ world, network, name, disk: copy });
    // Yesterday nothing falls due, which would be a record of its own.
    machine.jumpWallClock(-86_400_000);
    const ports = mutate(machine.start());
    const broker = await startBroker(ports, this.#options.setup, (error) =>
      world.fail(name, error),
    );
    const fingerprint = broker.fingerprint();
    machine.stop();
    return fingerprint;
  }

  async #start(ports: Ports): Promise<void> {
    const { world, machine } = this.#options;
    const bootCount = machine.bootCount;
    const broker = await startBroker(ports, this.#options.setup, (error: EverholdError) => {
      world.note(machine.name, "broker failed", error.message);
      this.crash({ power: false });
    });
    if (machine.running && machine.bootCount === bootCount) this.#broker = broker;
  }
}
