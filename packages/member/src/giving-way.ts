import { deferred } from "@everhold/base";
import type { Ports } from "@everhold/env";
import type { MemberDriver } from "@everhold/replica";
import { asError } from "./as-error.ts";
import type { GroupConfig } from "./group-config.ts";
import { limits } from "./limits.ts";
import type { MemberStatus } from "./member-status.ts";
import { Successor } from "./successor.ts";

/** What {@link GivingWay} needs. */
export interface GivingWayParts {
  readonly ports: Pick<Ports, "timers" | "monotonicClock" | "log">;
  readonly group: GroupConfig;
  /** The live's. */
  readonly driver: Pick<MemberDriver, "handOver">;
  readonly status: () => MemberStatus;
}

/**
 * A live that is to stop hands over first, where somebody can take over: to one member after the other, until its life has
 * ended by that or nobody is left who could.
 */
export class GivingWay {
  readonly #parts: GivingWayParts;
  #isDone = false;
  /** Whoever waits between two looks is to look now. */
  #onDone: () => void = () => undefined;

  constructor(parts: GivingWayParts) {
    this.#parts = parts;
  }

  /** Ends when somebody else leads, and when nobody can. Whatever goes wrong with that is told, and the live may stop. */
  async run(): Promise<void> {
    const { ports, group, driver } = this.#parts;
    const member = group.id;
    try {
      await this.#handOverToAny();
      if (this.#isDone) return;
      ports.log.warn("Nobody takes over before this member stops", { member });
      // What was held back for a hand-over is answered after all.
      driver.handOver(null);
    } catch (error) {
      ports.log.error("This member could not give way before it stops", {
        ...{ member, problem: asError(error).message },
      });
    }
  }

  /** The live's life has ended: it has given way. */
  onLifeEnded(): void {
    this.#isDone = true;
    this.#onDone();
  }

  async #handOverToAny(): Promise<void> {
    const { ports, group, driver, status } = this.#parts;
    const { timers, monotonicClock, log } = ports;
    const { handOverMs, graceMs } = group.timing;
    const successor = new Successor(graceMs);
    const untilMs = monotonicClock.nowMs() + handOverMs + limits.handOverMarginMs;
    while (!this.#isDone) {
      const nowMs = monotonicClock.nowMs();
      const { to, isNew } = successor.choose(status(), nowMs);
      if (to === undefined || nowMs >= untilMs) return;
      if (isNew) {
        log.info("This member gives way before it stops", { member: group.id, to });
        driver.handOver(to);
      }
      const looked = deferred<undefined>();
      this.#onDone = () => looked.resolve(undefined);
      const timer = timers.after(limits.handOverLookMs, this.#onDone);
      await looked.promise;
      timer.cancel();
    }
  }
}
