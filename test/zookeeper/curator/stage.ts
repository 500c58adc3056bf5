import { setTimeout as delay } from "node:timers/promises";

import { freePorts } from "#free-port";
import type { ZooKeeper } from "@everhold/zookeeper";

import { connectString, connectTo } from "../support/clients.ts";
import type { Ensemble } from "../support/ensemble.ts";
import { TemporaryFolder } from "../support/folders.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { until } from "../support/until.ts";
import type { ZooKeeperServer } from "../support/zookeeper-server.ts";
import { Contestant, kinds, type Kind } from "./contestant.ts";
import { Observer } from "./observer.ts";
import { sessionTimeoutMs as usualTimeoutMs, type Scenario } from "./scenarios.ts";

/** What everybody needs to have done before the fault: renewals, pings, announcements. */
const calmMs = 2_000;

/** Both clients on one ensemble, connected to the same follower, each with a rival of its own kind elsewhere. */
export class Stage implements AsyncDisposable {
  readonly ensemble: Ensemble;
  /** The follower that both are connected to. */
  readonly target: ZooKeeperServer;
  readonly others: readonly ZooKeeperServer[];
  /** Before all servers; those of the others listen once everybody is connected to the target. */
  readonly proxies: FreezingProxy[] = [];
  readonly mains: Contestant[] = [];
  readonly rivals: Contestant[] = [];
  readonly sessions: Record<Kind, bigint> = { curator: 0n, everhold: 0n };
  /** What was answered to {@link ask}. */
  readonly answers: Record<Kind, Record<string, string>> = { curator: {}, everhold: {} };
  readonly #folder = new TemporaryFolder();
  readonly #admin: ZooKeeper;
  #observer: Observer | undefined;

  private constructor(ensemble: Ensemble, target: ZooKeeperServer, admin: ZooKeeper) {
    this.ensemble = ensemble;
    this.target = target;
    this.others = ensemble.servers.filter((server) => server !== target);
    this.#admin = admin;
  }

  static async set(ensemble: Ensemble, scenario: Scenario, base: string): Promise<Stage> {
    const [target] = await ensemble.followers();
    if (target === undefined) throw new Error("the ensemble has no follower");
    const others = ensemble.servers.filter((server) => server !== target);
    const admin = await connectTo(connectString(...others.map(({ clientPort }) => clientPort)), {
      sessionTimeout: 60_000,
    });
    const stage = new Stage(ensemble, target, admin);
    try {
      await stage.#enter(scenario, base);
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
    return stage;
  }

  get observer(): Observer {
    if (this.#observer === undefined) throw new Error("the stage is not set");
    return this.#observer;
  }

  /** Calls both for something, and keeps what they answer within a time. */
  async ask(call: "read" | "write", timeoutMs: number): Promise<void> {
    await Promise.all(
      this.mains.map(async (main) => {
        this.answers[main.kind][call] = await main.answer(call, timeoutMs);
      }),
    );
  }

  /** Changes what both watch. */
  async touch(): Promise<void> {
    for (const { base } of this.mains) {
      await this.#admin.setData(`${base}/once`, "touched");
      await this.#admin.setData(`${base}/kept`, "touched");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#observer?.end();
    await Promise.all([...this.mains, ...this.rivals].map((contestant) => contestant.kill()));
    for (const proxy of this.proxies) proxy[Symbol.dispose]();
    await this.#admin.close({ timeout: 1_000 });
    this.#folder[Symbol.dispose]();
  }

  async #enter(scenario: Scenario, base: string): Promise<void> {
    const { sessionTimeoutMs = usualTimeoutMs, mayReadOnly = false } = scenario;
    const bases = kinds.map((kind) => `${base}/${kind}`);
    for (const each of bases) {
      for (const name of ["once", "kept", "value", "latch"]) {
        await this.#admin.create(`${each}/${name}`, "", { parents: true });
      }
    }
    const usual = { sessionTimeoutMs, mayReadOnly, folder: this.#folder.path };
    const ports = await freePorts(this.others.length);
    this.proxies.push(await FreezingProxy.start(this.target.clientPort));
    const proxied = connectString(...this.proxies.map(({ port }) => port), ...ports);
    for (const kind of kinds) {
      const own = { kind, base: `${base}/${kind}`, connectString: proxied };
      this.mains.push(await Contestant.start({ ...usual, ...own, role: "main" }));
    }
    await this.#lead();
    for (const [index, { clientPort }] of this.others.entries()) {
      this.proxies.push(await FreezingProxy.start(clientPort, ports[index]));
    }
    const direct = connectString(...this.others.map(({ clientPort }) => clientPort));
    for (const kind of kinds) {
      const own = { kind, base: `${base}/${kind}`, connectString: direct };
      this.rivals.push(await Contestant.start({ ...usual, ...own, role: "rival" }));
    }
    await Promise.all(this.rivals.map((rival) => rival.ready()));
    this.#observer = new Observer(
      this.#admin,
      bases.flatMap((each) => [`${each}/plain`, `${each}/held`]),
    );
    await delay(calmMs);
  }

  /** Waits until both are connected to the target and lead. */
  async #lead(): Promise<void> {
    for (const main of this.mains) {
      this.sessions[main.kind] = await main.ready();
      await until(`${main.kind} leads`, () => main.events.find(({ type }) => type === "leads"));
    }
  }
}
