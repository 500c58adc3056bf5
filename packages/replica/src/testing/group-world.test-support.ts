import type { EverholdError } from "@everhold/base";
import { featureLevel, newGroupState, type StopReason } from "@everhold/group";
import { TestWorld } from "@everhold/test-world";
import type { LinksListener } from "../links.ts";
import { MemberDriver } from "../driver/member-driver.ts";
import { groupTiming, type GroupTiming } from "../driver/timing.ts";
import { MemoryCoordinator, MemoryNode } from "./memory-coordinator.test-support.ts";
import { MemoryDisk, MemoryJournal, type Entry } from "./memory-journal.test-support.ts";
import { MemoryLinks, MemoryWires } from "./memory-links.test-support.ts";

const groupId = "the-group";

/** A process of a member, from its start until it ends. */
class Process {
  readonly links: MemoryLinks;
  readonly coordinator: MemoryCoordinator;
  journal: MemoryJournal;
  driver: MemberDriver;
  isServing = false;
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
    const { world } = machine;
    const later = machine.later;
    this.links = new MemoryLinks(world.wires, machine.id);
    this.coordinator = new MemoryCoordinator(world.node, later);
    const { journal, driver } = this.#begin();
    this.journal = journal;
    this.driver = driver;
    driver.start();
  }

  /** Opens the journal and begins; done anew after each reign. */
  #begin(): { journal: MemoryJournal; driver: MemberDriver } {
    const { world, disk, id, incarnation } = this.#machine;
    const journal = new MemoryJournal(disk, this.#machine.later);
    const driver: MemberDriver = new MemberDriver({
      ports: world.ports(this.#machine),
      start: {
        self: { id, incarnation },
        groupId,
        features: featureLevel,
        fencedEpoch: disk.promisedEpoch,
        commitPosition: disk.commitPosition,
      },
      journal,
      disk,
      links: this.links,
      coordinator: this.coordinator,
      timing: world.timing,
      host: {
        onPromoted: () => undefined,
        onServe: () => {
          this.isServing = true;
        },
        onKnown: () => undefined,
        onAuthority: () => undefined,
        onSteppedDown: () => {
          this.isServing = false;
          journal.close();
          world.time.later(() => {
            if (this.#machine.process === this) this.#again();
          });
        },
        onStopped: (reason) => {
          this.isServing = false;
          world.stopped.push({ id, reason });
        },
        onHung: (error) => {
          this.isServing = false;
          world.hung.push({ id, error });
          world.time.later(() => this.#machine.kill());
        },
      },
    });
    this.links.listener = this.#machine.heard(driver);
    this.coordinator.listener = driver;
    journal.listener = driver;
    return { journal, driver };
  }

  #again(): void {
    ({ journal: this.journal, driver: this.driver } = this.#begin());
    this.driver.start();
  }

  kill(): void {
    this.driver.close();
    this.journal.close();
    this.links.leave();
    this.coordinator.leave();
  }
}

/** A machine with a disk, and the process that runs on it. */
export class Machine {
  readonly world: GroupWorld;
  readonly id: string;
  disk = new MemoryDisk();
  incarnation: string;
  process: Process | undefined;
  #isPaused = false;
  /** Timers that have ended while it was stopped. */
  readonly #due: (() => void)[] = [];
  /** What else has come while it was stopped. */
  readonly #come: (() => void)[] = [];

  constructor(world: GroupWorld, id: string) {
    this.world = world;
    this.id = id;
    this.incarnation = `${id}1`;
  }

  get isServing(): boolean {
    return this.process?.isServing === true;
  }

  start(): void {
    this.process ??= new Process(this);
  }

  /** The process is gone; with `losing`, so is what was not synced. */
  kill(losing = false): void {
    this.process?.kill();
    this.process = undefined;
    this.#isPaused = false;
    this.#due.length = 0;
    this.#come.length = 0;
    this.disk.forget();
    if (losing) this.disk.crash();
  }

  /** Its disk answers nothing until `disk.wake()`. */
  hang(): void {
    this.disk.hang(() => this.world.time.nowMs);
  }

  /** The process is stopped where it is: time goes on, and nothing happens in it. */
  pause(): void {
    this.#isPaused = true;
  }

  /** It goes on: with the timers that are due first, as Node does, and then with what has come. */
  resume(): void {
    this.#isPaused = false;
    for (const step of [...this.#due.splice(0), ...this.#come.splice(0)])
      this.world.time.later(step);
  }

  /** Has something happen in the process, in a moment. */
  readonly later = (step: () => void): void => {
    this.world.time.later(() => this.#run(this.#come, step));
  };

  /** Has a timer of the process end. */
  end(task: () => void): void {
    this.#run(this.#due, task);
  }

  /** Hears of links as far as the process runs. */
  heard(listener: LinksListener): LinksListener {
    const run = (step: () => void): void => this.#run(this.#come, step);
    return {
      onConnected: (...told) => run(() => listener.onConnected(...told)),
      onFrame: (...told) => run(() => listener.onFrame(...told)),
      onDrained: (link) => run(() => listener.onDrained(link)),
      onDisconnected: (link) => run(() => listener.onDisconnected(link)),
      onUnreachable: (...told) => run(() => listener.onUnreachable(...told)),
    };
  }

  #run(waiting: (() => void)[], step: () => void): void {
    if (this.#isPaused) waiting.push(step);
    else step();
  }

  /** A new disk. */
  wipe(): void {
    this.kill();
    this.disk = new MemoryDisk();
    this.incarnation = `${this.incarnation}x`;
  }
}

/** A group whose members run on everything real but the disk, the wires and ZooKeeper. */
export class GroupWorld {
  readonly time: TestWorld;
  readonly node = new MemoryNode();
  readonly wires: MemoryWires;
  readonly machines: readonly Machine[];
  readonly timing: GroupTiming;
  readonly stopped: { readonly id: string; readonly reason: StopReason }[] = [];
  readonly hung: { readonly id: string; readonly error: EverholdError }[] = [];
  readonly story: string[] = [];
  /** What was committed by anybody, in order: nobody may ever see something else in its place. */
  readonly committed: Entry[] = [];

  constructor(ids: readonly string[], minInSync: number, timing: Partial<GroupTiming> = {}) {
    this.time = new TestWorld();
    this.timing = groupTiming(timing);
    this.wires = new MemoryWires(
      (step) => this.time.later(step),
      (delayMs, step) => void this.time.ports.timers.after(delayMs, step),
    );
    this.machines = ids.map((id) => new Machine(this, id));
    const [first] = this.machines;
    if (first === undefined) throw new Error("a group has members");
    this.node.created = 1;
    const state = newGroupState(
      groupId,
      { id: first.id, incarnation: first.incarnation },
      minInSync,
    );
    this.node.known = { created: "1", version: 0, state };
  }

  ports(machine: Machine): TestWorld["ports"] {
    const { id } = machine;
    const { timers } = this.time.ports;
    const after: typeof timers.after = (delayMs, task) =>
      timers.after(delayMs, () => machine.end(task));
    const tell = (message: string, fields: object = {}): void => {
      this.story.push(`${Math.round(this.time.nowMs)} ${id}: ${message} ${JSON.stringify(fields)}`);
    };
    const log = { debug: tell, info: tell, warn: tell, error: tell };
    return { ...this.time.ports, timers: { ...timers, after }, log };
  }

  machine(id: string): Machine {
    const machine = this.machines.find((one) => one.id === id);
    if (machine === undefined) throw new Error(`there is no ${id}`);
    return machine;
  }

  /** Who serves clients. */
  get serving(): readonly Machine[] {
    return this.machines.filter(({ isServing }) => isServing);
  }

  get inSync(): string {
    const ids = this.node.known?.state.inSync.map(({ id }) => id) ?? [];
    return ids.toSorted().join(" ");
  }

  /** Lets time pass, and looks at what everybody has committed. @throws Error where two differ */
  async pass(durationMs: number): Promise<void> {
    await this.time.advance(durationMs);
    for (const { id, process } of this.machines) {
      for (const [index, entry] of (process?.journal.committed ?? []).entries()) {
        const known = this.committed[index];
        if (known === undefined) this.committed.push(entry);
        else if (JSON.stringify(known) !== JSON.stringify(entry)) {
          throw new Error(`${id} committed ${JSON.stringify(entry)} as number ${index}`);
        }
      }
    }
    const holders = this.machines.filter(({ process }) => process?.driver.mayDispatch === true);
    if (holders.length > 1) throw new Error("two hand out at once");
  }
}
