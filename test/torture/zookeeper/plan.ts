import type { ZooKeeperVersion } from "#zookeeper/class-path.js";

import type { Sabotage } from "./contender-settings.ts";
import type { ContestName } from "./contest.ts";
import type { FaultKind } from "./faults.ts";

/** What a run is. */
export interface Plan {
  readonly seed: number;
  readonly seconds: number;
  readonly processCount: number;
  readonly version: ZooKeeperVersion;
  readonly serverCount: number;
  readonly sessionTimeout: number;
  readonly contest: ContestName;
  readonly faults: readonly FaultKind[];
  readonly sabotage: Sabotage | undefined;
  /** Below these a run means nothing. */
  readonly turnsPerMinuteMin: number;
  readonly faultsPerMinuteMin: number;
}
