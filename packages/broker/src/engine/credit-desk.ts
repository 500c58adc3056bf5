import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import type { AddressSettings } from "../settings/setting-table.ts";
import { managementAddress } from "./broker-addresses.ts";
import { splitName } from "./catalog.ts";
import type { Engine } from "./engine.ts";
import type { LiveAddress } from "./live-queue.ts";
import type { Session } from "./session.ts";

interface CreditRequest {
  readonly session: Session;
  /** As the client wrote it: it finds its producers by this text. */
  readonly address: string;
  readonly credits: number;
}

/**
 * Gives producers the right to send. While an address or the disk is full,
 * requests wait here: that is the only back-pressure on producers that block.
 */
export class CreditDesk {
  readonly #engine: Engine;
  #waiting: CreditRequest[] = [];
  /** How many messages there were at the last look: fewer of them may mean room. */
  #messageCount = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Answers a request now, or later when there is room. */
  request(session: Session, address: string, credits: number): void {
    if (this.#hasRoom(address)) {
      session.sink.grantCredits(address, credits, false);
      return;
    }
    if (this.#settingsOf(address).addressFullPolicy === "fail") {
      session.sink.grantCredits(address, credits, true);
      return;
    }
    this.#waiting.push({ session, address, credits });
    if (this.#waiting.length > limits.creditRequestsMax) this.#grantOldest();
  }

  /** Answers requests when messages have gone since the last look. Cheap when none have. */
  grantIfRelieved(): void {
    const { messageCount } = this.#engine.state;
    const isRelieved = messageCount < this.#messageCount;
    this.#messageCount = messageCount;
    if (isRelieved) this.grantWaiting();
  }

  /** Answers the requests for which there is room by now. */
  grantWaiting(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const request of waiting) {
      if (request.session.isClosed) continue;
      if (this.#hasRoom(request.address)) {
        request.session.sink.grantCredits(request.address, request.credits, false);
      } else this.#waiting.push(request);
    }
  }

  /**
   * Refuses the send that was scanned last when there is no room for it. Producers that block are held
   * back by their credits instead, unless the disk itself is full.
   *
   * @throws EverholdError EVH_ADDRESS_FULL
   */
  checkRoom(address: LiveAddress): void {
    if (this.#engine.journal.diskFull) {
      throw new EverholdError(
        "EVH_ADDRESS_FULL",
        `cannot send to "${address.name}": the disk is full; consume, or make room`,
      );
    }
    this.checkMemory(address);
    const { maxSizeBytes, addressFullPolicy } = address.settings;
    if (maxSizeBytes < 0 || addressFullPolicy !== "fail") return;
    if (address.state.bytes < maxSizeBytes) return;
    throw new EverholdError(
      "EVH_ADDRESS_FULL",
      `cannot send to "${address.name}": it holds ${address.state.bytes} bytes, at most ${maxSizeBytes} are allowed`,
    );
  }

  /**
   * Refuses the send that was scanned last when there is no memory for it. What producers may still send
   * on the credits they hold has a little more room than new credits.
   *
   * @throws EverholdError EVH_ADDRESS_FULL
   */
  checkMemory(address: LiveAddress): void {
    const { memoryBytesMax } = this.#engine.config;
    // Addresses that are in memory only have no queue that is stored.
    const isForJournal = this.#engine.router.scan.durable && address.state.isStored;
    if (isForJournal || this.#memoryBytes <= memoryBytesMax + memoryBytesMax / 16) return;
    throw new EverholdError(
      "EVH_ADDRESS_FULL",
      `cannot send to "${address.name}": messages in memory take ${this.#memoryBytes} bytes, at most ${memoryBytesMax} are allowed`,
    );
  }

  get #memoryBytes(): number {
    return this.#engine.state.arena.allocatedBytes;
  }

  #hasRoom(name: string): boolean {
    // Who manages the broker may have to make room.
    if (name === managementAddress) return true;
    if (this.#engine.journal.diskFull) return false;
    if (this.#memoryBytes > this.#engine.config.memoryBytesMax) return false;
    const address = this.#engine.catalog.findAddress(splitName(name).address);
    if (address === undefined) return true;
    const { maxSizeBytes } = address.settings;
    return maxSizeBytes < 0 || address.state.bytes < maxSizeBytes;
  }

  #settingsOf(name: string): AddressSettings {
    const { catalog, settings } = this.#engine;
    return catalog.findAddress(splitName(name).address)?.settings ?? settings.of(name);
  }

  #grantOldest(): void {
    const oldest = this.#waiting.shift();
    oldest?.session.sink.grantCredits(oldest.address, oldest.credits, false);
  }
}
