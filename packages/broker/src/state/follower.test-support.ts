import assert from "node:assert/strict";
import { BrokerState } from "./broker-state.ts";
import { MemoryLog, MemorySnapshot } from "./memory-log.test-support.ts";
import { createRowView } from "./row-bodies.ts";

/** A state that follows the log of another one, with a log and snapshots of its own. */
export class Follower {
  log = new MemoryLog();
  state = stateOn(this.log);
  #snapshots: MemorySnapshot[] = [];
  #snapshot: MemorySnapshot | undefined;

  /** Applies at most `countMax` of the records that it has not applied. */
  follow(source: MemoryLog, countMax = Number.POSITIVE_INFINITY): void {
    const { length } = this.log.records;
    for (const record of source.records.slice(length, length + countMax)) {
      this.log.follow(this.state, record);
    }
  }

  /** Begins a snapshot, or writes its next section. */
  writeSnapshot(): void {
    if (this.#snapshot === undefined) {
      this.#snapshot = new MemorySnapshot(this.log);
      this.state.beginSnapshot();
    }
    if (this.state.nextSnapshotSection(this.#snapshot)) return;
    this.#snapshots.push(this.#snapshot);
    this.#snapshot = undefined;
  }

  /** Goes on from its newest snapshot and the records behind it. */
  restart(): void {
    const log = this.log.prefix(this.log.endPosition);
    const state = stateOn(log);
    log.replay(state, this.#snapshots.at(-1));
    this.log = log;
    this.state = state;
    this.#snapshot = undefined;
  }

  /**
   * Compares what recovers from the log alone with what does from each snapshot, and with itself if it
   * `ends`. Returns how many snapshots there were.
   */
  check(ends: boolean): number {
    const alone = this.log.prefix(this.log.endPosition);
    const expected = stateOn(alone);
    alone.recover(expected);
    for (const snapshot of this.#snapshots) {
      const twin = this.log.prefix(this.log.endPosition);
      const state = stateOn(twin);
      twin.recover(state, snapshot);
      assertEqual(state, twin, expected, alone);
    }
    if (ends) {
      this.state.recovered();
      assertEqual(this.state, this.log, expected, alone);
    }
    return this.#snapshots.length;
  }
}

function stateOn(log: MemoryLog): BrokerState {
  return new BrokerState(log, { snapshotSectionBytes: 100 });
}

function assertEqual(
  state: BrokerState,
  log: MemoryLog,
  expected: BrokerState,
  expectedLog: MemoryLog,
): void {
  state.assertInvariants();
  assert.equal(state.dump(), expected.dump());
  assert.deepEqual(handedOut(state), handedOut(expected));
  assert.deepEqual(sorted(log.retained), sorted(expectedLog.retained));
}

/** Of each message whether it may have been handed out, and whether it could be. */
function handedOut(state: BrokerState): string[] {
  const view = createRowView();
  const lines: string[] = [];
  for (const queue of state.queues()) {
    queue.lanes.forEach((_row, key) => {
      assert.ok(queue.read(key, view));
      lines.push(`${queue.id} ${key} ${view.redelivered} ${queue.isReady(key)}`);
    });
    lines.push(`${queue.id} pending ${queue.pendingCount} of ${queue.address.name}`);
  }
  return lines.toSorted();
}

function sorted(counts: ReadonlyMap<number, number>): [number, number][] {
  return [...counts].toSorted(([left], [right]) => left - right);
}

/** What a follower does between the steps of the one that it follows. */
export type FollowerStep = "follow" | "snapshot" | "restart";

/** Mostly it follows and writes snapshots. */
export const followerSteps: readonly FollowerStep[] = [
  ...Array.from({ length: 10 }, () => "follow" as const),
  ...Array.from({ length: 10 }, () => "snapshot" as const),
  "restart",
];

/** Does one step, with records of `source`. */
export function runFollower(follower: Follower, step: FollowerStep, source: MemoryLog): void {
  if (step === "restart") follower.restart();
  else if (step === "snapshot") follower.writeSnapshot();
  else follower.follow(source, 5);
}
