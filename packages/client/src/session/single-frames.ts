import { packets } from "@everhold/wire";
import type { SessionFlavour } from "../core/session-creation.ts";

/** A part that comes twice damages its message. */
const parts: readonly number[] = [packets.sendLarge.id, packets.sendContinuation.id];
/** Done twice they are refused, and one answer more than was asked for would be taken for another's. */
const answered: readonly number[] = [
  packets.acknowledge.id,
  packets.individualAcknowledge.id,
  packets.createAddress.id,
  packets.createQueueV2.id,
  packets.createSharedQueueV2.id,
  packets.deleteQueue.id,
  packets.xaPrepare.id,
  packets.xaCommit.id,
  packets.xaRollback.id,
];
/** Duplicate ids tell a repeated send from the first only when that one was committed. */
const transacted: readonly number[] = [...parts, packets.send.id];

/**
 * Ids of the packets that a session must not have handled twice. Others may be: durable sends have duplicate ids,
 * the answer to a commit says to which it belongs, and questions change nothing.
 */
export function singleFrames({ autoCommitSends, isXa }: SessionFlavour): readonly number[] {
  if (autoCommitSends) return [...parts, ...answered];
  return isXa === true ? [...transacted, ...answered] : transacted;
}
