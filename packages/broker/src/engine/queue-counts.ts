/**
 * What has become of the messages of a queue since the broker started, or since somebody set a count back
 * to 0. In memory only; what a restart finds in the queue counts as added.
 *
 * Each message that was added is acknowledged, expired, killed, replaced, or still there. So nothing is counted
 * when one is acknowledged, and those that were removed, moved or purged count as acknowledged, too.
 */
export class QueueCounts {
  /** Messages that came, counted by whoever adds a row. */
  addedTotal: number;
  /** Messages that expired. */
  expiredTotal = 0;
  /** Messages that were delivered too often, or sent to the dead-letter address. */
  killedTotal = 0;
  /** Messages that gave way to newer ones. */
  replacedTotal = 0;
  #addedBase = 0;
  #acknowledgedBase = 0;
  #expiredBase = 0;
  #killedBase = 0;

  constructor(messageCount: number) {
    this.addedTotal = messageCount;
  }

  get added(): number {
    return this.addedTotal - this.#addedBase;
  }

  get expired(): number {
    return this.expiredTotal - this.#expiredBase;
  }

  get killed(): number {
    return this.killedTotal - this.#killedBase;
  }

  /** `messageCount` is how many are there now. */
  acknowledged(messageCount: number): number {
    return this.#acknowledgedTotal(messageCount) - this.#acknowledgedBase;
  }

  resetAdded(): void {
    this.#addedBase = this.addedTotal;
  }

  resetExpired(): void {
    this.#expiredBase = this.expiredTotal;
  }

  resetKilled(): void {
    this.#killedBase = this.killedTotal;
  }

  resetAcknowledged(messageCount: number): void {
    this.#acknowledgedBase = this.#acknowledgedTotal(messageCount);
  }

  #acknowledgedTotal(messageCount: number): number {
    const { addedTotal, expiredTotal, killedTotal, replacedTotal } = this;
    return addedTotal - expiredTotal - killedTotal - replacedTotal - messageCount;
  }
}
