import { EverholdError } from "@everhold/base";

import { checkQueueKind } from "../core/queue-kind.ts";
import { limits } from "../limits.ts";
import { checkPrefetch, checkStreamAbove } from "../options.ts";
import type { ConsumerOptions } from "./consumer.ts";
import type { NewQueue } from "./queue-info.ts";

/**
 * Checks the name of an address, a queue or a subscription before anything is made for it: CORE can't carry
 * a longer one. Everything else about names is the broker's to say.
 *
 * @throws TypeError for what is no text; EverholdError EVH_INVALID_QUEUE for one that is too long
 */
export function checkName(attempt: string, name: string): string {
  if (typeof name !== "string") {
    throw new TypeError(
      `Cannot ${attempt}: found a name of type ${typeof name}, expected a string`,
    );
  }
  if (name.length <= limits.nameCharsMax) return name;
  throw new EverholdError(
    "EVH_INVALID_QUEUE",
    `Cannot ${attempt} ${name.slice(0, 40)}…: the name has ${name.length} characters, at most ${limits.nameCharsMax} can be sent`,
  );
}

/** Checks what a consumer was told. @throws EverholdError EVH_CONFIG naming the option */
export function checkConsumerOptions(options: ConsumerOptions): void {
  const { filter, ack, priority, prefetch, streamAbove } = options;
  if (prefetch !== undefined) checkPrefetch(prefetch);
  if (streamAbove !== undefined) checkStreamAbove(streamAbove);
  checkFilter(filter);
  if (ack !== undefined && ack !== "explicit" && ack !== "auto" && ack !== "pre") {
    throw optionError("ack", ack, '"explicit", "auto" or "pre"');
  }
  if (priority !== undefined && (priority | 0) !== priority) {
    throw optionError("priority", priority, "a whole number of 32 bits");
  }
}

/** Checks what a queue is to be like. @throws EverholdError EVH_CONFIG naming the option */
export function checkNewQueue(queue: NewQueue): void {
  const { filter, routing, maxConsumers } = queue;
  checkFilter(filter);
  checkQueueKind(queue);
  if (routing !== undefined && routing !== "anycast" && routing !== "multicast") {
    throw optionError("routing", routing, '"anycast" or "multicast"');
  }
  if (maxConsumers !== undefined && ((maxConsumers | 0) !== maxConsumers || maxConsumers < -1)) {
    throw optionError("maxConsumers", maxConsumers, "a whole number from -1 to 2147483647");
  }
}

/** Checks what is to be a selector; it is the broker that reads it. @throws EverholdError EVH_CONFIG */
export function checkFilter(filter: unknown): void {
  if (filter === undefined || filter === null || typeof filter === "string") return;
  throw optionError("filter", filter, "a selector in a string");
}

function optionError(name: string, found: unknown, expected: string): EverholdError {
  return new EverholdError(
    "EVH_CONFIG",
    `Cannot use the option ${name}: found ${String(found)}, expected ${expected}`,
  );
}
