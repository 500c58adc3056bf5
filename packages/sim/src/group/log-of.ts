import type { MemberLog } from "@everhold/group";
import type { Host } from "./world.ts";

/** A batch that begins an epoch, up to the forty-eighth: what stands before the letters of writes in ASCII. */
export function epochBatch(epoch: number): string {
  return String.fromCharCode(0x30 + epoch);
}

/** What a member is told of the journal on its host. */
export function logOf({ log, durable }: Pick<Host, "log" | "durable">): MemberLog {
  const epochs = [...log].flatMap((batch, position) =>
    batch < "a" ? [{ epoch: batch.charCodeAt(0) - 0x30, position }] : [],
  );
  return {
    end: log.length,
    durable,
    epochs,
    oldestPosition: 0,
    // The whole beginning is the best of chain values.
    chainAt: (position) => (position <= log.length ? log.slice(0, position) : null),
  };
}
