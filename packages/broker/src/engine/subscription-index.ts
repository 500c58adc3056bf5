import type { Provenance } from "./provenance.ts";
import { equalityKey, type Equality, type EqualityKey } from "../selector/equality-keys.ts";
import { MessageSource } from "../selector/message-source.ts";
import type { Selector } from "../selector/selector.ts";

/** A queue as the index knows it. */
export interface FilteredQueue {
  readonly selector: Selector | undefined;
}

/** Queues whose selectors have the same text: they are asked once. */
interface Group<Queue> {
  readonly selector: Selector;
  readonly queues: Set<Queue>;
  /** Where it is to be found; `undefined` for a group that is always asked. */
  readonly equality: Equality | undefined;
}

type Groups<Queue> = Set<Group<Queue>>;

/**
 * The multicast queues of one address by their selectors, so that a message asks few of many: a selector that
 * demands an equality (`type = 'x' AND …`) stands under that name and value, and is asked only when the
 * message has it. The others are asked each; a message's properties are decoded once for all of them.
 *
 * Sketch: with 1,000 selectors that each demand another value of one property, a send looks that property up,
 * then the value, then asks one selector. With 1,000 inequalities it evaluates 1,000 small trees, some 50 ns
 * each.
 */
export class SubscriptionIndex<Queue extends FilteredQueue> {
  /** Queues without a selector. */
  readonly #all = new Set<Queue>();
  readonly #groups = new Map<string, Group<Queue>>();
  readonly #groupOf = new Map<Queue, Group<Queue>>();
  readonly #byName = new Map<string, Map<EqualityKey, Groups<Queue>>>();
  readonly #rest: Groups<Queue> = new Set();
  readonly #found: Queue[] = [];

  /** Adds a queue, or finds it its new place after its selector changed. */
  add(queue: Queue): void {
    this.remove(queue);
    const { selector } = queue;
    if (selector === undefined) {
      this.#all.add(queue);
      return;
    }
    let group = this.#groups.get(selector.text);
    if (group === undefined) {
      group = { selector, queues: new Set(), equality: this.#choose(selector) };
      this.#groups.set(selector.text, group);
      this.#place(group);
    }
    group.queues.add(queue);
    this.#groupOf.set(queue, group);
  }

  /** Removes a queue, if it is there. */
  remove(queue: Queue): void {
    if (this.#all.delete(queue)) return;
    const group = this.#groupOf.get(queue);
    if (group === undefined) return;
    this.#groupOf.delete(queue);
    group.queues.delete(queue);
    if (group.queues.size > 0) return;
    this.#groups.delete(group.selector.text);
    this.#displace(group);
  }

  /**
   * The queues that want the message `MSG` at `bytes[start … end)`, which a divert may have `moved`. What it gives holds until the next call.
   */
  select(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    moved?: Provenance,
  ): readonly Queue[] {
    const found = this.#found;
    found.length = 0;
    for (const queue of this.#all) found.push(queue);
    if (this.#groups.size === 0) return found;
    const message = messageSource.reset(bytes, view, start, end, moved);
    for (const group of this.#rest) this.#ask(group, message);
    for (const [name, groups] of this.#byName) {
      const key = equalityKey(message.valueOf(name));
      const candidates = key === undefined ? undefined : groups.get(key);
      if (candidates === undefined) continue;
      for (const group of candidates) this.#ask(group, message);
    }
    return found;
  }

  #ask(group: Group<Queue>, message: MessageSource): void {
    if (!group.selector.isTrueFor(message)) return;
    for (const queue of group.queues) this.#found.push(queue);
  }

  /** Of several equalities the one that fewest have yet: one that all share would not tell them apart. */
  #choose(selector: Selector): Equality | undefined {
    let best: Equality | undefined;
    let fewest = Infinity;
    for (const equality of selector.equalities()) {
      const groups = this.#byName.get(equality.name);
      let count = 0;
      for (const key of equality.keys) count += 1 + (groups?.get(key)?.size ?? 0);
      if (count < fewest) {
        best = equality;
        fewest = count;
      }
    }
    return best;
  }

  #place(group: Group<Queue>): void {
    if (group.equality === undefined) {
      this.#rest.add(group);
      return;
    }
    const { name, keys } = group.equality;
    let groups = this.#byName.get(name);
    if (groups === undefined)
      this.#byName.set(name, (groups = new Map<EqualityKey, Groups<Queue>>()));
    for (const key of keys) {
      const sameKey = groups.get(key);
      if (sameKey === undefined) groups.set(key, new Set([group]));
      else sameKey.add(group);
    }
  }

  #displace(group: Group<Queue>): void {
    if (group.equality === undefined) {
      this.#rest.delete(group);
      return;
    }
    const { name, keys } = group.equality;
    const groups = this.#byName.get(name);
    if (groups === undefined) return;
    for (const key of keys) {
      const sameKey = groups.get(key);
      sameKey?.delete(group);
      if (sameKey?.size === 0) groups.delete(key);
    }
    if (groups.size === 0) this.#byName.delete(name);
  }
}

/** One serves all indexes: a selection is one synchronous step. */
const messageSource = new MessageSource();
