import { zooKeeperErrors, type ZooKeeperReason } from "@everhold/zookeeper-core";

/** A request that a server refuses. */
export class Refusal extends Error {
  readonly errorCode: number;

  constructor(reason: ZooKeeperReason) {
    super(reason);
    this.errorCode = zooKeeperErrors[reason].number;
  }
}

/** What `step` gives, or the number of the error that it is refused with. */
export function resultOrCode<T>(step: () => T): T | number {
  try {
    return step();
  } catch (error) {
    if (error instanceof Refusal) return error.errorCode;
    throw error;
  }
}
