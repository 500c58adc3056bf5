import { EverholdError } from "@everhold/base";
import type { MonotonicClock } from "@everhold/env";

import { limits } from "../limits.ts";
import { AddressLimits, isAddressFull } from "./address-limits.ts";
import { managementAddress } from "./broker-addresses.ts";
import { splitName } from "./names.ts";
import type { Engine } from "./engine.ts";
import type { LiveAddress } from "./live-queue.ts";
import type { Session } from "./session.ts";

/** Sessions that wait for credit for one address, first come first served, and how much each wants. */
type WaitingSessions = Map<Session, number>;

/**
 * Gives producers the right to send. While an address, the memory or the disk is full, requests wait here:
 * that is the only back-pressure on producers that block.
 *
 * Those who wait for one address are served in the order in which they came, however much they want. When
 * there is room again only as much is granted as there is room for: a thousand producers that wait
 * do not all rush in after one message has gone. What was granted counts until it is used, at most for
 * a second, for a producer that got credit need not use it.
 *
 * So an address with `maxSizeBytes` holds at most that, and what its producers held credit for when it
 * became full or left unused since, and one request more. `maxSizeBytesRejectThreshold` is the hard bound.
 */
export class CreditDesk {
  readonly #engine: Engine;
  readonly #clock: MonotonicClock;
  /** By the address as the client wrote it: it finds its producers by this text. */
  readonly #waiting = new Map<string, WaitingSessions>();
  #waitingCount = 0;
  readonly #limits: AddressLimits;
  /** How many messages there were at the last look: fewer of them may mean room. */
  #messageCount = 0;
  /** Granted to those who waited for memory, and since when. */
  #promisedBytes = 0;
  #promisedMs = 0;

  constructor(engine: Engine, clock: MonotonicClock) {
    this.#engine = engine;
    this.#clock = clock;
    this.#limits = new AddressLimits(engine.log);
  }

  /** Requests that wait. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** Answers a request now, or later when there is room. */
  request(session: Session, name: string, credits: number): void {
    const waiting = this.#waiting.get(name);
    // Whoever waits was here first.
    if (waiting === undefined && this.#hasRoom(this.#find(name), name)) {
      session.sink.grantCredits(name, credits, false);
      return;
    }
    const isRefused = this.#policyOf(name) === "fail";
    if (isRefused || this.#waitingCount >= limits.creditRequestsMax) {
      session.sink.grantCredits(name, credits, true);
      return;
    }
    const sessions = waiting ?? new Map<Session, number>();
    if (waiting === undefined) this.#waiting.set(name, sessions);
    const before = sessions.get(session);
    sessions.set(session, (before ?? 0) + credits);
    if (before === undefined) this.#waitingCount += 1;
  }

  /** A session is closed: its requests go. */
  forget(session: Session): void {
    if (this.#waitingCount === 0) return;
    for (const [name, sessions] of this.#waiting) {
      if (!sessions.delete(session)) continue;
      this.#waitingCount -= 1;
      if (sessions.size === 0) this.#waiting.delete(name);
    }
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
    if (this.#waiting.size === 0 || this.#engine.journal.diskFull) return;
    const nowMs = this.#clock.nowMs();
    if (isOver(this.#promisedMs, nowMs)) this.#promisedBytes = 0;
    for (const name of [...this.#waiting.keys()]) {
      if (!this.#hasMemory(this.#promisedBytes)) return;
      this.#serve(name, nowMs);
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
    this.checkLimits(address);
  }

  /**
   * As {@link checkRoom} as far as the address's own limits go: for what is in the broker already, and takes
   * no more memory or disk than it does.
   * @throws EverholdError EVH_ADDRESS_FULL
   */
  checkLimits(address: LiveAddress): void {
    this.#limits.check(address);
    const { wildcards } = this.#engine.catalog;
    if (wildcards.count === 0) return;
    for (const wild of address.wildcardsOf(wildcards)) this.#limits.check(wild);
  }

  /**
   * Refuses to commit sends of so many bytes that were taken before the disk was full, when they would use up
   * what acknowledgements live on: only these make room.
   *
   * @throws EverholdError EVH_ADDRESS_FULL
   */
  checkReserve(sendBytes: number): void {
    const { diskFull, preparedBytes } = this.#engine.journal;
    if (!diskFull || sendBytes * 2 <= preparedBytes) return;
    throw new EverholdError(
      "EVH_ADDRESS_FULL",
      `cannot commit: the disk is full, and the messages sent take ${sendBytes} bytes, at most half of the reserve, ${preparedBytes}, is for them`,
    );
  }

  /** Whether the send that was scanned last is taken and goes nowhere, because its address is full. */
  drops(address: LiveAddress): boolean {
    return this.#limits.drops(address);
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

  /** Grants to those who wait for one address, in order, as far as there is room. */
  #serve(name: string, nowMs: number): void {
    const sessions = this.#waiting.get(name);
    if (sessions === undefined) return;
    const address = this.#find(name);
    const isRefused = address?.settings.addressFullPolicy === "fail" && isAddressFull(address);
    if (address !== undefined && isOver(address.promisedMs, nowMs)) address.promisedBytes = 0;
    // Their number is what is left where messages are counted: nobody knows how many each will send.
    let count = address === undefined ? Infinity : countLeft(address);
    for (const [session, credits] of sessions) {
      const hasRoom = count > 0 && this.#hasRoom(address, name) && hasBytesLeft(address);
      if (!isRefused && (!hasRoom || !this.#hasMemory(this.#promisedBytes))) break;
      sessions.delete(session);
      this.#waitingCount -= 1;
      session.sink.grantCredits(name, credits, isRefused);
      if (isRefused) continue;
      count -= 1;
      this.#promise(address, credits, nowMs);
    }
    this.#waiting.delete(name);
    // The others come first the next time, when it was memory that ended this round.
    if (sessions.size > 0) this.#waiting.set(name, sessions);
  }

  #promise(address: LiveAddress | undefined, credits: number, nowMs: number): void {
    if (this.#promisedBytes === 0) this.#promisedMs = nowMs;
    this.#promisedBytes += credits;
    if (address === undefined) return;
    if (address.promisedBytes === 0) address.promisedMs = nowMs;
    address.promisedBytes += credits;
  }

  get #memoryBytes(): number {
    return this.#engine.state.arena.allocatedBytes;
  }

  #hasMemory(promisedBytes: number): boolean {
    const { memoryBytesMax } = this.#engine.config;
    // What was promised counts only near the limit: most of what is sent never takes memory.
    if (this.#memoryBytes > memoryBytesMax) return false;
    return (
      this.#memoryBytes * 2 <= memoryBytesMax || this.#memoryBytes + promisedBytes <= memoryBytesMax
    );
  }

  #hasRoom(address: LiveAddress | undefined, name: string): boolean {
    // Who manages the broker may have to make room.
    if (name === managementAddress) return true;
    if (this.#engine.journal.diskFull || !this.#hasMemory(0)) return false;
    if (address === undefined) return true;
    const { addressFullPolicy } = address.settings;
    if (addressFullPolicy === "drop" || addressFullPolicy === "page") return true;
    if (isAddressFull(address)) return false;
    const { wildcards } = this.#engine.catalog;
    // What is sent to it goes to these as well.
    return address.wildcardsOf(wildcards).every((wild) => this.#hasRoom(wild, wild.name));
  }

  #find(name: string): LiveAddress | undefined {
    return this.#engine.catalog.findAddress(splitName(name).address);
  }

  #policyOf(name: string): string {
    return (this.#find(name)?.settings ?? this.#engine.settings.of(name)).addressFullPolicy;
  }
}

/** Whether what was promised then counts no more. */
function isOver(promisedMs: number, nowMs: number): boolean {
  return nowMs - promisedMs > limits.promisedCreditMs;
}

function hasBytesLeft(address: LiveAddress | undefined): boolean {
  if (address === undefined) return true;
  const { maxSizeBytes, addressFullPolicy } = address.settings;
  if (maxSizeBytes < 0 || addressFullPolicy !== "block") return true;
  return address.state.bytes + address.promisedBytes < maxSizeBytes;
}

function countLeft({ settings, state }: LiveAddress): number {
  const { maxSizeMessages, addressFullPolicy } = settings;
  if (maxSizeMessages < 0 || addressFullPolicy !== "block") return Infinity;
  return maxSizeMessages - state.messageCount;
}
