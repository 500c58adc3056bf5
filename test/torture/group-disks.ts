import { setTimeout as pause } from "node:timers/promises";

import type { Prng } from "@everhold/base";
import { diskFaults, setDiskTrouble, type DiskTrouble } from "#group/disk-control.js";
import type { MemberProcess } from "#group/group-processes.js";

const kinds = ["slow", "full", "failing", "hanging"] as const;

/** The disks of a group's members, one of which is in trouble now and then. */
export class GroupDisks {
  readonly #prng: Prng;
  /** What is wrong now, until it settles. */
  #trouble: Promise<void> = Promise.resolve();

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Has a member do as its disk is told to, from its next start on. */
  prepare(member: MemberProcess): void {
    member.nodeArguments = ["--import", diskFaults];
  }

  /** Begins trouble of any kind; what is slow, full or hangs ends by itself after so long, what hangs after twice that. */
  async trouble(member: MemberProcess, durationMs: number): Promise<DiskTrouble["kind"]> {
    await this.#trouble;
    const kind = this.#prng.pick(kinds);
    const delayMs = this.#prng.integer(10, 500);
    setDiskTrouble(member.dataFolder, kind === "slow" ? { kind, delayMs } : { kind });
    const lastsMs = kind === "hanging" ? 2 * durationMs : durationMs;
    if (kind !== "failing") this.#trouble = pause(lastsMs).then(() => this.cure(member));
    return kind;
  }

  cure(member: MemberProcess): void {
    setDiskTrouble(member.dataFolder, undefined);
  }

  /** Settles when every disk is as it should be. */
  async cured(): Promise<void> {
    await this.#trouble;
  }
}
