import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { Prng } from "@everhold/base";
import { compareData } from "everhold";
import { GroupProcesses, type MemberProcess } from "#group/group-processes.js";

import type { Way } from "./cutting-proxy.ts";
import { GroupDoors } from "./group-doors.ts";
import { writeGroupEnd } from "./group-end.ts";
import { GroupDisks } from "./group-disks.ts";
import { GroupLinks } from "./group-links.ts";
import { handOver, isWhole, monitorToken } from "./group-monitor.ts";
import { GroupServers } from "./group-servers.ts";
import { HarmLog } from "./harm-log.ts";
import type { GroupFaultKind } from "./history-line.ts";
import type { TortureTarget } from "./target.ts";

const names = ["anna", "bert", "cleo", "dora", "emil"];

/** How long a group may take to serve again, and to be whole at the end. */
const patienceMs = 60_000;

/** Longer than a member takes to end whose disk answers again just then. */
const endingMs = 1_000;

/** What happens to members in place of the death of the one broker, and how often each of it. */
const harms = [
  ...["live killed", "live killed", "live killed", "live restarted", "backup killed"],
  ...["backup restarted", "backup lost its data", "two killed"],
] as const;

/** How a group is made that is tortured. */
export interface GroupTargetOptions {
  readonly folder: string;
  /** From two to five. */
  readonly groupSize: number;
  /** Of ZooKeeper; 0: a folder settles who leads. */
  readonly serverCount: number;
  readonly seed: number;
  readonly onProgress: (words: string) => void;
}

/** What a group stands in. */
interface Surroundings {
  readonly prng: Prng;
  readonly log: HarmLog;
  readonly doors: GroupDoors;
  readonly links: GroupLinks;
  readonly servers: GroupServers | undefined;
  readonly disks: GroupDisks;
}

/** A group of our brokers on one machine, with a proxy before each, and in each of its links. */
export class GroupTarget implements TortureTarget {
  readonly peace = { minMs: 500, maxMs: 2_500 };
  /** Whoever is killed or stopped comes back with what was on the disk. */
  readonly isWhole = true;
  readonly #group: GroupProcesses;
  readonly #around: Surroundings;
  readonly #folder: string;
  readonly #onProgress: (words: string) => void;
  #stopped: MemberProcess | undefined;

  private constructor(
    group: GroupProcesses,
    around: Surroundings,
    { folder, onProgress }: GroupTargetOptions,
  ) {
    this.#group = group;
    this.#around = around;
    this.#folder = folder;
    this.#onProgress = onProgress;
  }

  /** What members say is left in the folder at the end. */
  static async make(options: GroupTargetOptions): Promise<GroupTarget> {
    const { folder, groupSize, serverCount, seed, onProgress } = options;
    if (groupSize < 2 || groupSize > names.length) {
      throw new Error(`expected a group of 2 to ${names.length} members, found ${groupSize}`);
    }
    const ids = names.slice(0, groupSize);
    const prng = new Prng(seed);
    const log = new HarmLog(onProgress);
    const servers =
      serverCount === 0 ? undefined : await GroupServers.start(serverCount, prng, log);
    const links = new GroupLinks({ prng, ids, serverPorts: servers?.ports ?? [] });
    const settling = async (id: string, port: number): Promise<object> => ({
      links: { url: `tcp://127.0.0.1:${port}`, announce: await links.announced(id, port) },
      ...(servers === undefined
        ? { folder: join(folder, "group") }
        : { zookeeper: { servers: await links.servers(id), sessionTimeout: "4s" } }),
    });
    const doors = await GroupDoors.make(groupSize);
    // Disks hang for less than that, or for more; those that are slow do not take that long.
    const timing = { steady: "500ms", hung: "2s" };
    const more = (index: number): object => ({
      group: { timing },
      // Clients that ask who leads are told of the proxies.
      connector: doors.urls[index] ?? "",
      addressSettings: { "#": { maxDeliveryAttempts: -1 } },
      journal: { fileSize: "4MiB", snapshotSize: "4MiB" },
    });
    const minInSync = Math.min(2, groupSize - 1);
    const group = await GroupProcesses.make(ids, minInSync, settling, monitorToken, more);
    const disks = new GroupDisks(prng);
    for (const member of group.members) disks.prepare(member);
    return new GroupTarget(group, { prng, log, doors, links, servers, disks }, options);
  }

  get loadUrls(): readonly string[] {
    return this.#around.doors.urls;
  }

  get url(): string {
    return `(${this.#group.urls.join(",")})`;
  }

  async start(): Promise<void> {
    for (const member of this.#group.members) member.start();
    this.#around.doors.watch(this.#group.members);
    await this.#untilAllInSync();
  }

  assertAlive(): void {
    for (const member of this.#group.members) {
      if (!member.isRunning) {
        throw new Error(`${member.id} ended by itself\n${member.lines.slice(-20).join("\n")}`);
      }
    }
  }

  async kill(durationMs: number): Promise<void> {
    const { prng, log, servers } = this.#around;
    // Nearly every other time it is ZooKeeper, which comes back while other things happen.
    if (servers?.isHarmed === false && prng.chance(0.45)) return servers.harm(durationMs);
    const harm = prng.pick(harms);
    // Of what was answered one copy has to be left, whoever is in sync.
    if (harm === "backup lost its data") await this.#untilAllInSync();
    const { live } = this;
    const backup = this.#anyOf(this.#group.members.filter((member) => member !== live));
    const victims = harm.startsWith("backup") ? [backup] : [live];
    if (harm === "two killed") victims.push(backup);
    log.note(harm, victims.map(({ id }) => id).join(", "));
    for (const victim of victims) {
      await this.#end(victim, harm.endsWith("restarted") ? "SIGTERM" : "SIGKILL");
      if (harm === "backup lost its data") {
        rmSync(victim.dataFolder, { recursive: true, force: true });
      }
    }
    await pause(durationMs);
    for (const victim of victims) await this.#start(victim);
    await this.#untilServed();
  }

  async harm(kind: GroupFaultKind, durationMs: number): Promise<void> {
    const { links, log, prng } = this.#around;
    switch (kind) {
      case "part": {
        const about = prng.chance(0.6) ? this.live : this.#anyOf(this.#group.members);
        log.note(await links.part(about.id, durationMs), about.id);
        return;
      }
      case "disk":
        return this.#troubleDisk(durationMs);
      case "handover":
        return this.#handOver();
      case "roll":
        return this.#roll();
    }
  }

  /** Mostly the live. */
  stop(): void {
    const { prng, log } = this.#around;
    this.#stopped = prng.chance(0.7) ? this.live : this.#anyOf(this.#group.members);
    log.note("stopped", this.#stopped.id);
    this.#stopped.signal("SIGSTOP");
  }

  goOn(): void {
    this.#stopped?.signal("SIGCONT");
    this.#stopped = undefined;
  }

  cut(chosen: () => boolean, bytes: number): void {
    for (const proxy of this.#around.doors.proxies) proxy.cut(chosen, bytes);
  }

  drop(chosen: () => boolean, way: Way): void {
    for (const proxy of this.#around.doors.proxies) proxy.drop(chosen, way);
  }

  delay(chosen: () => boolean, delayMs: number): void {
    for (const proxy of this.#around.doors.proxies) proxy.delay(chosen, delayMs);
  }

  async rest(): Promise<void> {
    const { disks, links, servers } = this.#around;
    await links.joined();
    await disks.cured();
    await servers?.back();
    // Who ended later than was waited for.
    for (const member of this.#group.members) await this.#startIfEnded(member);
    await this.#untilAllInSync();
  }

  /** Backups end first, so that nobody leads who has not led; then all journals are compared. */
  async end(): Promise<void> {
    const { live, members } = this.#group;
    const { doors, log, links, servers } = this.#around;
    this.goOn();
    for (const member of members) if (member !== live) await member.end("SIGKILL");
    await live?.end("SIGKILL");
    await doors.stop();
    await links.joined();
    links[Symbol.dispose]();
    for (const { id, lines } of members) {
      writeFileSync(join(this.#folder, `${id}.log`), `${lines.join("\n")}\n`);
    }
    const lines = members.flatMap((member) => member.lines);
    const epochs = lines.map((line) => Number(/"epoch":(\d+)/.exec(line)?.[1] ?? 0));
    writeGroupEnd(this.#folder, {
      diverged: await this.#diverged(),
      harms: log.entries,
      fills: lines.filter((line) => line.includes("This member was filled up")).length,
      epoch: Math.max(0, ...epochs),
    });
    await this.#group.end();
    await servers?.end();
  }

  /** Who serves clients; anybody where nobody does. */
  get live(): MemberProcess {
    return this.#group.live ?? this.#anyOf(this.#group.members);
  }

  /**
   * Whose disk fails has to end by itself; then the disk is replaced by one with the same on it. A live whose disk hangs for
   * long ends, too, if another one could lead.
   */
  async #troubleDisk(durationMs: number): Promise<void> {
    const { disks, log, prng } = this.#around;
    const { live } = this;
    const member = prng.chance(0.5) ? live : this.#anyOf(this.#group.members);
    const kind = await disks.trouble(member, durationMs);
    log.note(`${member === live ? "live" : "backup"}'s disk ${kind}`, member.id);
    if (kind === "hanging") {
      await disks.cured();
      await pause(endingMs);
      await this.#startIfEnded(member);
    }
    if (kind !== "failing") return;
    await this.#until(`${member.id} has ended, whose disk fails`, () => !member.isRunning);
    disks.cure(member);
    await this.#startIfEnded(member);
  }

  async #startIfEnded(member: MemberProcess): Promise<void> {
    if (member.isRunning) return;
    await this.#end(member, "SIGKILL");
    await this.#start(member);
    await this.#untilServed();
  }

  /** Planned, as an operator has it done, to a backup that the live says is in sync. */
  async #handOver(): Promise<void> {
    const { log, prng } = this.#around;
    const { live, inSync, members } = this.#group;
    const backups = members.filter((member) => member !== live && inSync.includes(member.id));
    const to = backups[prng.integer(0, Math.max(0, backups.length - 1))];
    if (live === undefined || to === undefined) return log.note("hand-over impossible");
    log.note("hand-over", `${live.id} to ${to.id}`);
    try {
      const refusal = await handOver(live, to);
      if (refusal !== undefined) this.#onProgress(`  ${live.id} refuses: ${refusal.trim()}`);
    } catch (error) {
      this.#onProgress(`  ${live.id} does not answer: ${String(error)}`);
    }
  }

  /** All members are restarted in turn, backups first, each when the one before is in sync again. */
  async #roll(): Promise<void> {
    const { live } = this;
    const { members } = this.#group;
    for (const member of [...members.filter((one) => one !== live), live]) {
      this.#around.log.note("restarted in turn", member.id);
      await this.#end(member, "SIGTERM");
      await this.#start(member);
      await this.#untilAllInSync();
    }
  }

  /** Nobody listens where it was, from before it dies. */
  async #end(member: MemberProcess, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    if (signal === "SIGKILL") {
      this.#around.links.refuse(member.id);
      this.#around.doors.close(this.#group.members.indexOf(member));
    }
    await member.end(signal);
    this.#around.links.refuse(member.id);
  }

  async #start(member: MemberProcess): Promise<void> {
    member.start();
    await this.#around.links.accept(member.id);
  }

  #anyOf(members: readonly MemberProcess[]): MemberProcess {
    const member = members[this.#around.prng.integer(0, members.length - 1)];
    if (member === undefined) throw new Error("a group has members");
    return member;
  }

  async #diverged(): Promise<number> {
    const folders = this.#group.members.map(({ dataFolder }) => dataFolder);
    const { verdict, folders: found, commonPosition } = await compareData(folders);
    if (verdict !== "different") return 0;
    for (const { folder, commonChain, problems } of found) {
      const problem = problems[0]?.message ?? "";
      this.#onProgress(`${folder} has ${commonChain ?? "nothing"} at ${commonPosition} ${problem}`);
    }
    const chains = new Set(found.map(({ commonChain }) => commonChain));
    return Math.max(1, chains.size - 1);
  }

  #untilServed(): Promise<void> {
    return this.#until("somebody serves", () => this.#group.live !== undefined);
  }

  /** And nobody is cut off: who was may believe that everybody still follows him. */
  async #untilAllInSync(): Promise<void> {
    await this.#around.links.joined();
    await this.#until("all members are in sync", () => isWhole(this.#group));
  }

  async #until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = performance.now() + patienceMs;
    while (!(await condition())) {
      if (performance.now() > endMs) {
        throw new Error(`not within ${patienceMs} ms: ${what}\n${this.#group.story}`);
      }
      await pause(20);
    }
  }
}
