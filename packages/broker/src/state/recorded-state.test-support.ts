import assert from "node:assert/strict";
import { BrokerState } from "./broker-state.ts";
import { MemoryLog, MemorySnapshot } from "./memory-log.test-support.ts";

/** A state on a log in memory of which is known what it was at each end of that, for a model to stand beside. */
export class RecordedState {
  log = new MemoryLog();
  state: BrokerState;
  /** The fingerprint of the state at each end of the log. */
  readonly #fingerprints = new Map<number, string>();
  readonly #snapshots: MemorySnapshot[] = [];
  readonly #sectionBytes: number;
  #snapshot: MemorySnapshot | undefined;

  /** Its snapshots have many sections: as few bytes as `sectionBytes` end one. */
  constructor(nowMs: number, sectionBytes: number) {
    this.#sectionBytes = sectionBytes;
    this.state = this.#stateOn(this.log);
    this.state.recovered();
    this.state.afterRecovery(nowMs);
    this.note();
  }

  /**
   * Recovers what was in the log at some of the steps' ends, from the log alone and with every snapshot
   * that was whole by then. Returns how many recoveries used a snapshot.
   */
  checkRecovery(cuts: readonly number[]): number {
    const ends = [...this.#fingerprints.keys()];
    let snapshotCount = 0;
    for (const cut of [...cuts, ends.length - 1]) {
      const end = ends[cut % ends.length] ?? 0;
      const usable = this.#snapshots.filter((one) => (one.sections.at(-1)?.asOf ?? 0) <= end);
      for (const snapshot of [undefined, ...usable]) {
        const twin = this.log.prefix(end);
        const state = this.#stateOn(twin);
        twin.recover(state, snapshot);
        state.assertInvariants();
        assert.equal(state.fingerprint(), this.#fingerprints.get(end), "the fingerprint differs");
        if (snapshot !== undefined) snapshotCount += 1;
      }
    }
    return snapshotCount;
  }

  /** A step has ended. */
  protected note(): void {
    this.#fingerprints.set(this.log.endPosition, this.state.fingerprint());
  }

  /** Begins a snapshot, or writes its next section. */
  protected writeSnapshot(): void {
    if (this.#snapshot === undefined) {
      this.#snapshot = new MemorySnapshot(this.log);
      this.state.beginSnapshot();
      return;
    }
    if (this.state.nextSnapshotSection(this.#snapshot)) return;
    this.#snapshots.push(this.#snapshot);
    this.#snapshot = undefined;
  }

  /** Stops with everything committed, and starts from the newest snapshot. */
  protected reopen(): void {
    this.log = this.log.prefix(this.log.endPosition);
    this.state = this.#stateOn(this.log);
    this.log.recover(this.state, this.#snapshots.at(-1));
    this.#snapshot = undefined;
  }

  #stateOn(log: MemoryLog): BrokerState {
    return new BrokerState(log, { snapshotSectionBytes: this.#sectionBytes });
  }
}
