export type { RequestSpec } from "@everhold/zookeeper-core";
