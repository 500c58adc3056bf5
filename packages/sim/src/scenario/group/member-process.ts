import { EverholdError, type Prng } from "@everhold/base";
import type { BrokerOptions } from "@everhold/broker";
import { ZooKeeperCoordinator } from "@everhold/coordinator";
import type { Network, Ports } from "@everhold/env";
import type { Coordinator, CoordinatorListener } from "@everhold/group";
import { GroupBroker, type GroupOptions } from "@everhold/member";
import { connect, type ZooKeeper } from "@everhold/zookeeper-core";
import type { SimDisk } from "../../disk/sim-disk.ts";
import { tellingNetwork } from "../../network/telling-network.ts";
import type { Machine } from "../../world/machine.ts";
import type { World } from "../../world/world.ts";
import {
  type GroupMistake,
  mistakenCoordinator,
  mistakenPorts,
  type Mistaken,
} from "./group-mistakes.ts";

/** How a {@link MemberProcess} is made. */
export interface MemberProcessOptions {
  readonly world: World;
  readonly machine: Machine;
  readonly disk: SimDisk;
  /** What it gets instead of its network: one that is watched. */
  readonly networkOf: (network: Network) => Network;
  /** Which it makes. */
  readonly mistake: GroupMistake | undefined;
  readonly config: BrokerOptions;
  readonly group: GroupOptions;
  readonly groupName: string;
  /** Of the group's members. */
  readonly isLast: boolean;
  /** As a connection string of ZooKeeper names them. */
  readonly servers: string;
  readonly sessionTimeoutMs: number;
  /** Is told of each operation's start and end on its disk, and of whatever it sends. */
  readonly onStep?: ((step: string) => void) | undefined;
}

/** The machine of a group's member: starts it, and starts it again after a crash. */
export class MemberProcess {
  readonly disk: SimDisk;
  readonly machine: Machine;
  readonly #options: MemberProcessOptions;
  readonly #prng: Prng;
  #broker: GroupBroker | undefined;
  #crashAtWrite: { readonly power: boolean } | undefined;
  #isStopping = false;
  /** That of the disk that it has lost, until it is started on the next one. */
  #lostIncarnation: string | undefined;

  constructor(options: MemberProcessOptions) {
    this.#options = options;
    this.disk = options.disk;
    this.machine = options.machine;
    this.#prng = options.world.randomFor(`process ${options.machine.name}`);
    options.disk.observe(({ operation, phase, name }) => {
      if (operation === "write" && phase === "started") this.#onWriteStarted();
      options.onStep?.(`${operation} ${name} ${phase}`);
    });
  }

  get name(): string {
    return this.machine.name;
  }

  /** The member, while its process runs and it has started. */
  get broker(): GroupBroker | undefined {
    return this.#broker;
  }

  start(): void {
    const { world, machine, networkOf, onStep } = this.#options;
    if (machine.running) return;
    this.#isStopping = false;
    const ports = machine.start();
    const network = networkOf(ports.network);
    const watched = {
      ...ports,
      network: onStep === undefined ? network : tellingNetwork(network, onStep),
    };
    const mistaken = this.#mistaken();
    this.#start(mistakenPorts(watched, mistaken), mistaken).catch((error: unknown) => {
      // A disk that fails while a member starts, or then hangs, ends that start; any other error is one of ours.
      const isOfDisk = (["EVH_IO", "EVH_DISK_HUNG"] as const).some((code) =>
        EverholdError.is(error, code),
      );
      if (isOfDisk) this.crash({ power: false });
      else world.fail(machine.name, error);
    });
  }

  /** Ends it without a word and starts it again after a while; false when it was not running. */
  crash(options: { readonly power: boolean; readonly awayMs?: number }): boolean {
    const { world, machine } = this.#options;
    if (!machine.running) return false;
    this.#broker = undefined;
    this.#crashAtWrite = undefined;
    machine.crash(options);
    const awayMs = options.awayMs ?? this.#prng.fraction() * 3000;
    world.after(awayMs, machine.name, "boots", () => this.start());
    return true;
  }

  /** Its machine is replaced by one of the same name with an empty disk; false when it was not running. */
  loseDisk(): boolean {
    const incarnation = this.#broker?.member?.self.incarnation;
    if (!this.crash({ power: true })) return false;
    this.#lostIncarnation = incarnation;
    for (const name of this.disk.names()) this.disk.drop(name);
    return true;
  }

  /** As {@link crash}, but while the disk writes, or just after. */
  crashWhileWriting(options: { readonly power: boolean }): boolean {
    if (this.#broker === undefined) return false;
    this.#crashAtWrite = options;
    return true;
  }

  /** A crash that still waits for a write does not come any more. */
  disarm(): void {
    this.#crashAtWrite = undefined;
  }

  /** Stops it in order: a live gives way first. */
  async stop(): Promise<void> {
    const { machine } = this.#options;
    const { bootCount } = machine;
    this.#isStopping = true;
    try {
      await this.#broker?.close();
    } catch (error) {
      if (!EverholdError.is(error, "EVH_DISK_HUNG")) throw error;
      // Its disk is not waited for.
      if (machine.bootCount === bootCount) this.crash({ power: false });
      return;
    }
    if (!machine.running || machine.bootCount !== bootCount) return;
    this.#broker = undefined;
    machine.stop();
  }

  /** Stops it in order and starts it again; false when it was not running. */
  restart(): boolean {
    const { world, machine } = this.#options;
    if (this.#broker === undefined || this.#isStopping) return false;
    const restart = async (): Promise<void> => {
      await this.stop();
      this.start();
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

  #mistaken(): Mistaken {
    const { mistake, isLast } = this.#options;
    const lostIncarnation = this.#lostIncarnation;
    this.#lostIncarnation = undefined;
    const now = (): ReturnType<Mistaken["now"]> => {
      const { member, log } = this.#broker ?? {};
      return member === undefined || log === undefined ? undefined : { member, log };
    };
    return { mistake, isLast, lostIncarnation, now };
  }

  async #start(ports: Ports, mistaken: Mistaken): Promise<void> {
    const { world, machine, config, group } = this.#options;
    const { bootCount } = machine;
    const broker = await GroupBroker.start({
      ports,
      config,
      group,
      openCoordinator: (listener) => this.#openCoordinator(ports, mistaken, listener),
      onFailed: (error) => {
        world.note(machine.name, "member failed", error.message);
        this.crash({ power: false });
      },
    });
    if (machine.running && machine.bootCount === bootCount) this.#broker = broker;
  }

  async #openCoordinator(
    ports: Ports,
    mistaken: Mistaken,
    listener: CoordinatorListener,
  ): Promise<Coordinator> {
    const { servers, sessionTimeoutMs, groupName } = this.#options;
    const client = await this.#connect(ports, servers, sessionTimeoutMs);
    const coordinator = mistakenCoordinator(
      new ZooKeeperCoordinator({ ports, client, groupId: groupName, listener }),
      mistaken,
    );
    return {
      read: () => coordinator.read(),
      create: (state) => coordinator.create(state),
      request: (kind, next) => coordinator.request(kind, next),
      register: (address) => coordinator.register(address),
      async close() {
        await coordinator.close();
        await client.close();
      },
    };
  }

  async #connect(ports: Ports, servers: string, sessionTimeout: number): Promise<ZooKeeper> {
    for (;;) {
      try {
        return await connect(ports, servers, { sessionTimeout });
      } catch (error) {
        if (!EverholdError.is(error, "EVH_NOT_CONNECTED")) throw error;
      }
    }
  }
}
