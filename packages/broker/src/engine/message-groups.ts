import { limits } from "../limits.ts";
import { laneOfKey } from "../state/row-key.ts";
import type { Consumer } from "./consumer.ts";

/** Whose a group is. */
interface GroupOwner {
  /** The group's id as its first message had it, for people. */
  readonly name: string;
  readonly consumer: Consumer;
  /** The first row of each lane that others passed over because of it. */
  readonly passed: number[];
}

/**
 * The message groups of one queue: each belongs to the consumer that got its first message, until that
 * consumer leaves, the group is closed, or groups are dealt out anew. Other consumers pass over its
 * messages; so an owner that takes nothing holds up its own groups and nothing else. Artemis stops there.
 *
 * Owners are in memory: after a restart groups are dealt out anew, as all consumers are new then.
 */
export class MessageGroups {
  /** By the group's number or its bucket's, the one used longest ago first. */
  readonly #owners = new Map<number, GroupOwner>();
  readonly #buckets: number;

  /** `buckets` groups at most are told apart; −1 for all of them. */
  constructor(buckets: number) {
    this.#buckets = buckets;
  }

  /** Groups that belong to somebody. */
  get count(): number {
    return this.#owners.size;
  }

  /** The groups that belong to somebody, by the id of their first message. */
  *owners(): Generator<readonly [name: string, consumer: Consumer]> {
    for (const { name, consumer } of this.#owners.values()) yield [name, consumer];
  }

  /** Whether the message `key` of a group may go to the consumer; if not, it is noted that it passes it. */
  admits(group: number, key: number, consumer: Consumer): boolean {
    const number = this.#numberOf(group);
    const owner = this.#owners.get(number);
    if (owner === undefined || owner.consumer === consumer) return true;
    notePassed(owner.passed, key);
    return false;
  }

  /** Who has the group; `undefined` for nobody. */
  ownerOf(group: number): Consumer | undefined {
    return this.#owners.get(this.#numberOf(group))?.consumer;
  }

  /** The consumer gets a message of the group: it is its owner from now on. */
  assign(group: number, name: string, consumer: Consumer): void {
    const number = this.#numberOf(group);
    if (this.#owners.size >= limits.groupsPerQueueMax) this.#forgetOldest();
    this.#owners.set(number, { name, consumer, passed: [] });
  }

  /** Notes that the group is in use, so that others are forgotten before it. */
  touch(group: number): void {
    if (this.#owners.size < limits.groupsPerQueueMax / 2) return;
    const number = this.#numberOf(group);
    const owner = this.#owners.get(number);
    if (owner === undefined) return;
    this.#owners.delete(number);
    this.#owners.set(number, owner);
  }

  /** The group belongs to nobody any more. Returns whether it did. */
  close(group: number): boolean {
    const number = this.#numberOf(group);
    const owner = this.#owners.get(number);
    if (owner === undefined) return false;
    this.#owners.delete(number);
    reopen(owner.consumer, owner.passed);
    return true;
  }

  /** No group belongs to anybody any more. */
  closeAll(): void {
    for (const [number, owner] of this.#owners) {
      this.#owners.delete(number);
      reopen(owner.consumer, owner.passed);
    }
  }

  /** The groups of a consumer that leaves belong to nobody any more. */
  forget(consumer: Consumer): void {
    for (const [number, owner] of this.#owners) {
      if (owner.consumer !== consumer) continue;
      this.#owners.delete(number);
      reopen(consumer, owner.passed);
    }
  }

  #forgetOldest(): void {
    for (const [number, owner] of this.#owners) {
      this.#owners.delete(number);
      reopen(owner.consumer, owner.passed);
      return;
    }
  }

  /** As in Artemis, `BucketMessageGroups`. */
  #numberOf(group: number): number {
    return this.#buckets > 0 ? (group & 0x7fff_ffff) % this.#buckets : group;
  }
}

/** Keeps the first row of each lane; rows of one lane are passed in their order, but for returned ones. */
function notePassed(passed: number[], key: number): void {
  for (let index = 0; index < passed.length; index += 1) {
    const other = passed[index] ?? 0;
    if (laneOfKey(other) !== laneOfKey(key)) continue;
    if (key < other) passed[index] = key;
    return;
  }
  passed.push(key);
}

/** Has the queue's consumers look again at rows that they passed over. */
function reopen(owner: Consumer, passed: readonly number[]): void {
  for (const consumer of owner.queue.consumers) {
    if (consumer.isBrowser) continue;
    for (const key of passed) consumer.cursor?.rewind(key);
  }
}
