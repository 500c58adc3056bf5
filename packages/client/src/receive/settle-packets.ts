import { packets, settleActions, unsaidDelay, noCorrelation } from "@everhold/wire";
import { readNull, type Channel } from "../core/channel.ts";
import type { ReceivedMessage } from "./received-message.ts";

/** The feature of brokers that settle exactly one delivery: Everhold's. */
export const settleFeature = "settle/1";

/** A delivery, and the consumer that has it. */
export interface SettleTarget {
  readonly channel: Channel;
  readonly consumerId: number;
  readonly message: Pick<ReceivedMessage, "messageId">;
}

/** Gives one delivery back, counted; below 0 the settings of its address say when it comes again. */
export function sendRelease(target: SettleTarget, delayMs: number = unsaidDelay): Promise<unknown> {
  return sendSettle(target, settleActions.release, delayMs, null);
}

/** Refuses one delivery for good. */
export function sendReject(target: SettleTarget, reason: string | undefined): Promise<unknown> {
  return sendSettle(target, settleActions.reject, unsaidDelay, reason ?? null);
}

/** Gives back, uncounted, a delivery and all that came after it. */
export function sendGiveBack(target: SettleTarget): Promise<unknown> {
  return sendSettle(target, settleActions.giveBack, unsaidDelay, null);
}

/** As {@link sendRelease}, where nobody waits for the answer. */
export function sendQuietRelease({ channel, consumerId, message }: SettleTarget): void {
  const { messageId } = message;
  channel.send(packets.settle, {
    consumerId,
    messageId,
    action: settleActions.release,
    delayMs: unsaidDelay,
    reason: null,
    requiresResponse: false,
    correlationId: noCorrelation,
  });
}

/** What is given back when the connection breaks is back, whether the broker heard of it or not. */
export async function ignoringLoss(channel: Channel, answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    if (channel.lostError === undefined) throw error;
  }
}

function sendSettle(
  { channel, consumerId, message }: SettleTarget,
  action: number,
  delayMs: number,
  reason: string | null,
): Promise<unknown> {
  const { messageId } = message;
  const value = { consumerId, messageId, action, delayMs, reason };
  const answered = { ...value, requiresResponse: true, correlationId: noCorrelation };
  return channel.call(packets.settle, answered, `settle the message ${messageId}`, readNull);
}
