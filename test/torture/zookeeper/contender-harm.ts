import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { killSession, SessionEndedAlready } from "#zookeeper/session-killer.js";

import type { Contender, Contenders } from "./contenders.ts";
import type { ContenderFault, Fault } from "./faults.ts";
import { nowMicroseconds } from "./history.ts";
import type { ServerHarm } from "./server-harm.ts";

/** How many session timeouts one who is to be overtaken waits for that. */
const overtakingTimeouts = 6;

/** A wall clock is set by this at most, in ms, to and fro: an hour. */
const clockJumpMsMax = 3_600_000;

/** Harms contenders, one at a time. */
export class ContenderHarm {
  readonly #contenders: Contenders;
  readonly #servers: ServerHarm;
  readonly #folder: string;
  readonly #sessionTimeout: number;
  #fileCount = 0;

  constructor(options: {
    readonly contenders: Contenders;
    readonly servers: ServerHarm;
    readonly folder: string;
    readonly sessionTimeout: number;
  }) {
    this.#contenders = options.contenders;
    this.#servers = options.servers;
    this.#folder = options.folder;
    this.#sessionTimeout = options.sessionTimeout;
  }

  /** Returns when it is over; whether it came to pass. */
  async inflict(fault: Fault<ContenderFault>): Promise<boolean> {
    const contender = this.#chosen(fault);
    if (contender === undefined) return false;
    switch (fault.kind) {
      case "processKilled":
        await this.#contenders.killAndRestart(contender, fault.durationMs);
        return true;
      case "processStopped":
        return this.#stop(contender, fault);
      case "linksCut":
        for (const proxy of contender.proxies.all) proxy.cut();
        return true;
      case "linksFrozen":
        return this.#freeze(contender, fault);
      case "sessionEnded":
        return this.#endSession(contender);
      case "stalled":
        return this.#stall(contender, fault, "");
      case "overtaken":
        return this.#overtake(contender);
      case "clockJumped": {
        const byMs = Math.round((2 * fault.choice - 1) * clockJumpMsMax);
        this.#contenders.tell(contender, { command: "jumpClock", byMs });
        return true;
      }
    }
  }

  #chosen({ isAboutHolder, choice }: Fault): Contender | undefined {
    const { all, holder } = this.#contenders;
    const chosen = (isAboutHolder ? holder : undefined) ?? all[Math.floor(choice * all.length)];
    // The other line may have killed it, and it is not back yet.
    return chosen?.process.isAlive === true ? chosen : undefined;
  }

  /** Another process may have its number when it would go on. */
  async #stop({ process }: Contender, { durationMs }: Fault): Promise<boolean> {
    process.signal("SIGSTOP");
    await pause(durationMs);
    process.signal("SIGCONT");
    return true;
  }

  async #freeze({ proxies }: Contender, fault: Fault): Promise<boolean> {
    for (const proxy of proxies.all) proxy.freeze(fault.direction);
    await pause(fault.durationMs);
    for (const proxy of proxies.all) {
      if (fault.isLost) proxy.cut();
      proxy.thaw();
    }
    return true;
  }

  async #endSession({ sessionId }: Contender): Promise<boolean> {
    const server = await this.#servers.healthy();
    if (server === undefined || sessionId === "") return false;
    const at = nowMicroseconds();
    let isSure = true;
    try {
      await killSession(server.clientPort, BigInt(`0x${sessionId}`));
    } catch (error) {
      if (error instanceof SessionEndedAlready) return false;
      // The server ended meanwhile: it may have ended the session before.
      isSure = false;
    }
    // Whoever hears nothing of it has no lease any more then.
    const until = nowMicroseconds() + this.#sessionTimeout * 1_000;
    this.#contenders.note({ kind: "sessionEnded", sessionId, at, until });
    return isSure;
  }

  async #stall(contender: Contender, fault: Fault, untilFile: string): Promise<boolean> {
    const { durationMs, isBeforeWrite } = fault;
    const command = { command: "stall", isBeforeWrite, durationMs, untilFile } as const;
    this.#contenders.tell(contender, command);
    await pause(durationMs);
    return true;
  }

  /** One stands still right before it writes in its turn, until another one has the lock. */
  async #overtake(contender: Contender): Promise<boolean> {
    this.#fileCount += 1;
    const untilFile = join(this.#folder, `overtaken-${this.#fileCount}`);
    const durationMs = overtakingTimeouts * this.#sessionTimeout;
    const command = { command: "stall", isBeforeWrite: true, durationMs, untilFile } as const;
    this.#contenders.tell(contender, command);
    const deadlineMs = performance.now() + durationMs;
    while (!this.#contenders.isOvertaken(contender) && performance.now() < deadlineMs) {
      await pause(25);
    }
    const isOvertaken = this.#contenders.isOvertaken(contender);
    writeFileSync(untilFile, "");
    return isOvertaken;
  }
}
