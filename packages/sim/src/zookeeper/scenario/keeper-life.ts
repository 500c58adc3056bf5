import { EverholdError, type Prng } from "@everhold/base";
import type { Ports } from "@everhold/env";
import { type ZooKeeper, ZooKeeperError } from "@everhold/zookeeper-core";
import type { Machine } from "../../world/machine.ts";
import type { World } from "../../world/world.ts";
import type { ClientMistake } from "./client-mistakes.ts";
import type { Claim, Holding } from "./holdings.ts";
import type { Judge, View } from "./judge.ts";

/** What everybody goes by. */
export interface KeeperSettings {
  readonly connectString: string;
  readonly sessionTimeoutMs: number;
  /** In how many ms a server tells the leader whom it has heard of, at most. */
  readonly tellMsMax: number;
  /** The paths that everybody changes. */
  readonly paths: readonly [string, ...string[]];
  /** A mistake that clients make on purpose. */
  readonly mistake: ClientMistake | undefined;
}

/** Who lives, and where. */
export interface KeeperLifeOptions {
  readonly world: World;
  readonly machine: Machine;
  readonly judge: Judge;
  readonly settings: KeeperSettings;
  readonly prng: Prng;
}

/** One run of one process that uses a client of ZooKeeper. */
export class KeeperLife {
  readonly name: string;
  readonly judge: Judge;
  readonly settings: KeeperSettings;
  readonly prng: Prng;
  readonly ports: Ports;
  /** What this client has seen. */
  readonly view: View;
  /** What it has begun and not ended. */
  readonly open = new Set<string>();
  /** Whether it begins nothing new. */
  isEnding = false;
  isOver = false;
  /** Whether it came back to servers that had lost everything when they were ahead of what it had seen again. */
  isDeceived = false;
  client: ZooKeeper | undefined;
  /** Looks whether all is well, after each thing that is done. */
  onStep: () => void = () => undefined;
  readonly #world: World;
  readonly #machine: Machine;
  /** Take back what the judge was told of what is held. */
  readonly #forgets = new Set<() => void>();

  constructor({ world, machine, judge, settings, prng }: KeeperLifeOptions) {
    this.name = machine.name;
    this.judge = judge;
    this.settings = settings;
    this.prng = prng;
    this.#world = world;
    this.#machine = machine;
    this.view = judge.newView();
    this.ports = machine.start();
  }

  /** It has ended without a word. */
  end(): void {
    this.isOver = true;
    for (const forget of this.#forgets) forget();
  }

  /** Something is held until the returned function is called, or the process ends. */
  hold(
    held: Pick<Holding, "lock" | "permits" | "permitsMax"> & { readonly epoch: number },
    claim: Claim,
  ): { readonly act: () => void; readonly forget: () => void } {
    const { client, judge, name: who } = this;
    const holding: Holding = {
      ...held,
      who,
      claim,
      sessionId: client !== undefined && held.epoch === client.epoch ? client.sessionId : 0n,
      standsStill: () => this.#machine.standsStill,
    };
    const takeBack = judge.holdings.begin(holding);
    const forget = (): void => {
      this.#forgets.delete(forget);
      takeBack();
    };
    this.#forgets.add(forget);
    return { act: () => judge.holdings.act(holding), forget };
  }

  /** One thing after the other, with pauses, until the process is to end. */
  async repeat(what: string, step: () => Promise<void>): Promise<void> {
    while (!this.isEnding) {
      await this.sleep(this.prng.fraction() * 400);
      if (this.isEnding) return;
      await this.track(what, async () => {
        try {
          await step();
        } catch (error) {
          this.expect(error);
        }
      });
    }
  }

  /** Again until it is done, or the client is closed. */
  async untilDone(what: string, step: () => Promise<void>): Promise<void> {
    await this.track(what, async () => {
      for (;;) {
        try {
          return await step();
        } catch (error) {
          this.expect(error);
          if (this.client?.state === "closed") return;
          await this.sleep(100);
        }
      }
    });
  }

  async track<T>(what: string, step: () => Promise<T>): Promise<T> {
    this.open.add(what);
    try {
      return await step();
    } finally {
      this.open.delete(what);
      if (!this.isOver) this.onStep();
    }
  }

  /** Servers and networks fail; an error that does not say so is one of ours. */
  expect(error: unknown): void {
    if (!EverholdError.is(error)) throw error;
    this.#world.note(this.name, error.code, error.message);
    const isOurs = error instanceof ZooKeeperError && wrongRequests.has(error.reason);
    if (isOurs || wrongCodes.has(error.code)) throw error;
  }

  /** Something is not as it must be. */
  fail(text: string): void {
    this.#world.fail(this.name, new Error(text));
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.ports.timers.after(delayMs, resolve));
  }
}

/** What no server says to a request that is right. */
const wrongRequests: ReadonlySet<string> = new Set([
  "MARSHALLINGERROR",
  "UNIMPLEMENTED",
  "BADARGUMENTS",
  "INVALIDACL",
  "NOAUTH",
]);

/** What is not due to servers or networks. */
const wrongCodes: ReadonlySet<string> = new Set([
  "EVH_CONFIG",
  "EVH_INTERNAL",
  "EVH_ILLEGAL_STATE",
  "EVH_NODE_FORMAT",
  "EVH_PATH",
  "EVH_PROTOCOL",
]);

/** Whether a server refused something for this reason. */
export function isReason(error: unknown, reason: string): boolean {
  return error instanceof ZooKeeperError && error.reason === reason;
}
