import { correlationId, optionalText } from "../core-fields.ts";
import { boolean, i64, u8 } from "../fields.ts";
import { packet } from "../packet.ts";

/** What SETTLE does with a delivery. */
export const settleActions = {
  /** Gives it back, counted as an attempt. */
  release: 0,
  /** Refuses it for good: it goes to the dead letters. */
  reject: 1,
  /** Gives it back uncounted, and all that was delivered to the consumer after it. */
  giveBack: 2,
} as const;

/** What a SETTLE says that leaves the delay to the settings of the address. */
export const unsaidDelay = -1;

/**
 * Packets that only Everhold brokers and clients exchange, each after its feature was named on the
 * connection: `settle/1`.
 */
export const everholdPackets = {
  settle: packet(
    0xa4,
    {
      name: "EVERHOLD_SETTLE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "One delivery is given back (action 0: counted as an attempt, to be delivered again after `delayMs`, −1 as the address is set), refused (1: dead-lettered with `reason`), or given back uncounted with all that came to the consumer after it (2). A delivery that the consumer does not hold is refused and nothing changes",
    },
    {
      consumerId: i64,
      messageId: i64,
      action: u8,
      delayMs: i64,
      reason: optionalText,
      requiresResponse: boolean,
      correlationId,
    },
  ),
} as const;
