/** Where an epoch begins in a journal: where the log ended when the record that begins it was appended. */
export interface EpochStart {
  readonly epoch: number;
  readonly position: number;
}

/** The epochs of a journal and where each begins, oldest first. */
export class EpochStarts {
  #all: readonly EpochStart[] = [];

  get all(): readonly EpochStart[] {
    return this.#all;
  }

  /** The epoch of the newest batch; 0 before the first. */
  get last(): number {
    return this.#all.at(-1)?.epoch ?? 0;
  }

  /** A batch of `epoch` goes where the log ends: at `position`. */
  note(epoch: number, position: number): void {
    if (epoch > this.last) this.#all = [...this.#all, { epoch, position }];
  }

  /** Takes over what a snapshot holds. */
  restore(all: readonly EpochStart[]): void {
    this.#all = all;
  }

  /** Forgets what lies at `position` and behind it. */
  cut(position: number): void {
    this.#all = this.#all.filter((start) => start.position < position);
  }
}
