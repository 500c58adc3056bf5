/** Layer 3: who leads a replication group, settled on ZooKeeper. Open `zookeeper-coordinator.ts` first. */
export { ZooKeeperCoordinator, type ZooKeeperCoordinatorOptions } from "./zookeeper-coordinator.ts";
