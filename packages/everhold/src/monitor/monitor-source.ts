import type { QueueInfo } from "@everhold/broker";
import type { JournalHealth } from "@everhold/journal";
import type { MemberStatus } from "@everhold/member";

/** What a {@link Monitor} tells of. */
export interface MonitorSource {
  /** Whether clients are let in at this moment. */
  readonly isServing: boolean;
  readonly connectionCount: number;
  /** Of the journal's files; undefined while it is not open. */
  readonly health: JournalHealth | undefined;
  /** Every queue, by name; none while nobody is let in. */
  queues(): readonly QueueInfo[];
  /** Where the broker is one member of a group. */
  readonly member:
    | {
        readonly group: string;
        readonly status: MemberStatus;
        /** See `RunningMember.handOver`. */
        handOver(to: string): void;
        /** See `RunningMember.promoteUncleanly`. */
        promoteUncleanly(created: string, version: number): void;
      }
    | undefined;
}
