import { deferred, type EverholdError } from "@everhold/base";
import type { Log, Ports, Timer } from "@everhold/env";
import type { Journal, JournalListener } from "@everhold/journal";

import type { BrokerConfig } from "../config.ts";
import { limits } from "../limits.ts";
import { SettingsTable } from "../settings/settings-by-match.ts";
import type { BrokerState } from "../state/broker-state.ts";
import { ScanCursor } from "../state/scan-cursor.ts";
import { stateLimits } from "../state/state-limits.ts";
import { soleAuthority, type Authority } from "./authority.ts";
import { Catalog } from "./catalog.ts";
import { CreditDesk } from "./credit-desk.ts";
import { expired } from "./departures.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Diverts } from "./diverts.ts";
import { LargeDeliveries } from "./large-deliveries.ts";
import type { LiveQueue } from "./live-queue.ts";
import { Notifications } from "./notifications.ts";
import { OutputPool, OutputSchedule } from "./output.ts";
import { Redelivery } from "./redelivery.ts";
import { Returns } from "./returns.ts";
import { RuntimeSettings } from "./runtime-settings.ts";
import { RequestDesk } from "./request-desk.ts";
import { Retention } from "./retention.ts";
import { Router } from "./router.ts";
import { Scheduler } from "./scheduler.ts";
import { SlowConsumers } from "./slow-consumers.ts";
import type { Session } from "./session.ts";
import { Waiters } from "./waiters.ts";
import { Branches } from "./xa/branches.ts";

/** What the engine is made of. */
export interface EngineParts {
  readonly ports: Ports;
  readonly config: BrokerConfig;
  readonly journal: Journal;
  readonly state: BrokerState;
}

/**
 * Owns what lives only while the broker runs: consumers, deliveries in flight, credits, waiters. What
 * must survive is in `BrokerState`. Protocol adapters call it; it knows none of them.
 *
 * A step is one call from a port (bytes, a commit, a timer). During it queues are *touched*; at its end
 * `endStep` pumps them.
 */
export class Engine implements JournalListener {
  readonly config: BrokerConfig;
  readonly log: Log;
  readonly journal: Journal;
  readonly state: BrokerState;
  readonly waiters = new Waiters();
  readonly pool = new OutputPool();
  readonly outputs: OutputSchedule;
  readonly settings: SettingsTable;
  readonly runtimeSettings: RuntimeSettings;
  readonly catalog: Catalog;
  readonly diverts: Diverts;
  readonly router: Router;
  readonly redelivery: Redelivery;
  readonly retention: Retention;
  readonly scheduler: Scheduler;
  readonly credits: CreditDesk;
  readonly slowConsumers: SlowConsumers;
  readonly requests: RequestDesk;
  readonly notifications: Notifications;
  /** Branches of distributed transactions. */
  readonly branches: Branches;
  readonly large: LargeDeliveries;
  /** Sessions whose clients come back for what they left. */
  readonly returns: Returns;
  /** Bytes of messages that open transactions hold in memory. */
  transactionBytes = 0;
  /** Sessions by what must be unique among them, such as a client id. */
  readonly uniqueMetadata = new Map<string, Session>();
  /** Called after each commit, when paused producers may go on. */
  onRelief: () => void = () => {};
  /** What it may do now. */
  authority: Authority = soleAuthority;
  /** Called when the journal has failed. */
  onFailure: (error: EverholdError) => void = () => {};

  readonly #ports: Ports;
  readonly #dispatcher: Dispatcher;
  #touched: LiveQueue[] = [];
  #pumping: LiveQueue[] = [];
  #awaiting: LiveQueue[] = [];
  #committed: LiveQueue[] = [];
  #grown: LiveQueue[] = [];
  #later: LiveQueue[] = [];
  readonly #withheld = new Set<LiveQueue>();
  #isLaterAsked = false;
  #isHalted = false;
  #keys = new Float64Array(64);
  readonly #drainWaiters: (() => void)[] = [];
  #nowMs = 0;

  constructor(parts: EngineParts) {
    this.#ports = parts.ports;
    this.config = parts.config;
    this.log = parts.ports.log;
    this.journal = parts.journal;
    this.state = parts.state;
    this.outputs = new OutputSchedule((task) => parts.ports.timers.atTurnEnd(task));
    this.settings = new SettingsTable(parts.config.addressSettings);
    this.runtimeSettings = new RuntimeSettings(this);
    this.catalog = new Catalog(this);
    this.diverts = new Diverts(this);
    this.router = new Router(this);
    this.redelivery = new Redelivery(this, parts.ports.random);
    this.state.arena.beginAt(parts.ports.random.uint32() % (stateLimits.arenaFirstSlabMax + 1));
    this.retention = new Retention(this);
    this.scheduler = new Scheduler(this, parts.ports.timers);
    const { timers, monotonicClock } = parts.ports;
    this.credits = new CreditDesk(this, monotonicClock);
    this.slowConsumers = new SlowConsumers(this, timers, monotonicClock);
    this.requests = new RequestDesk(this);
    this.notifications = new Notifications(this);
    this.branches = new Branches(this, parts.ports.timers, parts.ports.monotonicClock);
    this.large = new LargeDeliveries(this);
    this.returns = new Returns(this);
    this.#dispatcher = new Dispatcher(this);
  }

  /** The broker's id as others see it: made once for its data, 32 hexadecimal digits. */
  get nodeId(): string {
    const { groupId } = this.journal;
    return Array.from(groupId, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** Whether nothing is handed out any more. */
  get isHalted(): boolean {
    return this.#isHalted;
  }

  /** The time of day, the same for the whole step. */
  nowMs(): number {
    if (this.#nowMs === 0) this.#nowMs = this.#ports.wallClock.nowMs();
    return this.#nowMs;
  }

  /** The queue may have something to hand out: pump it at the end of this step. */
  touch(queue: LiveQueue): void {
    if (queue.isTouched) return;
    queue.isTouched = true;
    this.#touched.push(queue);
  }

  /** The queue has more to hand out than one step may take: pump it in the next turn. */
  touchLater(queue: LiveQueue): void {
    this.#later.push(queue);
    if (this.#isLaterAsked) return;
    this.#isLaterAsked = true;
    this.#ports.timers.atTurnEnd(this.#touchLaterOnes);
  }

  /** Nothing of the queue may be handed out for now: pump it when that has changed. */
  withhold(queue: LiveQueue): void {
    this.#withheld.add(queue);
  }

  /** Hands out what was withheld, and lets requests in again, as far as {@link authority} allows it now. */
  authorityChanged(): void {
    const withheld = [...this.#withheld];
    this.#withheld.clear();
    for (const queue of withheld) this.touch(queue);
    this.endStep();
    this.onRelief();
  }

  /** Does something in `delayMs`, in a step of its own. Whoever asks cancels it when the engine halts. */
  after(delayMs: number, work: () => void): Timer {
    return this.#ports.timers.after(delayMs, () => {
      work();
      this.endStep();
    });
  }

  /**
   * The queue has something to hand out once what was appended so far is committed, and the record at `position`,
   * which may be the next one that is appended.
   */
  awaitCommit(queue: LiveQueue, position = -1): void {
    queue.newestPosition = Math.max(this.journal.endPosition, position + 1);
    if (queue.isAwaitingCommit) return;
    queue.isAwaitingCommit = true;
    this.#awaiting.push(queue);
  }

  /** The queue has a new row, to be handed out once its record is committed, and the one that hides it. */
  rowAdded(queue: LiveQueue, hiddenUntil = -1): void {
    this.awaitCommit(queue, hiddenUntil);
    if (queue.takerCount === 0 || queue.hasNewRows) return;
    queue.hasNewRows = true;
    this.#grown.push(queue);
  }

  /** From now on nothing is handed out: the broker stops, or its journal has failed. */
  halt(): void {
    this.#isHalted = true;
    this.scheduler.stop();
    this.slowConsumers.stop();
    this.branches.stop();
    this.returns.stop();
    // A process ends once nothing waits in it any more.
    for (const queue of this.catalog.queues()) queue.gate?.close();
  }

  /** Settles when everything appended so far is committed and answered, or the journal has failed. */
  drained(): Promise<void> {
    const drained = deferred<undefined>();
    if (this.journal.failure !== undefined) return Promise.resolve();
    this.#drainWaiters.push(() => {
      drained.resolve(undefined);
    });
    const { endPosition, commitPosition } = this.journal;
    if (commitPosition >= endPosition) this.#wakeDrained();
    else this.journal.hurry();
    return drained.promise;
  }

  /** Pumps the queues that were touched in this step, and prepares for what its commit will show. */
  endStep(): void {
    if (this.#isHalted) return;
    this.notifications.send();
    this.retention.enforce(false);
    do {
      this.#pumpTouched();
      // What goes may have held others back.
      this.retention.enforce(true);
    } while (this.#touched.length > 0);
    for (const queue of this.#grown) {
      queue.hasNewRows = false;
      this.#dispatcher.prepare(queue);
    }
    this.#grown.length = 0;
    this.credits.grantIfRelieved();
    this.scheduler.arm();
    this.#nowMs = 0;
  }

  #pumpTouched(): void {
    while (this.#touched.length > 0) {
      const pumping = this.#touched;
      this.#touched = this.#pumping;
      this.#pumping = pumping;
      for (const queue of pumping) {
        queue.isTouched = false;
        this.#dispatcher.pump(queue);
      }
      pumping.length = 0;
      this.notifications.send();
    }
  }

  /** Answers who waited, hands out what became visible, lets producers go on. */
  onCommitted(commitPosition: number): void {
    this.outputs.collect();
    this.waiters.drain(commitPosition);
    this.scheduler.onCommitted(commitPosition);
    const committed = this.#awaiting;
    this.#awaiting = this.#committed;
    this.#committed = committed;
    for (const queue of committed) {
      queue.isAwaitingCommit = false;
      this.touch(queue);
      if (queue.newestPosition > commitPosition) {
        queue.isAwaitingCommit = true;
        this.#awaiting.push(queue);
      }
    }
    committed.length = 0;
    this.endStep();
    this.credits.grantWaiting();
    this.outputs.flush();
    this.onRelief();
    if (commitPosition >= this.journal.endPosition) this.#wakeDrained();
  }

  /** The disk has no room for what was appended: who waits for the end of the work need not wait for it. */
  onStuck(): void {
    this.#wakeDrained();
  }

  onFailed(error: EverholdError): void {
    this.halt();
    this.onFailure(error);
    this.#wakeDrained();
  }

  /** Acknowledges one row that is not in a consumer's hands, or never will be. */
  acknowledgeOne(queue: LiveQueue, key: number): number {
    const keys = this.keyScratch(1);
    keys[0] = key;
    this.redelivery.mayRelease(queue);
    return this.state.acknowledge(queue.state, keys, 1);
  }

  /** Room for `count` row keys, shared by everybody: for this step only. */
  keyScratch(count: number): Float64Array {
    if (count > this.#keys.length) this.#keys = new Float64Array(count * 2);
    return this.#keys;
  }

  /** Takes an expired row away: to the expiry address, or for good. */
  expire(queue: LiveQueue, key: number): void {
    this.redelivery.moveAway(queue, key, expired);
  }

  /** Looks for what nobody asks for: expired messages, unused queues. Called every now and then. */
  scan(): void {
    if (this.#isHalted) return;
    for (const queue of [...this.catalog.queues()]) {
      this.slowConsumers.watch(queue);
      // What could not be read may have been mended with what another member has.
      if (queue.isBroken) this.touch(queue);
      queue.isBroken = false;
    }
    this.catalog.deleteUnused();
    this.endStep();
    const expiring = [...this.catalog.queues()].filter((queue) => queue.state.expiringCount > 0);
    this.#expireSlice(expiring, new ScanCursor());
  }

  /** Looks for expired messages, a bounded number in a turn. */
  #expireSlice(queues: LiveQueue[], cursor: ScanCursor): void {
    const queue = queues[0];
    if (queue === undefined || this.#isHalted) return;
    const hasMore =
      !queue.isDeleted && this.redelivery.expireSome(queue, cursor, limits.scanRowsPerStep);
    if (!hasMore) {
      queues.shift();
      cursor.reset();
    }
    this.endStep();
    this.#ports.timers.atTurnEnd(() => {
      this.#expireSlice(queues, cursor);
    });
  }

  #wakeDrained(): void {
    for (const wake of this.#drainWaiters.splice(0)) wake();
  }

  readonly #touchLaterOnes = (): void => {
    this.#isLaterAsked = false;
    const later = this.#later;
    this.#later = [];
    for (const queue of later) this.touch(queue);
    this.endStep();
  };
}
