import { diskFaults } from "#group/disk-control.js";
import { GroupProcesses, type MemberProcess } from "#group/group-processes.js";
import { until } from "#group/until.js";

import type { Ensemble } from "./ensemble.ts";
import { FreezingProxy, type FrozenDirection } from "./freezing-proxy.ts";
import { isOf, MemberLinks, type MemberLink } from "./member-links.ts";

/** What is held back on a link, where anything is. */
export type Choice = (link: MemberLink) => FrozenDirection | undefined;

/** What becomes of what was held back: it comes late, or never. */
export type Fate = "late" | "lost";

/** How long connections to who has no power any more hear nothing at all, in ms: longer than any test. */
const darkMs = 600_000;

export interface BreakableGroupOptions {
  /** Members in the order in which they are made; the first one founds it. */
  readonly ids: readonly string[];
  readonly minInSync: number;
  /** ZooKeeper's node of the group. */
  readonly node: string;
}

/**
 * A group of processes on a real ZooKeeper in which each pair of parties can be cut, one way and both ways, and each disk
 * is slow, full or failing when it is told to: a proxy in each link of a member to another one and to each server of
 * ZooKeeper, and one before each member, by which clients come.
 */
export class BreakableGroup implements AsyncDisposable {
  readonly processes: GroupProcesses;
  readonly #links: MemberLinks;
  readonly #doors: ReadonlyMap<string, FreezingProxy>;
  /** In which something is not as it should be. */
  readonly #harmed = new Set<FreezingProxy>();

  private constructor(
    processes: GroupProcesses,
    links: MemberLinks,
    doors: ReadonlyMap<string, FreezingProxy>,
  ) {
    this.processes = processes;
    this.#links = links;
    this.#doors = doors;
  }

  /** Makes one; nobody runs yet. */
  static async make(
    ensemble: Ensemble,
    { ids, minInSync, node }: BreakableGroupOptions,
  ): Promise<BreakableGroup> {
    const serverPorts = ensemble.servers.map(({ clientPort }) => clientPort);
    const links = new MemberLinks({ ids, serverPorts });
    const doors = new Map<string, FreezingProxy>();
    const settling = async (id: string, port: number): Promise<object> => ({
      links: { url: `tcp://127.0.0.1:${port}`, announce: await links.announced(id, port) },
      zookeeper: { servers: `${await links.servers(id)}/${node}`, sessionTimeout: "2s" },
    });
    const more = async (index: number, port: number): Promise<object> => {
      const door = await FreezingProxy.start(port);
      doors.set(ids[index] ?? "", door);
      return { connector: `tcp://127.0.0.1:${door.port}` };
    };
    const processes = await GroupProcesses.make(ids, minInSync, settling, undefined, more);
    for (const member of processes.members) member.nodeArguments = ["--import", diskFaults];
    return new BreakableGroup(processes, links, doors);
  }

  /** Starts all, and waits until all are in sync. */
  async startAll(): Promise<void> {
    for (const member of this.processes.members) member.start();
    await this.untilWhole();
  }

  /** It is dead, and its machine says to who calls that nobody listens. */
  async kill(member: MemberProcess): Promise<void> {
    this.#links.refuse(member.id);
    await member.end("SIGKILL");
  }

  /** Starts it again. */
  async restart(member: MemberProcess): Promise<void> {
    member.start();
    await this.#links.accept(member.id);
  }

  /** Where clients reach the members. */
  get urls(): readonly string[] {
    return [...this.#doors.values()].map(({ port }) => `tcp://127.0.0.1:${port}`);
  }

  /** Holds back what is chosen, without a word to anybody. */
  freeze(choice: Choice): void {
    for (const link of this.#links.all) {
      const direction = choice(link);
      if (direction !== undefined) this.#harm(link.proxy).freeze(direction);
    }
  }

  /** Holds back what passes between clients and a member, without a word to anybody. */
  freezeDoor(member: MemberProcess, direction: FrozenDirection): void {
    this.#harm(this.#doorOf(member)).freeze(direction);
  }

  /** Breaks what is chosen; later connections live. */
  cut(choice: (link: MemberLink) => boolean): void {
    for (const { proxy } of this.#links.all.filter(choice)) proxy.cut();
  }

  /** On what is chosen all comes so many ms later from now on. */
  delay(delayMs: number, choice: (link: MemberLink) => boolean): void {
    for (const { proxy } of this.#links.all.filter(choice)) this.#harm(proxy).delay(delayMs);
  }

  /** The next bytes on each link that is chosen come twice. */
  repeat(choice: (link: MemberLink) => boolean): void {
    for (const { proxy } of this.#links.all.filter(choice)) proxy.repeat();
  }

  /** Its machine has no power any more: it is dead, and nobody is told, not even who calls it. */
  async powerOff(member: MemberProcess): Promise<void> {
    const links = this.#links.all.filter((link) => isOf(link, member.id));
    for (const proxy of [...links.map((link) => link.proxy), this.#doorOf(member)]) {
      this.#harm(proxy).patienceMs = darkMs;
      proxy.freeze();
    }
    await member.end("SIGKILL");
  }

  /** Everybody hears everybody again. */
  rejoin(fate: Fate): void {
    for (const proxy of this.#harmed) {
      if (fate === "lost") proxy.cut();
      proxy.delay(0);
      proxy.patienceMs = 0;
      proxy.thaw();
    }
    this.#harmed.clear();
  }

  /** Waits until one serves, and all are in sync with it. */
  async untilWhole(): Promise<void> {
    const { members } = this.processes;
    await until(
      "all in sync",
      () =>
        members.filter(({ isServing }) => isServing).length === 1 &&
        this.processes.inSync.length === members.length,
      () => this.processes.story,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.processes.end();
    this.#links[Symbol.dispose]();
    for (const door of this.#doors.values()) door[Symbol.dispose]();
  }

  #doorOf({ id }: MemberProcess): FreezingProxy {
    const door = this.#doors.get(id);
    if (door === undefined) throw new Error(`${id} is no member of the group`);
    return door;
  }

  #harm(proxy: FreezingProxy): FreezingProxy {
    this.#harmed.add(proxy);
    return proxy;
  }
}
