import { EverholdError } from "@everhold/base";
import {
  createStore,
  Serving,
  type Authority,
  type Connector,
  type TopologySource,
  type BrokerConfig,
  type Store,
} from "@everhold/broker";
import type { Endpoint, Ports, Timer } from "@everhold/env";
import {
  featureLevel,
  isSameReplica,
  successors,
  type Coordinator,
  type GroupState,
  type Member,
  type Replica,
  type StopReason,
} from "@everhold/group";
import {
  createReplicatedJournal,
  type RecoverySummary,
  type ReplicatedJournal,
  type ReplicatedJournalListener,
  type WatchedDisk,
} from "@everhold/journal";
import { MemberDriver, type Links, type MemberHost } from "@everhold/replica";
import type { GroupConfig } from "./group-config.ts";
import { groupIdText } from "./group-id.ts";
import { limits } from "./limits.ts";
import { statusOf } from "./member-status.ts";
import { stopCures } from "./stop-cures.ts";

/** What a life is made of. */
export interface LifeParts {
  readonly ports: Ports;
  /** That of `ports`. */
  readonly disk: WatchedDisk;
  readonly config: BrokerConfig;
  readonly group: GroupConfig;
  /** 16 bytes; undefined: whatever the folder has, or a new one. */
  readonly groupId: Uint8Array | undefined;
  readonly owner: LifeOwner;
  /** Where clients reach a member, as far as that is known. */
  readonly connectorOf: (id: string) => Connector | null;
}

/** Whose life it is. Calls may happen inside a call of the life's driver. */
export interface LifeOwner {
  /** It leads no more: the next life begins with what the disk says. */
  onSteppedDown(): void;
  /** It does nothing more until an operator has looked. */
  onStopped(reason: StopReason): void;
  /** It lacks what its live has given up: its folder has to be filled from that, which has led in this epoch at least. */
  onTooFarBehind(live: string, epoch: number): void;
  /** The storage failed. */
  onFailed(error: EverholdError): void;
  /** What is known of the group's node is news. */
  onKnown(state: GroupState): void;
  /** Whether clients are let in has changed. */
  onServing(isServing: boolean): void;
}

/**
 * One life of a member's journal: it follows, and once it may lead it serves until it is deposed. Never back: who steps
 * down begins a new life.
 *
 *     open() ──▶ start() ──▶ follows ──▶ leads ──▶ serves ──▶ ended
 */
export class Life implements ReplicatedJournalListener, MemberHost, Authority, TopologySource {
  readonly store: Store<ReplicatedJournal>;
  readonly #parts: LifeParts;
  #recovery: RecoverySummary | undefined;
  #driver: MemberDriver | undefined;
  #serving: Serving | undefined;
  #listening: Timer | undefined;
  /** The journal can be written, and the group wants clients to be let in. */
  #isLeading = false;
  #isWanted = false;
  /** In front of it the live keeps nothing. */
  #keptFrom = 0;
  #isOver = false;
  #abandoning: Promise<void> | undefined;

  constructor(parts: LifeParts) {
    this.#parts = parts;
    const { ports, config, groupId } = parts;
    const options = { ports, ...config.journal, ...(groupId === undefined ? {} : { groupId }) };
    this.store = createStore(ports, config, createReplicatedJournal(options));
  }

  /** Opens the journal. @throws EverholdError EVH_DATA_LOCKED, EVH_DATA_CORRUPT, EVH_DATA_FORMAT, EVH_DATA_FOLDER, EVH_IO */
  async open(): Promise<void> {
    const { journal, state } = this.store;
    this.#recovery = await journal.open(state, this);
  }

  /** Begins to act as a member. */
  start(links: Links, coordinator: Coordinator): MemberDriver {
    const { ports, group, disk } = this.#parts;
    const { member } = this.store.journal;
    this.#driver = new MemberDriver({
      ports,
      start: {
        self: this.replica,
        groupId: this.groupId,
        features: featureLevel,
        fencedEpoch: member.promisedEpoch,
        commitPosition: member.commitPosition,
      },
      journal: member,
      disk,
      links,
      coordinator,
      host: this,
      timing: group.timing,
    });
    this.store.engine.authority = this;
    return this.#driver;
  }

  get replica(): Replica {
    return { id: this.#parts.group.id, incarnation: this.store.journal.member.incarnation };
  }

  /** 32 hex digits. */
  get groupId(): string {
    return groupIdText(this.store.journal.groupId);
  }

  get status(): ReturnType<typeof statusOf> | undefined {
    const { journal } = this.store;
    if (this.#driver === undefined) return undefined;
    return statusOf(this.#driver, journal.member.log, this.isServing);
  }

  /** What it decides by, once it has begun to act. */
  get member(): Member | undefined {
    return this.#driver?.member;
  }

  /** Whether clients are let in. */
  get isServing(): boolean {
    return this.#serving !== undefined && this.#serving.endpoints.length > 0;
  }

  /** Open connections of clients. */
  get connectionCount(): number {
    return this.#serving?.server.connectionCount ?? 0;
  }

  /** Where it listens for clients. */
  get endpoints(): readonly Endpoint[] {
    return this.#serving?.endpoints ?? [];
  }

  // What the broker may do.

  get mayDispatch(): boolean {
    return this.#driver?.mayDispatch === true;
  }

  get mayTake(): boolean {
    return this.#driver?.mayTake === true;
  }

  // What clients are told of the group.

  get epoch(): number {
    return this.#driver?.member.known?.state.epoch ?? 0;
  }

  get backup(): Connector | null {
    const known = this.#driver?.member.known ?? null;
    if (known === null) return null;
    // Clients that go nowhere else have to be told of the one that stands first.
    for (const id of successors(known.state)) {
      if (id === this.#parts.group.id) continue;
      const connector = this.#parts.connectorOf(id);
      if (connector !== null) return connector;
    }
    return null;
  }

  /** Who is in the group, or where, is news. */
  topologyChanged(): void {
    this.#serving?.server.topologyChanged();
  }

  // What the journal tells.

  onLeading(): void {
    this.#isLeading = true;
    this.#considerServing();
  }

  onCommitted(commitPosition: number): void {
    const { engine, journal, state } = this.store;
    if (this.#isLeading) {
      // Before it serves the engine knows of no queue: whatever fell due would be nobody's.
      if (this.#serving !== undefined) engine.onCommitted(commitPosition);
      return;
    }
    const keptFrom = this.#driver?.liveOldestPosition ?? 0;
    if (keptFrom <= this.#keptFrom) return;
    this.#keptFrom = keptFrom;
    state.forgetBefore(keptFrom);
    journal.member.keepFrom(keptFrom);
  }

  onStuck(): void {
    if (this.#isLeading) this.store.engine.onStuck();
  }

  onDurable(): void {
    this.#driver?.onDurable();
  }

  onMore(): void {
    this.#driver?.onMore();
  }

  onFailed(error: EverholdError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#driver?.onFailed(error);
    this.#dropClients(error);
    this.#parts.owner.onFailed(error);
  }

  // What the driver tells.

  onPromoted(): void {
    // The driver has said so.
  }

  onServe(): void {
    this.#isWanted = true;
    this.#considerServing();
  }

  onKnown(): void {
    const state = this.#driver?.member.known?.state;
    if (state !== undefined) this.#parts.owner.onKnown(state);
    this.topologyChanged();
  }

  onAuthority(): void {
    if (this.#serving === undefined) return;
    this.#serving.server.holdRequests();
    this.store.engine.authorityChanged();
  }

  onSteppedDown(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#parts.owner.onSteppedDown();
  }

  onStopped(reason: StopReason): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { known, self, fencedEpoch } = this.#driver?.member ?? {};
    const live = known?.state.live?.id;
    // What a member in sync has may be all that there is of something: it is never given up for another's.
    const isNeeded =
      self === undefined || known?.state.inSync.some((one) => isSameReplica(one, self));
    if (reason === "too-far-behind" && live !== undefined && isNeeded === false) {
      return this.#parts.owner.onTooFarBehind(live, fencedEpoch ?? 0);
    }
    this.#parts.ports.log.error("This member has stopped, and waits for somebody to look", {
      reason,
      meaning: stopCures[reason],
      ...this.#story(),
    });
    this.#parts.owner.onStopped(reason);
  }

  onHung(error: EverholdError): void {
    this.onFailed(error);
  }

  // How it ends.

  /** Lets no more clients in and answers those that are there, then gives the folder back: in order, within `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    // Of who is deposed, or has stopped, nothing more is committed that could be answered.
    if (this.#isOver) return this.abandon();
    const { ports } = this.#parts;
    const { journal } = this.store;
    let isLate = false;
    const timer = ports.timers.after(timeoutMs, () => {
      isLate = true;
      this.#dropClients(closed());
      // Whoever waits for it is told by what it does to the journal.
      journal.abandon().catch(() => undefined);
    });
    try {
      this.#listening?.cancel();
      await this.#serving?.stop();
      this.#isOver = true;
      this.#driver?.close();
      await journal.close();
    } catch (error) {
      // It was given up meanwhile, and whoever waits is told so below.
      if (!isLate || !EverholdError.is(error, "EVH_CLOSED")) throw error;
    } finally {
      timer.cancel();
      this.#isOver = true;
      this.#driver?.close();
      if (isLate) {
        ports.log.warn(
          "What was asked last could not be committed in time: its outcome is unknown",
          {
            waitedMs: timeoutMs,
          },
        );
      }
    }
  }

  /** Ends at once: whoever was not answered is in doubt. Idempotent. */
  abandon(): Promise<void> {
    this.#abandoning ??= this.#abandon();
    return this.#abandoning;
  }

  async #abandon(): Promise<void> {
    this.#isOver = true;
    this.#driver?.close();
    const abandoned = this.store.journal.abandon();
    this.#dropClients(closed());
    await abandoned;
  }

  #considerServing(): void {
    if (!this.#isLeading || !this.#isWanted || this.#isOver || this.#serving !== undefined) return;
    const { ports, config, owner } = this.#parts;
    if (this.#recovery === undefined) return;
    this.#serving = new Serving({
      ports,
      config,
      store: this.store,
      recovery: this.#recovery,
      topology: this,
      // Of a journal that fails this is told itself.
      onFailed: () => undefined,
    });
    this.#listen(this.#serving, owner);
  }

  #listen(serving: Serving, owner: LifeOwner): void {
    const { ports } = this.#parts;
    serving.listen().then(
      () => {
        if (this.#isOver) serving.drop();
        else owner.onServing(true);
      },
      (error: unknown) => {
        if (this.#isOver) return;
        // Who served here before may not have let go of its ports yet.
        ports.log.error("This member leads, and cannot listen for clients: it tries again", {
          problem: error instanceof Error ? error.message : String(error),
        });
        this.#listening = ports.timers.after(limits.retryMs, () => this.#listen(serving, owner));
      },
    );
  }

  #dropClients(reason: EverholdError): void {
    this.#listening?.cancel();
    if (this.#serving === undefined) return;
    this.store.engine.onFailed(reason);
    this.#serving.drop();
    this.#parts.owner.onServing(false);
  }

  #story(): object {
    const { log, commitPosition } = this.store.journal.member;
    const { group } = this.#parts;
    return {
      member: group.id,
      epoch: this.#driver?.member.seenEpoch,
      end: log.end,
      commitPosition,
    };
  }
}

function closed(): EverholdError {
  return new EverholdError("EVH_CLOSED", "this member of the group leads no more", {
    outcome: "unknown",
  });
}
