import { EverholdError } from "@everhold/base";
import { settleActions } from "@everhold/wire";

import { limits } from "../limits.ts";
import type { Consumer } from "./consumer.ts";
import { rejected } from "./departures.ts";
import type { Engine } from "./engine.ts";

/** What is to become of one delivery. */
export interface SettleRequest {
  readonly messageId: number;
  /** One of `settleActions`. */
  readonly action: number;
  /** Milliseconds; below 0 as the settings of the address say. */
  readonly delayMs: number;
  /** Why it is rejected, for people; `null` for no reason. */
  readonly reason: string | null;
}

/**
 * Settles exactly one delivery, for which CORE has no packet: it is released, counted by itself and perhaps
 * to come again later, or rejected, or given back unseen together with what was delivered after it.
 *
 * It does so at once, in a transaction, too: a delivery that is not acknowledged belongs to no
 * transaction. Only a rejection may not come into a session with transacted acknowledgements, because it
 * could be rolled back no more; there the client sends a copy and acknowledges, which both wait for the commit.
 *
 * A delivery that the consumer does not hold, be it of an earlier session, of somebody else or settled
 * before, is refused, and nothing changes.
 *
 * @throws EverholdError EVH_ILLEGAL_STATE, EVH_REJECTED
 */
export function settleExactly(
  engine: Engine,
  consumer: Consumer | undefined,
  request: SettleRequest,
  isTransacted: boolean,
): void {
  const { messageId, action } = request;
  check(request, isTransacted);
  if (consumer === undefined) throw notHeld(messageId);
  const { queue, deliveries } = consumer;
  if (action === settleActions.giveBack) {
    const keys = deliveries.cutFrom(messageId);
    if (keys.length === 0) throw notHeld(messageId);
    engine.large.abort(consumer);
    if (consumer.readsOnly) engine.redelivery.recall(consumer, keys, false);
    else for (const key of keys) engine.redelivery.giveBack(queue, key, false);
    return;
  }
  const key = deliveries.remove(messageId);
  if (key < 0) throw notHeld(messageId);
  if (queue.isDeleted) return;
  // It may wait for what was handed out before.
  if (queue.gate !== undefined) engine.touch(queue);
  if (action === settleActions.release) release(engine, consumer, key, request.delayMs);
  else if (!consumer.readsOnly || queue.state.isReady(key)) {
    engine.redelivery.reject(queue, key, rejected(request.reason));
  }
}

function release(engine: Engine, consumer: Consumer, key: number, delayMs: number): void {
  // Where consumers take nothing away, the message stays for others, and waits for nobody.
  if (consumer.readsOnly) engine.redelivery.recall(consumer, [key], true);
  else engine.redelivery.giveBack(consumer.queue, key, true, delayMs);
}

function check({ messageId, action, delayMs }: SettleRequest, isTransacted: boolean): void {
  if (action !== settleActions.release && action !== settleActions.reject) {
    if (action === settleActions.giveBack) return;
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot settle the message ${messageId}: found the action ${action}, expected 0, 1 or 2`,
    );
  }
  if (delayMs > limits.releaseDelayMsMax) {
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot release the message ${messageId}: found a delay of ${delayMs} ms, at most ${limits.releaseDelayMsMax} are allowed`,
    );
  }
  if (action !== settleActions.reject || !isTransacted) return;
  throw new EverholdError(
    "EVH_ILLEGAL_STATE",
    `cannot reject the message ${messageId}: what its session acknowledges belongs to a transaction`,
  );
}

function notHeld(messageId: number): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `cannot settle the message ${messageId}: its consumer does not hold it`,
  );
}
