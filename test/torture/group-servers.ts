import { setTimeout as pause } from "node:timers/promises";

import type { Prng } from "@everhold/base";
import { zooKeeperVersions } from "#zookeeper/class-path.js";
import { Ensemble } from "#zookeeper/ensemble.js";

import type { HarmLog } from "./harm-log.ts";

/** What happens to the servers of ZooKeeper that settle who leads. */
const harms = [
  ...["ZooKeeper server killed", "ZooKeeper's leader killed", "all of ZooKeeper killed"],
  ...["ZooKeeper server cut off from the others"],
] as const;

/** The servers of ZooKeeper behind a group: they are harmed, and come back while other things happen. */
export class GroupServers {
  readonly #ensemble: Ensemble;
  readonly #prng: Prng;
  readonly #log: HarmLog;
  #return: Promise<void> = Promise.resolve();
  /** Whether some are on their way back. */
  isHarmed = false;

  private constructor(ensemble: Ensemble, prng: Prng, log: HarmLog) {
    this.#ensemble = ensemble;
    this.#prng = prng;
    this.#log = log;
  }

  /** They serve. */
  static async start(size: number, prng: Prng, log: HarmLog): Promise<GroupServers> {
    const [version] = zooKeeperVersions;
    if (version === undefined) throw new Error("expected a version of ZooKeeper, found none");
    return new GroupServers(await Ensemble.start({ version, size, canBeCut: true }), prng, log);
  }

  get ports(): readonly number[] {
    return this.#ensemble.servers.map(({ clientPort }) => clientPort);
  }

  /** Settles when it is done; that they come back is told by {@link back}. */
  async harm(durationMs: number): Promise<void> {
    const ensemble = this.#ensemble;
    const harm = this.#prng.pick(harms);
    this.#log.note(harm);
    this.isHarmed = true;
    const leader = await ensemble.leader();
    const any = ensemble.servers[this.#prng.integer(0, ensemble.servers.length - 1)] ?? leader;
    if (harm === "all of ZooKeeper killed") await ensemble.killAll();
    else if (harm === "ZooKeeper's leader killed") await leader.kill();
    else if (harm === "ZooKeeper server killed") await any.kill();
    else ensemble.cutOff(any);
    this.#return = (async () => {
      await pause(1_000 + 4 * durationMs);
      ensemble.rejoin(any);
      await ensemble.startAll();
      this.isHarmed = false;
    })();
    // Told by `back`.
    this.#return.catch(() => undefined);
  }

  /** Settles when all serve. */
  async back(): Promise<void> {
    await this.#return;
  }

  async end(): Promise<void> {
    await this.#return.catch(() => undefined);
    await this.#ensemble[Symbol.asyncDispose]();
  }
}
