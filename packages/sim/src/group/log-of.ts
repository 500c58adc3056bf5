import type { MemberLog } from "@everhold/group";
import type { Host } from "./world.ts";

/** What a member is told of the journal on its host. */
export function logOf({ log, durable }: Pick<Host, "log" | "durable">): MemberLog {
  const epochs = [...log].flatMap((letter, position) =>
    /\d/.test(letter) ? [{ epoch: Number(letter), position }] : [],
  );
  return {
    end: log.length,
    durable,
    epochs,
    // The whole beginning is the best of chain values.
    chainAt: (position) => (position <= log.length ? log.slice(0, position) : null),
  };
}
