import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, type Grant, Mutex, type ZooKeeper } from "@everhold/zookeeper-core";
import { worldDisk } from "../disk/world-disk.ts";
import { SimNetwork } from "../network/sim-network.ts";
import { Machine } from "../world/machine.ts";
import { World } from "../world/world.ts";
import { EnsembleMachines } from "./ensemble-machines.ts";

const tickTimeMs = 1000;

/** What is held up on its way. */
interface HoldUp {
  readonly renewIntervalMs: number;
  /** From just after a renewal on. */
  readonly durationMs: number;
  /** When something is read, from then on. */
  readonly readAtMs?: number;
  /** How many renewals are answered afterwards. */
  readonly renewalCount: number;
}

/**
 * A client whose network holds up what it says. Then its follower hears of everything, answers, and is cut off before it
 * has told the leader.
 */
class HeldUpClient {
  readonly #world = new World({ seed: 1 });
  readonly #network = new SimNetwork(this.#world);
  readonly #servers: EnsembleMachines;
  #renewalCount = 0;

  readonly #holdUp: HoldUp;

  constructor(holdUp: HoldUp) {
    this.#holdUp = holdUp;
    Object.assign(this.#network.latency, { minMs: 1, maxMs: 1, spikeProbability: 0 });
    const lag = { minMs: 1, maxMs: 1 };
    this.#servers = new EnsembleMachines(this.#world, this.#network, {
      ...{ serverCount: 3, tickTimeMs, syncLimit: 20, lag },
    });
    this.#servers.ensemble.listen((event) => {
      if (event.type === "committed" && event.changes.length === 0) this.#renewalCount += 1;
    });
  }

  /** Until the lock is not taken for held any more; gives for how many ms it was after the follower was cut off. */
  async run(phaseMs: number): Promise<number> {
    const { ensemble, addresses } = this.#servers;
    await this.#until(() => ensemble.leaderIndex !== undefined);
    await this.#pass(phaseMs);
    const follower = ensemble.leaderIndex === 0 ? 1 : 0;
    const { client, grant } = await this.#take(addresses[follower] ?? "");
    const { durationMs, readAtMs, renewalCount } = this.#holdUp;
    await this.#nextRenewal();
    await this.#pass(5);
    this.#network.isolate("client", durationMs);
    let read: Promise<unknown> | undefined;
    if (readAtMs !== undefined) {
      await this.#pass(readAtMs);
      read = client.exists("/");
    }
    for (let left = renewalCount; left > 0; left -= 1) await this.#nextRenewal();
    // It is answered, and so is all before it.
    await this.#pass(4);
    await read;
    ensemble.cutFromLeader(follower);
    const cutAtMs = this.#world.nowMs;
    const { sessionId } = client;
    while (grant.isHeld()) {
      assert.ok(
        ensemble.isSessionAlive(sessionId),
        `phase ${phaseMs}: held, and its session is over`,
      );
      await this.#pass(10);
    }
    const heldMs = this.#world.nowMs - cutAtMs;
    await this.#until(() => !ensemble.isSessionAlive(sessionId));
    return heldMs;
  }

  async #take(address: string): Promise<{ client: ZooKeeper; grant: Grant }> {
    const [world, network, name] = [this.#world, this.#network, "client"];
    const machine = new Machine({ world, network, name, disk: worldDisk(world, name) });
    const client = await this.#within(
      connect(machine.start(), address, { sessionTimeout: 10 * tickTimeMs }),
    );
    const timing = { tickTime: tickTimeMs, renewInterval: this.#holdUp.renewIntervalMs };
    const grant = await this.#within(new Mutex(client, "/lock", timing).acquire());
    return { client, grant };
  }

  /** A renewal is decided. */
  #nextRenewal(): Promise<void> {
    const count = this.#renewalCount;
    return this.#until(() => this.#renewalCount > count);
  }

  async #within<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = promise.finally(() => (isSettled = true));
    await this.#until(() => isSettled);
    return settled;
  }

  async #until(condition: () => boolean): Promise<void> {
    assert.equal(await this.#world.run({ condition }), "condition");
  }

  async #pass(timeMs: number): Promise<void> {
    assert.equal(await this.#world.run({ timeMs: this.#world.nowMs + timeMs }), "time");
  }
}

const holdUps: Readonly<Record<string, HoldUp>> = {
  "a read, until just before the next renewal": {
    ...{ renewIntervalMs: 4000, durationMs: 3985, readAtMs: 2900, renewalCount: 1 },
  },
  "a renewal, until the next one is due": {
    ...{ renewIntervalMs: 3000, durationMs: 5990, renewalCount: 2 },
  },
};

for (const [what, holdUp] of Object.entries(holdUps)) {
  test(`a lock is not held for longer than by its session where the network holds up ${what}`, async () => {
    for (let phaseMs = 0; phaseMs < tickTimeMs; phaseMs += tickTimeMs / 20) {
      const heldMs = await new HeldUpClient(holdUp).run(phaseMs);
      assert.ok(heldMs > tickTimeMs, `held for ${heldMs} ms`);
    }
  });
}
