/** Layer 5: the simulated world. Virtual time, faulty networks and disks, all from one seed. */
export type { DiskFaultCounts, DiskFaults } from "./disk/disk-faults.ts";
export type { DiskEvent, DiskScheduler, InFlightFate } from "./disk/disk-machine.ts";
export { SimDisk, type SimDiskOptions } from "./disk/sim-disk.ts";
export { limits } from "./limits.ts";
export { SimNetwork, type Latency } from "./network/sim-network.ts";
export { FaultSchedule, type FaultKind } from "./world/faults.ts";
export { Machine, type MachineDisk, type MachineOptions } from "./world/machine.ts";
export type {
  ChangeView,
  EnsembleEvent,
  EnsembleOptions,
  EnsemblePorts,
  NodeView,
  Range,
  ServerVersion,
  ZooKeeperEnsemble,
} from "./zookeeper/ensemble-types.ts";
export { EnsembleMachines } from "./zookeeper/ensemble-machines.ts";
export { ModelEnsemble } from "./zookeeper/model-ensemble.ts";
export { Trace } from "./world/trace.ts";
export {
  World,
  type Failure,
  type RunEnd,
  type RunUntil,
  type WorldOptions,
} from "./world/world.ts";
