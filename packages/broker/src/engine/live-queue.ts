import { limits } from "../limits.ts";
import type { Selector } from "../selector/selector.ts";
import type { AddressSettings } from "../settings/setting-table.ts";
import type { SettingsTable } from "../settings/settings-by-match.ts";
import type { AddressState } from "../state/address-state.ts";
import type { QueueState } from "../state/queue-state.ts";
import type { RowView } from "../state/row-bodies.ts";
import { ScanCursor } from "../state/scan-cursor.ts";
import type { ClientLink } from "./client-link.ts";
import type { Consumer } from "./consumer.ts";
import { DispatchGate } from "./dispatch-gate.ts";
import { Holds } from "./holds.ts";
import { MessageGroups } from "./message-groups.ts";
import { diversionOf } from "./diversion.ts";
import type { Divert, Diverts } from "./diverts.ts";
import type { Provenance } from "./provenance.ts";
import { QueueCounts } from "./queue-counts.ts";
import { traitsOf, type QueueTraits } from "./queue-traits.ts";
import { SubscriptionIndex } from "./subscription-index.ts";
import type { WildcardAddresses } from "./wildcard-addresses.ts";

/** What the engine keeps of a queue beside its state: who consumes, and what the pump waits for. */
export class LiveQueue {
  readonly state: QueueState;
  readonly address: LiveAddress;
  /** What kind of queue it is. */
  traits: QueueTraits;
  /** The queue's own filter; it decides at routing. */
  selector: Selector | undefined;
  /** What has become of its messages. */
  readonly counts: QueueCounts;
  /** The connection that a temporary queue belongs to; another one when its client comes back on that. */
  owner: ClientLink | undefined;
  /** Highest consumer priority first, then in the order in which they came. Browsers included. */
  readonly consumers: Consumer[] = [];
  /** Where those of each priority end in `consumers`. */
  readonly priorityEnds: number[] = [];
  /** Consumers that look further than the head of the queue: browsers, those with a filter, and others. */
  cursorCount = 0;
  /** Whether any of them may wait for the answer to a forced delivery. */
  mayAwaitMarker = false;
  /** Consumers that take messages away; browsers do not. */
  takerCount = 0;
  /** Where the next round of consumers begins. */
  rotation = 0;
  /** The one consumer that an exclusive queue gives its messages to, until it goes. */
  #onlyTaker: Consumer | undefined;
  /** In the engine's list of queues to pump. */
  isTouched = false;
  /** In the engine's list of queues to pump after the next commit. */
  isAwaitingCommit = false;
  /** In the engine's list of queues with new rows, whose dispatch limits may have to be raised. */
  hasNewRows = false;
  /** Behind the newest record that the queue waits for. */
  newestPosition = 0;
  /** Messages that those behind them wait for; undefined for none. */
  #holds: Holds | undefined;
  /** Those that only the rest of their message group waits for, by group. */
  #groupHolds: Map<number, Holds> | undefined;
  /** Who gets which message group; made with the first message of one. */
  groups: MessageGroups | undefined;
  /** Says when the queue may begin to hand out; `undefined` for always. */
  gate: DispatchGate | undefined;
  /** Sessions of before the restart that are to come back before anything is handed out. */
  awaitedCount = 0;
  /** Those that did not come in time, and what of before the restart others have got since, by message id. */
  lateCount = 0;
  handedOutSince: Set<number> | undefined;
  /** Deliveries of returning sessions whose consumers are to come. */
  heldCount = 0;
  /** Such sessions whose consumers are to come: until then it counts as one that has a consumer. */
  keptCount = 0;
  /** In the list of queues that may hold too much. */
  isOverfull = false;
  /** In such a queue, what came back in this step. */
  readonly returnedKeys: number[] = [];
  /** Nothing is handed out, except to browsers. Not kept over a restart. */
  isPaused: boolean;
  /** A message's bytes are being read from the disk; the pump waits. */
  isLoading = false;
  /** A message's bytes turned out to be damaged: nothing is delivered before they are tried again, at the next scan. */
  isBroken = false;
  isDeleted = false;
  /** A shared subscription that is not durable: it ends with its last consumer. */
  isTransient = false;
  /** Whether messages may have been moved here, which need their expiration taken away. */
  mayHoldMoved: boolean;
  /** Whether it has had a consumer, which makes it a candidate for automatic deletion. */
  wasConsumed = false;
  /** When a scan found it unused first, of those that did so in a row. */
  unusedSinceMs: number | undefined;

  constructor(
    state: QueueState,
    address: LiveAddress,
    selector: Selector | undefined,
    owner: ClientLink | undefined,
    mayHoldMoved: boolean,
  ) {
    this.state = state;
    this.address = address;
    this.traits = traitsOf(state.definition);
    this.gate = isGated(this.traits) ? new DispatchGate(false) : undefined;
    this.selector = selector;
    this.owner = owner;
    this.mayHoldMoved = mayHoldMoved;
    this.counts = new QueueCounts(state.messageCount);
    this.isPaused = address.isPaused;
  }

  get name(): string {
    return this.state.definition.name;
  }

  /** Whether what comes to it is dropped: while it is disabled, or nobody consumes from it and it is to be empty then. */
  get keepsNothing(): boolean {
    return this.state.definition.enabled === false || this.isToBeEmpty;
  }

  /** Whether nobody consumes from it, and it is to be empty then. */
  get isToBeEmpty(): boolean {
    if (this.takerCount > 0 || this.keptCount > 0) return false;
    return this.state.definition.purgeOnNoConsumers;
  }

  /** Whether it waits for sessions that come back: all of it, or what would overtake what they hold. */
  get isAwaiting(): boolean {
    if (this.awaitedCount > 0) return true;
    return this.heldCount > 0 && (this.groups !== undefined || this.traits.isExclusive);
  }

  /** Messages as people are shown it: of a last-value queue without those in consumers' hands. As in Artemis. */
  get messageCount(): number {
    const { messageCount, inFlightCount } = this.state;
    return this.traits.lastValueKey === undefined ? messageCount : messageCount - inFlightCount;
  }

  /** Whether messages have to go when others come. */
  get limitsItself(): boolean {
    return this.traits.ringSize >= 0 || this.traits.lastValueKey !== undefined;
  }

  /**
   * Its attributes have changed. Consumers that are there stay as they are. Who waits for whom may be
   * another one now: messages that hold others are to be found anew.
   */
  redefine(): void {
    const before = this.traits;
    this.traits = traitsOf(this.state.definition);
    this.#holds = undefined;
    this.#groupHolds = undefined;
    this.lookAgain();
    if (before.groupBuckets !== this.traits.groupBuckets) this.#endGroups();
    if (isGated(this.traits)) this.gate ??= new DispatchGate(this.takerCount > 0);
    else {
      this.gate?.close();
      this.gate = undefined;
    }
  }

  /**
   * Tells message groups apart from now on, if it is to and holds messages of any: each consumer looks for
   * those that are for it.
   */
  beginGroups(): void {
    if (!tellsGroups(this.traits)) return;
    this.groups = new MessageGroups(this.traits.groupBuckets);
    for (const consumer of this.consumers) {
      if (consumer.cursor !== undefined) continue;
      consumer.cursor = new ScanCursor();
      this.cursorCount += 1;
    }
  }

  #endGroups(): void {
    this.groups?.closeAll();
    this.groups = undefined;
  }

  /** Adds a consumer behind those of its priority and above those of a lower one. */
  addConsumer(consumer: Consumer): void {
    let index = this.consumers.findIndex((one) => one.priority < consumer.priority);
    if (index < 0) index = this.consumers.length;
    this.consumers.splice(index, 0, consumer);
    this.#markPriorities();
    if (consumer.cursor !== undefined) this.cursorCount += 1;
    this.unusedSinceMs = undefined;
    if (consumer.isBrowser) return;
    this.takerCount += 1;
    this.wasConsumed = true;
    if (this.traits.rebalancesGroups) {
      this.groups?.closeAll();
      if (this.traits.pausesToRebalance) this.gate?.close();
    }
    this.gate?.consumerAdded(this, consumer.createdMs);
  }

  /** Whether messages may wait for one before them that comes again later. */
  get hasHolds(): boolean {
    return this.#holds !== undefined || this.#groupHolds !== undefined;
  }

  /** What stands behind a message that was delayed waits for it. */
  hold(key: number): void {
    const group = this.#groupOf(key);
    if (group !== 0) {
      this.#groupHolds ??= new Map();
      const holds = this.#groupHolds.get(group) ?? new Holds(this.state);
      this.#groupHolds.set(group, holds);
      holds.add(key);
      return;
    }
    this.#holds ??= new Holds(this.state);
    this.#holds.add(key);
  }

  /** Whether a message waits for one before it. */
  isHeldBack(key: number): boolean {
    const group = this.#groupOf(key);
    if (group !== 0) return this.#isHeldInGroup(key, group);
    if (this.#holds === undefined) return false;
    const first = this.#holds.first();
    if (first < 0) this.#holds = undefined;
    return first >= 0 && this.state.isBefore(first, key);
  }

  #isHeldInGroup(key: number, group: number): boolean {
    const first = this.#groupHolds?.get(group)?.first() ?? -1;
    if (first >= 0) return this.state.isBefore(first, key);
    this.#groupHolds?.delete(group);
    if (this.#groupHolds?.size === 0) this.#groupHolds = undefined;
    return false;
  }

  /** The group that a message waits with; 0 where groups are not told apart. */
  #groupOf(key: number): number {
    return tellsGroups(this.traits) ? this.state.groupOf(key) : 0;
  }

  /** Consumers look again at what they passed over. */
  lookAgain(): void {
    for (const consumer of this.consumers) {
      // Others would get again what they have seen.
      if (!consumer.isBrowser && !consumer.readsOnly) consumer.cursor?.reset();
    }
  }

  /** What is to be said of a row besides what its message says; nothing when it was sent here. */
  provenanceOf(row: RowView): Provenance | undefined {
    const isFinal = row.expirationMs === 0;
    const { messageId, origin, cause } = row;
    if (origin === "" && cause === "" && !(this.mayHoldMoved && isFinal)) return undefined;
    const addressName = diversionOf(cause)?.address ?? this.address.name;
    return { addressName, messageId, originQueue: origin, cause, isFinal };
  }

  /** Removes a consumer, if it is still there. */
  removeConsumer(consumer: Consumer): void {
    const index = this.consumers.indexOf(consumer);
    if (index < 0) return;
    this.consumers.splice(index, 1);
    this.#markPriorities();
    if (consumer.cursor !== undefined) this.cursorCount -= 1;
    if (consumer.isBrowser) return;
    this.takerCount -= 1;
    if (this.takerCount === 0) this.gate?.close();
    this.groups?.forget(consumer);
    if (this.#onlyTaker === consumer) this.#onlyTaker = undefined;
  }

  /**
   * Who gets all messages of an exclusive queue. One that comes later does not take over, whatever its
   * priority: what the first one holds would be overtaken.
   */
  onlyTaker(): Consumer | undefined {
    this.#onlyTaker ??= this.consumers.find((consumer) => !consumer.isBrowser);
    return this.#onlyTaker;
  }

  /** The consumer has messages of an exclusive queue in its hands: it gets the others as well. */
  resumeTaker(consumer: Consumer): void {
    if (this.traits.isExclusive) this.#onlyTaker = consumer;
  }

  #markPriorities(): void {
    const { consumers, priorityEnds } = this;
    priorityEnds.length = 0;
    for (let index = 0; index < consumers.length; index += 1) {
      const isLast = consumers[index + 1]?.priority !== consumers[index]?.priority;
      if (isLast) priorityEnds.push(index + 1);
    }
  }
}

/** What the engine keeps of an address: its queues by how they are routed to. */
export class LiveAddress {
  readonly state: AddressState;
  readonly #table: SettingsTable;
  #settings: AddressSettings;
  #settingsVersion: number;
  #wildcards: readonly LiveAddress[] = [];
  #wildcardsVersion = 0;
  #diverts: readonly Divert[] = [];
  #divertsVersion = 0;
  readonly anycast: LiveQueue[] = [];
  readonly multicast: LiveQueue[] = [];
  /** The multicast queues by their selectors; `undefined` while there are few, or none has one. */
  subscriptions: SubscriptionIndex<LiveQueue> | undefined;
  /** Where the next round of anycast queues begins. */
  rotation = 0;
  isDeleted = false;
  /** When it lost its last queue. */
  emptySinceMs = 0;
  /** Its queues were paused, those that come as well. */
  isPaused = false;
  /** Messages that went to a queue, and those that went to none, since the broker started. */
  routedCount = 0;
  unroutedCount = 0;
  /** Messages that were dropped because it was full, since the broker started. */
  droppedCount = 0;
  /** Whether the last one was dropped. */
  isDropping = false;
  /** Credit that producers who waited have got and not used, as of that time. */
  promisedBytes = 0;
  promisedMs = 0;

  constructor(state: AddressState, table: SettingsTable) {
    this.state = state;
    this.#table = table;
    this.#settings = table.of(state.name);
    this.#settingsVersion = table.version;
  }

  /** What holds for it and its queues now. Looked up anew only when settings have changed. */
  get settings(): AddressSettings {
    if (this.#settingsVersion !== this.#table.version) {
      this.#settingsVersion = this.#table.version;
      this.#settings = this.#table.of(this.state.name);
    }
    return this.#settings;
  }

  get name(): string {
    return this.state.name;
  }

  /** The addresses that stand for this one as well, `news.#` for `news.eu`. Looked up anew only when some changed. */
  wildcardsOf(all: WildcardAddresses<LiveAddress>): readonly LiveAddress[] {
    if (this.#wildcardsVersion !== all.version) {
      this.#wildcardsVersion = all.version;
      this.#wildcards = all.matching(this.name);
    }
    return this.#wildcards;
  }

  /** Its diverts, exclusive ones first. Looked up anew only when some changed. */
  divertsOf(all: Diverts): readonly Divert[] {
    if (this.#divertsVersion !== all.version) {
      this.#divertsVersion = all.version;
      this.#diverts = all.of(this.name);
    }
    return this.#diverts;
  }

  /** Routes to a queue from now on, as its definition says. */
  addQueue(queue: LiveQueue): void {
    if (queue.state.definition.routingType === "anycast") {
      this.anycast.push(queue);
      return;
    }
    this.multicast.push(queue);
    if (this.subscriptions !== undefined) this.subscriptions.add(queue);
    else if (this.#isToBeIndexed(queue)) {
      this.subscriptions = new SubscriptionIndex();
      for (const one of this.multicast) this.subscriptions.add(one);
    }
  }

  /** Routes to a queue no more. */
  removeQueue(queue: LiveQueue): void {
    removeFrom(this.anycast, queue);
    removeFrom(this.multicast, queue);
    this.subscriptions?.remove(queue);
  }

  /** Looks at all queues only once they are as many as that: later ones are looked at as they come. */
  #isToBeIndexed(newest: LiveQueue): boolean {
    const count = this.multicast.length;
    if (count < limits.indexedQueuesMin) return false;
    if (count > limits.indexedQueuesMin) return newest.selector !== undefined;
    return this.multicast.some((queue) => queue.selector !== undefined);
  }
}

function removeFrom(queues: LiveQueue[], queue: LiveQueue): void {
  const index = queues.indexOf(queue);
  if (index >= 0) queues.splice(index, 1);
}

/** Whether messages of one group go to one consumer. */
function tellsGroups({ groupBuckets, isExclusive, isNonDestructive }: QueueTraits): boolean {
  return groupBuckets !== 0 && !isExclusive && !isNonDestructive;
}

/** Whether something may hold back what a queue hands out. */
function isGated(traits: QueueTraits): boolean {
  const { consumersBeforeDispatch, rebalancesGroups, pausesToRebalance } = traits;
  return consumersBeforeDispatch > 0 || (rebalancesGroups && pausesToRebalance);
}
