import type { Ports } from "@everhold/env";
import type { StateRead } from "@everhold/group";
import { limits } from "./limits.ts";
import { stopCures } from "./stop-cures.ts";

/** Tells what a member that starts waits for: at once, when that changes, and now and then. */
export class Waiting {
  readonly #ports: Ports;
  readonly #member: string;
  readonly #sinceMs: number;
  #told: string | undefined;
  #toldMs = 0;

  constructor(ports: Ports, member: string) {
    this.#ports = ports;
    this.#member = member;
    this.#sinceMs = ports.monotonicClock.nowMs();
  }

  /** The group's node was read, and nothing can be begun with it. `promisedEpoch`: what this disk promised; 0: nothing. */
  tell(read: Exclude<StateRead, { kind: "state" }>, promisedEpoch: number): void {
    const { log, monotonicClock } = this.#ports;
    const nowMs = monotonicClock.nowMs();
    const problem = read.kind === "absent" ? "absent" : read.error.message;
    if (this.#told === problem && nowMs - this.#toldMs < limits.tellWaitingMs) return;
    this.#told = problem;
    this.#toldMs = nowMs;
    const fields = { member: this.#member, waitedMs: Math.round(nowMs - this.#sinceMs) };
    if (read.kind === "absent" && promisedEpoch > 0) {
      log.error(
        "The group's node is gone, and this data folder was a member's of it: this member waits until ZooKeeper's data are restored",
        { ...fields, promisedEpoch, cure: stopCures["state-gone"] },
      );
      return;
    }
    if (read.kind === "absent") {
      log.info("This member waits until its group is founded", fields);
      return;
    }
    log.error("The group's node cannot be read: this member waits until somebody has mended it", {
      ...fields,
      problem,
    });
  }
}
