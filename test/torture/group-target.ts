import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { Prng } from "@everhold/base";
import { compareData } from "everhold";
import { GroupProcesses, type MemberProcess } from "#group/group-processes.js";
import { zooKeeperVersions } from "#zookeeper/class-path.js";
import { Ensemble } from "#zookeeper/ensemble.js";

import { CuttingProxy, type Way } from "./cutting-proxy.ts";
import { writeGroupEnd } from "./group-end.ts";
import type { TortureTarget } from "./target.ts";

const names = ["anna", "bert", "cleo", "dora", "emil"];

/** How long a group may take to serve again, and to be whole at the end. */
const patienceMs = 60_000;

/** What happens to members in place of the death of the one broker, and how often each of it. */
const harms = [
  ...["live killed", "live killed", "live killed", "live restarted", "backup killed"],
  ...["backup restarted", "backup lost its data", "two killed"],
] as const;

/** What happens to the servers of ZooKeeper beside that. */
const serverHarms = [
  ...["ZooKeeper server killed", "ZooKeeper's leader killed", "all of ZooKeeper killed"],
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

/** A group of our brokers on one machine, with a proxy before each. */
export class GroupTarget implements TortureTarget {
  readonly peace = { minMs: 500, maxMs: 2_500 };
  readonly #group: GroupProcesses;
  readonly #proxies: readonly CuttingProxy[];
  readonly #folder: string;
  readonly #prng: Prng;
  readonly #onProgress: (words: string) => void;
  readonly #harm: Record<string, number> = {};
  readonly #ensemble: Ensemble | undefined;
  /** Servers of ZooKeeper that are on their way back. */
  #returns: Promise<void> = Promise.resolve();
  #areServersAway = false;
  #stopped: MemberProcess | undefined;

  private constructor(
    group: GroupProcesses,
    proxies: readonly CuttingProxy[],
    ensemble: Ensemble | undefined,
    { folder, seed, onProgress }: GroupTargetOptions,
  ) {
    this.#group = group;
    this.#proxies = proxies;
    this.#ensemble = ensemble;
    this.#folder = folder;
    this.#prng = new Prng(seed);
    this.#onProgress = onProgress;
  }

  /** What members say is left in the folder at the end. */
  static async make(options: GroupTargetOptions): Promise<GroupTarget> {
    const { groupSize, serverCount } = options;
    if (groupSize < 2 || groupSize > names.length) {
      throw new Error(`expected a group of 2 to ${names.length} members, found ${groupSize}`);
    }
    const version = zooKeeperVersions[0];
    const ensemble =
      serverCount === 0 || version === undefined
        ? undefined
        : await Ensemble.start({ version, size: serverCount });
    const servers = ensemble?.servers.map(({ clientPort }) => `127.0.0.1:${clientPort}`).join();
    const settling =
      servers === undefined ? undefined : { zookeeper: { servers, sessionTimeout: "4s" } };
    const proxies: CuttingProxy[] = [];
    for (let index = 0; index < groupSize; index += 1) proxies.push(await CuttingProxy.start());
    const more = (index: number): object => ({
      // Clients that ask who leads are told of the proxies.
      connector: `tcp://127.0.0.1:${proxies[index]?.port ?? 0}`,
      addressSettings: { "#": { maxDeliveryAttempts: -1 } },
      journal: { fileSize: "4MiB", snapshotSize: "4MiB" },
    });
    const ids = names.slice(0, groupSize);
    const minInSync = Math.min(2, groupSize - 1);
    const group = await GroupProcesses.make(ids, minInSync, settling, undefined, more);
    return new GroupTarget(group, proxies, ensemble, options);
  }

  get loadUrls(): readonly string[] {
    return this.#proxies.map(({ port }) => `tcp://127.0.0.1:${port}`);
  }

  get url(): string {
    return `(${this.#group.urls.join(",")})`;
  }

  /** All members are in sync. */
  get isWhole(): boolean {
    const { members, inSync, live } = this.#group;
    return live !== undefined && inSync.length === members.length;
  }

  async start(): Promise<void> {
    for (const [index, member] of this.#group.members.entries()) {
      member.start();
      await this.#proxies[index]?.accept(member.port);
    }
    await this.#until("all members are in sync", () => this.isWhole);
  }

  assertAlive(): void {
    for (const member of this.#group.members) {
      if (!member.isRunning) {
        throw new Error(`${member.id} ended by itself\n${member.lines.slice(-20).join("\n")}`);
      }
    }
  }

  async kill(durationMs: number): Promise<void> {
    // Nearly every other time it is ZooKeeper, which comes back while other things happen.
    if (this.#ensemble !== undefined && !this.#areServersAway && this.#prng.chance(0.45)) {
      return this.#killServers(this.#ensemble, durationMs);
    }
    const { live, members } = this.#group;
    const backup = this.#anyOf(members.filter((member) => member !== live));
    const harm = this.#prng.pick(harms);
    this.#harm[harm] = (this.#harm[harm] ?? 0) + 1;
    this.#onProgress(`  ${harm}: ${harm.startsWith("backup") ? backup.id : (live?.id ?? "")}`);
    const isOfBackup = harm.startsWith("backup");
    const victims = isOfBackup ? [backup] : live === undefined ? [] : [live];
    if (harm === "two killed") victims.push(backup);
    for (const victim of victims) {
      await victim.end(harm.endsWith("restarted") ? "SIGTERM" : "SIGKILL");
      if (harm === "backup lost its data")
        rmSync(victim.dataFolder, { recursive: true, force: true });
    }
    await pause(durationMs);
    for (const victim of victims) victim.start();
    await this.#until("somebody serves", () => this.#group.live !== undefined);
  }

  async #killServers(ensemble: Ensemble, durationMs: number): Promise<void> {
    const harm = this.#prng.pick(serverHarms);
    this.#harm[harm] = (this.#harm[harm] ?? 0) + 1;
    this.#onProgress(`  ${harm}`);
    this.#areServersAway = true;
    const leader = await ensemble.leader();
    const any = ensemble.servers[this.#prng.integer(0, ensemble.servers.length - 1)];
    if (harm === "all of ZooKeeper killed") await ensemble.killAll();
    else if (harm === "ZooKeeper's leader killed") await leader.kill();
    else await any?.kill();
    this.#returns = (async () => {
      await pause(1_000 + 4 * durationMs);
      await ensemble.startAll();
      this.#areServersAway = false;
    })();
    // Told by `rest`.
    this.#returns.catch(() => undefined);
  }

  /** Mostly the live. */
  stop(): void {
    const { live, members } = this.#group;
    this.#stopped = this.#prng.chance(0.7) ? live : this.#anyOf(members);
    this.#harm["stopped"] = (this.#harm["stopped"] ?? 0) + 1;
    this.#stopped?.signal("SIGSTOP");
  }

  goOn(): void {
    this.#stopped?.signal("SIGCONT");
    this.#stopped = undefined;
  }

  cut(chosen: () => boolean, bytes: number): void {
    for (const proxy of this.#proxies) proxy.cut(chosen, bytes);
  }

  drop(chosen: () => boolean, way: Way): void {
    for (const proxy of this.#proxies) proxy.drop(chosen, way);
  }

  delay(chosen: () => boolean, delayMs: number): void {
    for (const proxy of this.#proxies) proxy.delay(chosen, delayMs);
  }

  async rest(): Promise<void> {
    await this.#returns;
    await this.#until("all members are in sync again", () => this.isWhole);
  }

  /** Backups end first, so that nobody leads who has not led; then all journals are compared. */
  async end(): Promise<void> {
    const { live, members } = this.#group;
    this.goOn();
    for (const member of members) if (member !== live) await member.end("SIGKILL");
    await live?.end("SIGKILL");
    for (const proxy of this.#proxies) proxy.stop();
    for (const { id, lines } of members) {
      writeFileSync(join(this.#folder, `${id}.log`), `${lines.join("\n")}\n`);
    }
    const lines = members.flatMap((member) => member.lines);
    const epochs = lines.map((line) => Number(/"epoch":(\d+)/.exec(line)?.[1] ?? 0));
    writeGroupEnd(this.#folder, {
      diverged: await this.#diverged(),
      harm: this.#harm,
      fills: lines.filter((line) => line.includes("This member was filled up")).length,
      epoch: Math.max(0, ...epochs),
    });
    await this.#group.end();
    await this.#returns.catch(() => undefined);
    await this.#ensemble?.[Symbol.asyncDispose]();
  }

  #anyOf(members: readonly MemberProcess[]): MemberProcess {
    const member = members[this.#prng.integer(0, members.length - 1)];
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

  async #until(what: string, condition: () => boolean): Promise<void> {
    const endMs = performance.now() + patienceMs;
    while (!condition()) {
      if (performance.now() > endMs) {
        throw new Error(`not within ${patienceMs} ms: ${what}\n${this.#group.story}`);
      }
      await pause(20);
    }
  }
}
