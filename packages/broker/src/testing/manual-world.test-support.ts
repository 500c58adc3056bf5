import { crc32 } from "node:zlib";

import { Prng } from "@everhold/base";
import type { LogFields, LoginVerdict, Ports, Timer } from "@everhold/env";

import { MemoryDisk } from "./memory-disk.test-support.ts";
import { MemoryNetwork } from "./memory-network.test-support.ts";

/** One line of the log. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
}

interface Task {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * A world in which time passes only when a test says so, and everything else happens in `settle`: disk,
 * network and turn ends, until nothing is left to happen.
 */
export class ManualWorld {
  readonly disk: MemoryDisk;
  network: MemoryNetwork;
  readonly log: LogLine[] = [];
  nowMs = 1_700_000_000_000;
  /** Passwords by name; without them everybody may come in. A verdict takes `loginDelayMs`. */
  users: Readonly<Record<string, string>> | undefined;
  loginDelayMs = 0;
  /** Passwords that are being checked for somebody. */
  loginsUnderWay = 0;
  #elapsedMs = 0;
  #turnEnds: (() => void)[] = [];
  #events: (() => void)[] = [];
  #tasks = new Set<Task>();
  #order = 0;
  #life = 0;

  constructor() {
    this.disk = new MemoryDisk((event) => {
      this.#schedule(event);
    });
    this.network = new MemoryNetwork((event) => {
      this.#schedule(event);
    });
  }

  /** The ports of a process that starts now. */
  ports(): Ports {
    const prng = new Prng(7);
    const write =
      (level: LogLine["level"]) =>
      (message: string, fields: LogFields = {}): void => {
        this.log.push({ level, message, fields });
      };
    return {
      wallClock: { nowMs: () => this.nowMs },
      monotonicClock: { nowMs: () => this.#elapsedMs },
      timers: {
        after: (delayMs, run) => this.#after(delayMs, run),
        atTurnEnd: (task) => {
          const life = this.#life;
          this.#turnEnds.push(() => {
            if (life === this.#life) task();
          });
        },
      },
      random: {
        uint32: () => prng.uint32(),
        fill: (target) => {
          prng.fill(target);
        },
      },
      hash: { crc32: (bytes, seed) => crc32(bytes, seed) },
      disk: this.disk,
      network: this.network,
      ...(this.users === undefined ? {} : { logins: this.#logins(this.users) }),
      log: {
        debug: write("debug"),
        info: write("info"),
        warn: write("warn"),
        error: write("error"),
      },
    };
  }

  /** Runs everything that can happen without time passing. */
  async settle(): Promise<void> {
    for (let quietRounds = 0; quietRounds < 3;) {
      const isQuiet = this.#events.length === 0 && this.#turnEnds.length === 0;
      quietRounds = isQuiet ? quietRounds + 1 : 0;
      // One event a turn, so that nothing relies on two of them meeting.
      this.#events.shift()?.();
      if (this.#events.length === 0) for (const task of this.#turnEnds.splice(0)) task();
      if (isQuiet) await new Promise((resolve) => setImmediate(resolve));
      else await Promise.resolve();
    }
  }

  /** Lets time pass, with everything that happens meanwhile. */
  async pass(ms: number): Promise<void> {
    const end = this.#elapsedMs + ms;
    await this.settle();
    for (;;) {
      const next = [...this.#tasks]
        .filter((task) => task.dueMs <= end)
        .sort((left, right) => left.dueMs - right.dueMs || left.order - right.order)[0];
      if (next === undefined) break;
      this.#tasks.delete(next);
      this.nowMs += next.dueMs - this.#elapsedMs;
      this.#elapsedMs = next.dueMs;
      next.run();
      await this.settle();
    }
    this.nowMs += end - this.#elapsedMs;
    this.#elapsedMs = end;
  }

  /** The process dies: what it had not finished never happens. The disk keeps what was written. */
  crash(): void {
    this.#life += 1;
    this.#turnEnds = [];
    this.#events = [];
    this.#tasks.clear();
    this.disk.crash();
    this.network = new MemoryNetwork((event) => {
      this.#schedule(event);
    });
  }

  /** Timers that are not due yet. */
  get timerCount(): number {
    return this.#tasks.size;
  }

  /** Messages of one level, for tests that count log lines. */
  logged(level: LogLine["level"]): string[] {
    return this.log.filter((line) => line.level === level).map((line) => line.message);
  }

  #logins(users: Readonly<Record<string, string>>): NonNullable<Ports["logins"]> {
    return {
      isRequired: true,
      check: (user, password, onVerdict) => {
        const isKnown = user !== null && users[user] === password;
        const verdict: LoginVerdict = isKnown ? "welcome" : "refused";
        let isGone = false;
        this.loginsUnderWay += 1;
        const answer = (): void => {
          if (isGone) return;
          isGone = true;
          this.loginsUnderWay -= 1;
          onVerdict(verdict);
        };
        if (this.loginDelayMs === 0) this.#schedule(answer);
        else this.#after(this.loginDelayMs, answer);
        return () => {
          if (!isGone) this.loginsUnderWay -= 1;
          isGone = true;
        };
      },
    };
  }

  #schedule(event: () => void): void {
    const life = this.#life;
    this.#events.push(() => {
      if (life === this.#life) event();
    });
  }

  #after(delayMs: number, run: () => void): Timer {
    const task: Task = { dueMs: this.#elapsedMs + delayMs, order: this.#order, run };
    this.#order += 1;
    this.#tasks.add(task);
    return {
      cancel: () => {
        this.#tasks.delete(task);
      },
    };
  }
}
