import { crc32 } from "node:zlib";
import { LocalCoordinator } from "@everhold/coordinator";
import type { LogFields, Timers } from "@everhold/env";
import type { KnownState } from "@everhold/group";
import { TestWorld } from "@everhold/test-world";
import type { InFlightFate } from "../disk/disk-machine.ts";
import { SimDisk } from "../disk/sim-disk.ts";
import {
  type CaseMember,
  type CaseWorld,
  knownTo,
  newTold,
} from "./coordinator-cases.test-support.ts";
import { groupId as orders } from "./group-values.test-support.ts";
import { SimClaims } from "./sim-claims.test-support.ts";

/** One process on the machine. */
export interface LocalMember extends CaseMember {
  /** What it sees of the machine's disk. */
  readonly disk: SimDisk;
  /** What it has claimed. */
  readonly claims: readonly string[];
  /** Ends the process without a word. */
  kill(options?: { readonly power?: boolean; readonly fate?: InFlightFate }): void;
}

/** Members of one group on one machine, in a world that a test moves on. */
export class LocalWorld implements CaseWorld<LocalMember> {
  readonly world: TestWorld;
  readonly disk: SimDisk;
  readonly claims = new SimClaims();
  readonly logged: string[] = [];
  readonly #seed: number;
  #processCount = 0;

  constructor(seed = 1) {
    this.world = new TestWorld(seed);
    this.disk = new SimDisk({ seed, scheduler: this.world.ports.timers });
    this.#seed = seed;
  }

  async member(groupId = orders): Promise<LocalMember> {
    let isRunning = true;
    const { ports } = this.world;
    this.#processCount += 1;
    const disk = this.disk.sharedWith(this.#seed * 100 + this.#processCount);
    const timers: Timers = {
      after: (delayMs, task) => ports.timers.after(delayMs, () => void (isRunning && task())),
      atTurnEnd: (task) => ports.timers.atTurnEnd(() => void (isRunning && task())),
    };
    const log = (message: string, fields: LogFields = {}): void =>
      void this.logged.push(`${message} ${JSON.stringify(fields)}`);
    const { told, listener } = newTold();
    const made: string[] = [];
    const claims = this.claims.forProcess({ timers, isRunning: () => isRunning });
    const coordinator = new LocalCoordinator({
      ports: {
        ...{ ...ports, timers, log: { debug: log, info: log, warn: log, error: log } },
        hash: { crc32: (bytes, seed) => crc32(bytes, seed) },
      },
      claims: {
        watch: (name, watcher) => claims.watch(name, watcher),
        make: (name) => {
          made.push(name);
          return claims.make(name);
        },
      },
      ...{ disk, groupId, listener },
    });
    const kill: LocalMember["kill"] = (options) => {
      isRunning = false;
      disk.crash({ power: false, ...options });
    };
    return { coordinator, told, disk, claims: made, kill };
  }

  /** What the newest file says. */
  get document(): unknown {
    const text = Buffer.from(this.disk.content(this.newest)).toString();
    const document: unknown = JSON.parse(text.split("\n")[0] ?? "");
    return document;
  }

  /** The name of the newest file. */
  get newest(): string {
    const names = this.disk.names().filter((name) => name.startsWith("made-"));
    const numberOf = (name: string): number => Number(name.split(".")[1]);
    return names.toSorted((one, other) => numberOf(other) - numberOf(one))[0] ?? "";
  }

  /** The claim of the live; `undefined` where nobody has it. */
  get liveClaim(): string | undefined {
    const { document } = this;
    const live =
      typeof document === "object" && document !== null && "live" in document
        ? document.live
        : null;
    if (typeof live !== "object" || live === null || !("claim" in live)) return undefined;
    return this.claims.names.find((name) => name === live.claim);
  }

  async isLive({ claims }: LocalMember): Promise<boolean> {
    return this.liveClaim !== undefined && claims.includes(this.liveClaim);
  }

  known(member: LocalMember): Promise<KnownState> {
    return knownTo(this, member);
  }

  async remove(): Promise<void> {
    for (const name of this.disk.names()) this.disk.drop(name);
  }

  /** What the promise gives, within a minute of the world's time. */
  async within<T>(promise: Promise<T>): Promise<T> {
    for (let turn = 0; turn < 6000 && (await this.world.isPending(promise)); turn += 1) {
      await this.world.advance(10);
    }
    return this.world.now(promise);
  }

  /** Lets time pass until something is so, a minute at most. */
  async until(what: string, condition: () => boolean): Promise<void> {
    for (let turn = 0; turn < 6000 && !condition(); turn += 1) await this.world.advance(10);
    if (!condition()) throw new Error(`${what}: this did not come about`);
  }

  async end(...members: readonly LocalMember[]): Promise<void> {
    for (const { coordinator } of members) await this.within(coordinator.close());
    await this.world.advance(1000);
  }
}
