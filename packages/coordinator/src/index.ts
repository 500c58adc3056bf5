/**
 * Layer 3: who leads a replication group, settled on ZooKeeper (open `zookeeper-coordinator.ts` first), or in a folder
 * where all its members are on one machine (`local/local-coordinator.ts`).
 */
export { LocalCoordinator, type LocalCoordinatorOptions } from "./local/local-coordinator.ts";
export { ZooKeeperCoordinator, type ZooKeeperCoordinatorOptions } from "./zookeeper-coordinator.ts";
