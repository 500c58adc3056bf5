import { EverholdError } from "@everhold/base";
import type { Log } from "@everhold/env";

import type { LiveAddress } from "./live-queue.ts";

/** Whether an address holds as much as it may, in bytes or in messages. */
export function isAddressFull({ settings, state }: LiveAddress): boolean {
  const { maxSizeBytes, maxSizeMessages } = settings;
  if (maxSizeBytes >= 0 && state.bytes >= maxSizeBytes) return true;
  return maxSizeMessages >= 0 && state.messageCount >= maxSizeMessages;
}

/**
 * What becomes of a message that is sent to an address, as far as the address's own limits go. Source of
 * the policies: Artemis, `PagingStoreImpl`.
 *
 * | `addressFullPolicy` | full address |
 * |---|---|
 * | `block` | producers get no more credit; what they still have credit for is taken, up to `maxSizeBytesRejectThreshold` |
 * | `fail` | refused |
 * | `drop` | confirmed and dropped, counted, and one warning until there is room again |
 * | `page` | taken: bodies of durable messages are on the disk anyway, others stay in memory |
 */
export class AddressLimits {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Refuses a send that the address has no room for. @throws EverholdError EVH_ADDRESS_FULL */
  check(address: LiveAddress): void {
    const { addressFullPolicy, maxSizeBytesRejectThreshold } = address.settings;
    if (addressFullPolicy === "fail") {
      if (isAddressFull(address)) throw fullError(address);
      return;
    }
    if (addressFullPolicy !== "block" || maxSizeBytesRejectThreshold < 0) return;
    if (address.state.bytes <= maxSizeBytesRejectThreshold) return;
    throw new EverholdError(
      "EVH_ADDRESS_FULL",
      `cannot send to "${address.name}": it holds ${address.state.bytes} bytes, sends are refused above ${maxSizeBytesRejectThreshold}`,
    );
  }

  /** Whether a send that the address has no room for is dropped. */
  drops(address: LiveAddress): boolean {
    if (address.settings.addressFullPolicy !== "drop") return false;
    if (!isAddressFull(address)) {
      address.isDropping = false;
      return false;
    }
    if (!address.isDropping) {
      address.isDropping = true;
      const { name, state, settings } = address;
      this.#log.warn("An address is full, messages sent to it are dropped", {
        address: name,
        bytes: state.bytes,
        bytesMax: settings.maxSizeBytes,
        messages: state.messageCount,
        messagesMax: settings.maxSizeMessages,
      });
    }
    return true;
  }
}

function fullError({ name, state, settings }: LiveAddress): EverholdError {
  const { maxSizeBytes, maxSizeMessages } = settings;
  const isForBytes = maxSizeBytes >= 0 && state.bytes >= maxSizeBytes;
  const found = isForBytes ? `${state.bytes} bytes` : `${state.messageCount} messages`;
  return new EverholdError(
    "EVH_ADDRESS_FULL",
    `cannot send to "${name}": it holds ${found}, at most ${isForBytes ? maxSizeBytes : maxSizeMessages} are allowed`,
  );
}
