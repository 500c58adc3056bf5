import { assert, deferred, EverholdError } from "@everhold/base";
import {
  brokerConfig,
  queueInfos,
  type BrokerConfig,
  type BrokerOptions,
  type QueueInfo,
} from "@everhold/broker";
import { pause, type Endpoint, type Ports } from "@everhold/env";
import {
  newGroupState,
  type Coordinator,
  type CoordinatorListener,
  type GroupState,
  type Member,
  type MemberAddress,
  type StopReason,
} from "@everhold/group";
import {
  promisedEpochOf,
  WatchedDisk,
  type JournalHealth,
  type ReplicatedLog,
} from "@everhold/journal";
import { openLinks, type MemberDriver, type OpenLinks } from "@everhold/replica";
import { asError } from "./as-error.ts";
import { GivingWay } from "./giving-way.ts";
import { groupConfig, type GroupConfig, type GroupOptions } from "./group-config.ts";
import { groupIdOf, groupIdText } from "./group-id.ts";
import { Life, type LifeOwner } from "./life.ts";
import { limits } from "./limits.ts";
import { LinkRelay } from "./link-relay.ts";
import { MemberPlaces, placeText } from "./member-places.ts";
import { statusAtStart, type MemberStatus } from "./member-status.ts";
import { Replenisher } from "./replenisher.ts";
import { Waiting } from "./waiting.ts";

/** What {@link GroupBroker.start} needs. */
export interface GroupBrokerOptions {
  /** With `macs`. */
  readonly ports: Ports;
  readonly config?: BrokerOptions;
  readonly group: GroupOptions;
  /** Makes what settles who leads; it is closed with the broker. `signal` ends its waiting. */
  readonly openCoordinator: (
    listener: CoordinatorListener,
    signal: AbortSignal,
  ) => Coordinator | Promise<Coordinator>;
  /** Gives up a start that waits; afterwards it has no effect. */
  readonly signal?: AbortSignal;
  /** Called once when this member can go on no more: its storage failed, or somebody else has its name. */
  readonly onFailed?: (error: EverholdError) => void;
}

/**
 * A broker that is one member of a group. It holds what the live writes, byte for byte, and serves clients while it is
 * the live itself; until then its acceptors are closed.
 *
 * Coordinator and links last as long as it does; the journal, the state and everything over them last for one
 * {@link Life}: whoever is deposed begins anew with what the disk says.
 */
export class GroupBroker implements CoordinatorListener, LifeOwner {
  readonly #options: GroupBrokerOptions;
  readonly #disk: WatchedDisk;
  readonly #config: BrokerConfig;
  readonly #group: GroupConfig;
  readonly #relay = new LinkRelay();
  readonly #places = new MemberPlaces();
  readonly #closing = new AbortController();
  #isRegistered = false;
  #coordinator: Coordinator | undefined;
  #links: OpenLinks | undefined;
  #life: Life | undefined;
  #driver: MemberDriver | undefined;
  #replenisher: Replenisher | undefined;
  #givingWay: GivingWay | undefined;
  #groupId: Uint8Array | undefined;
  /** The newest epoch in which somebody led, and how many followed the first that was known. */
  #reign = 0;
  #failoverCount = 0;
  #failure: EverholdError | undefined;
  /** Called when the group's node may have changed. */
  #onChanged: () => void = () => undefined;
  #beginning: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;

  private constructor(options: GroupBrokerOptions) {
    const { ports } = options;
    this.#disk = WatchedDisk.of(ports);
    this.#options = { ...options, ports: { ...ports, disk: this.#disk } };
    this.#config = brokerConfig(options.config);
    this.#group = groupConfig(options.group);
  }

  /**
   * Opens the journal and takes part in the group: it follows, or leads, when this resolves. Waits for the coordinator
   * and, unless it founds the group, for the group to be founded.
   *
   * @throws EverholdError EVH_CONFIG, also where the group was founded with another `minInSync`; EVH_DATA_LOCKED, EVH_DATA_CORRUPT, EVH_DATA_FORMAT (another group's folder),
   * EVH_DATA_FOLDER, EVH_IO from the journal; EVH_PORT_IN_USE from the links; EVH_ILLEGAL_STATE where the group's node
   * is gone; EVH_ABORTED, or EVH_DISK_HUNG where `signal` found it waiting for a disk that does not answer
   */
  static async start(options: GroupBrokerOptions): Promise<GroupBroker> {
    const broker = new GroupBroker(options);
    const { signal } = options;
    const giveUp = (): void => {
      broker.close().catch(() => undefined);
    };
    if (signal?.aborted === true) giveUp();
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      const beginning = broker.#begin();
      // Who is to end does not wait for a disk that does not answer.
      const ending = whenAborted(signal).then(() => broker.#disk.unlessHung(beginning));
      await Promise.race([beginning, ending]);
      return broker;
    } catch (error) {
      await broker.close();
      // What was opened while it was being closed.
      await broker.#life?.abandon();
      const isHung = EverholdError.is(error, "EVH_DISK_HUNG");
      if (signal?.aborted === true && !isHung) throw gaveUp(options.group.id, error);
      throw error;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** What it is, and how far. */
  get status(): MemberStatus {
    const status = this.#life?.status ?? statusAtStart(this.#group.id, this.#replenisher?.progress);
    return { ...status, failoverCount: this.#failoverCount };
  }

  /** Where it listens for clients; empty while it does not serve. */
  get endpoints(): readonly Endpoint[] {
    return this.#life?.endpoints ?? [];
  }

  /** Where it listens for other members. */
  get linksEndpoint(): Endpoint | undefined {
    return this.#links?.endpoint;
  }

  /** The members that are registered now. */
  get members(): readonly MemberAddress[] {
    return this.#places.registered;
  }

  /**
   * Whether another disk is registered by this member's id: until that has gone this member calls nobody, or the other one's
   * links would end for it. What is registered with this very disk was left by an earlier run of this member.
   */
  get #isNamesake(): boolean {
    if (this.#isRegistered) return false;
    const { id } = this.#group;
    const own = this.#life?.replica.incarnation;
    const named = this.members.filter(({ replica }) => replica.id === id);
    return named.length > 0 && named.every(({ replica }) => replica.incarnation !== own);
  }

  /** Whether it may hand out messages at this moment: never two members of a group at once. */
  get mayDispatch(): boolean {
    return this.#life?.mayDispatch === true;
  }

  /** What its journal knows of itself; undefined before it was opened. */
  get log(): ReplicatedLog | undefined {
    return this.#life?.store.journal.member.log;
  }

  /** What it decides by; undefined before it takes part. The simulator looks at it. */
  get member(): Member | undefined {
    return this.#life?.member;
  }

  /** Damage to the journal's files, since it was opened; undefined before. */
  get health(): JournalHealth | undefined {
    return this.#life?.store.journal.health;
  }

  /** Open connections of clients. */
  get connectionCount(): number {
    return this.#life?.connectionCount ?? 0;
  }

  /** Every queue, by name; none while it does not serve. */
  queues(): QueueInfo[] {
    const life = this.#life;
    return life?.isServing === true ? queueInfos(life.store.engine) : [];
  }

  /** Checks what must hold between steps; the simulator calls it. @throws AssertionError */
  assertInvariants(): void {
    this.#life?.store.state.assertInvariants();
  }

  /** The durable state in a readable form, line by line; for tests and comparisons. Only while it serves. */
  dump(): string {
    const life = this.#life;
    if (life?.isServing !== true) throw new EverholdError("EVH_ILLEGAL_STATE", "it does not serve");
    return life.store.state.dump();
  }

  /** Gives way to another member, in sync, which then leads; given up after `timing.handOverMs`. To the live only. */
  handOver(to: string): void {
    this.#driver?.handOver(to);
  }

  /**
   * Stands for promotion although it may lack what is committed: an operator takes the loss. Only while the group's node
   * is still the one that the operator saw.
   */
  promoteUncleanly(created: string, version: number): void {
    this.#driver?.promoteUncleanly(created, version);
  }

  /**
   * Gives way to another member if one is in sync and linked, lets clients go, makes everything durable, and gives ports and
   * folder back. Idempotent.
   * @throws EverholdError EVH_DISK_HUNG: the folder is not given back, and what was asked last is in doubt
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // What the coordinator tells.

  onStateMayHaveChanged(): void {
    this.#onChanged();
    this.#driver?.onStateMayHaveChanged();
  }

  onLiveGone(): void {
    this.#driver?.onLiveGone();
  }

  onMembers(members: readonly MemberAddress[]): void {
    this.#places.learn(members);
    this.#driver?.onMembers(members);
    this.#life?.topologyChanged();
  }

  // What a life tells.

  onSteppedDown(): void {
    this.#lifeEnded();
    if (this.#closing.signal.aborted) return;
    this.#beginning = this.#beginAgain();
  }

  onStopped(_reason: StopReason): void {
    this.#lifeEnded();
    // What it says of itself stays, and its data is left as it is.
    this.#life?.abandon().catch(() => undefined);
  }

  onTooFarBehind(live: string, epoch: number): void {
    this.#lifeEnded();
    if (this.#closing.signal.aborted) return;
    this.#beginning = this.#fillUp(live, epoch);
  }

  onFailed(error: EverholdError): void {
    this.#lifeEnded();
    this.#fail(error);
  }

  onKnown({ epoch, live }: GroupState): void {
    if (live === null || epoch <= this.#reign) return;
    if (this.#reign > 0) this.#failoverCount += 1;
    this.#reign = epoch;
  }

  onServing(_isServing: boolean): void {
    // Nobody else has to know.
  }

  async #begin(): Promise<void> {
    const { ports, openCoordinator } = this.#options;
    const { macs } = ports;
    if (macs === undefined) throw new RangeError("ports: found no macs, which links need");
    const { signal } = this.#closing;
    const coordinator = await openCoordinator(this, signal);
    this.#coordinator = coordinator;
    // Whoever closes meanwhile has closed what there was then.
    if (signal.aborted) await coordinator.close();
    this.#throwIfClosing();
    const found = await this.#findGroup(coordinator);
    const isDamaged = EverholdError.is(found);
    if (!isDamaged) this.#life = found;
    this.#throwIfClosing();
    this.#links = await openLinks(
      { ...ports, macs },
      {
        groupId: groupIdText(this.#knownGroupId),
        id: this.#group.id,
        secret: this.#group.secret,
        endpoint: this.#group.links,
        addressOf: (id) => (this.#isNamesake ? undefined : this.#places.placeOf(id)),
      },
      this.#relay,
    );
    if (signal.aborted) await this.#links.close();
    this.#throwIfClosing();
    this.#relay.attach(this.#links);
    this.#replenisher = new Replenisher({
      ...{ ports, coordinator, signal, member: this.#group.id, groupId: this.#knownGroupId },
      ...{ links: this.#links, relay: this.#relay, places: this.#places },
    });
    const life = isDamaged ? await this.#replaceJournal(found) : found;
    this.#register(coordinator, life).catch((error: unknown) => this.#fail(asError(error)));
    this.#startLife(life);
  }

  #throwIfClosing(): void {
    if (!this.#closing.signal.aborted) return;
    throw new EverholdError("EVH_CLOSED", `${this.#group.id} was closed while it started`);
  }

  /**
   * Opens the journal as the group's member: of the group that there is, or of the one that this member founds. An error: the
   * disk has damaged it.
   */
  async #findGroup(coordinator: Coordinator): Promise<Life | EverholdError> {
    const waiting = new Waiting(this.#options.ports, this.#group.id);
    for (;;) {
      const changed = deferred<undefined>();
      this.#onChanged = () => changed.resolve(undefined);
      const read = await coordinator.read();
      if (read.kind === "state") {
        const { state } = read.known;
        checkMinInSync(this.#options.group.minInSync, state.minInSync);
        this.#groupId = groupIdOf(state.groupId);
        return this.#openIfWhole(this.#groupId);
      }
      if (read.kind === "absent" && this.#group.founds) {
        const founded = await this.#found(coordinator);
        if (founded !== undefined) return founded;
        continue;
      }
      waiting.tell(read, await promisedEpochOf(this.#options.ports));
      const pausing = pause(this.#options.ports, limits.retryMs, this.#closing.signal);
      await Promise.race([changed.promise, pausing]);
    }
  }

  /** Makes the group's node with what this folder holds; undefined: somebody else did. */
  async #found(coordinator: Coordinator): Promise<Life | undefined> {
    const life = await this.#openLife(undefined);
    const { member, groupId } = life.store.journal;
    try {
      if (member.promisedEpoch > 0) {
        throw new EverholdError(
          "EVH_ILLEGAL_STATE",
          `cannot found the group anew: this data folder was a member's of it up to epoch ${member.promisedEpoch}, and ` +
            "the group's node is gone: restore ZooKeeper's data, or check that its address and the group's name are right",
        );
      }
      const epoch = member.log.epochs.at(-1)?.epoch ?? 0;
      const state = newGroupState(life.groupId, life.replica, this.#group.minInSync, epoch);
      if (await coordinator.create(state)) {
        this.#groupId = groupId.slice();
        this.#options.ports.log.info("The group is founded", {
          member: this.#group.id,
          group: life.groupId,
        });
        return life;
      }
    } catch (error) {
      await life.abandon();
      throw error;
    }
    await life.abandon();
    return undefined;
  }

  get #knownGroupId(): Uint8Array {
    assert(this.#groupId !== undefined, "a member that was begun knows its group");
    return this.#groupId;
  }

  /** An error: the disk has damaged the journal. */
  async #openIfWhole(groupId: Uint8Array): Promise<Life | EverholdError> {
    try {
      return await this.#openLife(groupId);
    } catch (error) {
      if (EverholdError.is(error, "EVH_DATA_CORRUPT")) return error;
      throw error;
    }
  }

  async #openLife(groupId: Uint8Array | undefined): Promise<Life> {
    const { ports } = this.#options;
    const life = new Life({
      ports,
      disk: this.#disk,
      config: this.#config,
      group: this.#group,
      groupId,
      owner: this,
      connectorOf: (id) => this.#places.connectorOf(id),
    });
    await life.open();
    return life;
  }

  #startLife(life: Life): void {
    const { signal } = this.#closing;
    if (signal.aborted || this.#links === undefined || this.#coordinator === undefined) {
      this.#life = life;
      return;
    }
    this.#life = life;
    const driver = life.start(this.#links, this.#coordinator);
    this.#driver = driver;
    this.#relay.use(driver);
    driver.start();
  }

  /** The damaged folder gives way to one that opens. */
  #replaceJournal(damage: EverholdError): Promise<Life> {
    assert(this.#replenisher !== undefined, "a folder is replaced once there are links");
    return this.#replenisher.replace(damage, () => this.#openIfWhole(this.#knownGroupId));
  }

  async #beginAgain(): Promise<void> {
    try {
      await this.#life?.abandon();
      if (this.#closing.signal.aborted) return;
      const found = await this.#openIfWhole(this.#knownGroupId);
      if (!EverholdError.is(found)) return this.#startLife(found);
      this.#life = undefined;
      this.#startLife(await this.#replaceJournal(found));
    } catch (error) {
      this.#fail(asError(error));
    }
  }

  /** Makes the folder of what the live has, in place of a life that lacks what the live has given up. */
  async #fillUp(live: string, epoch: number): Promise<void> {
    const life = this.#life;
    // From here on it says of itself that it starts, or is filled.
    this.#life = undefined;
    try {
      await life?.abandon();
    } catch (error) {
      return this.#fail(asError(error));
    }
    if (this.#closing.signal.aborted) return;
    this.#options.ports.log.warn("This member lacks what its live has given up: it is filled up", {
      ...{ member: this.#group.id, live },
    });
    await this.#replenisher?.fill(live, epoch);
    await this.#beginAgain();
  }

  /** Says where this member is, until it is known. */
  async #register(coordinator: Coordinator, life: Life): Promise<void> {
    const { ports } = this.#options;
    const { signal } = this.#closing;
    const [acceptor] = this.#config.endpoints;
    const address: MemberAddress = {
      replica: life.replica,
      replication: this.#group.replication ?? placeText(this.#links?.endpoint),
      clients: this.#group.clients ?? placeText(acceptor),
    };
    while (!signal.aborted) {
      try {
        await coordinator.register(address);
        this.#isRegistered = true;
        return;
      } catch (error) {
        if (signal.aborted || EverholdError.is(error, "EVH_CLOSED")) return;
        if (EverholdError.is(error, "EVH_MEMBER_EXISTS")) throw error;
        ports.log.warn("This member could not be registered: it tries again", {
          member: this.#group.id,
          problem: asError(error).message,
        });
        await pause(ports, limits.registerAgainMs, signal).catch(() => undefined);
      }
    }
  }

  /** A life has ended by itself: nothing is told to its driver any more. */
  #lifeEnded(): void {
    this.#driver = undefined;
    this.#relay.leave();
    this.#givingWay?.onLifeEnded();
  }

  #fail(error: EverholdError): void {
    if (this.#failure !== undefined || this.#closing.signal.aborted) return;
    this.#failure = error;
    this.#options.ports.log.error("This member can go on no more", {
      member: this.#group.id,
      code: error.code,
      problem: error.message,
    });
    this.close().catch(() => undefined);
    this.#options.onFailed?.(error);
  }

  async #close(): Promise<void> {
    try {
      if (this.#failure === undefined) await this.#giveWay();
      this.#closing.abort();
      this.#onChanged();
      this.#replenisher?.close();
      const ending = this.#endLife();
      ending.catch(() => undefined);
      // Others wait for this member to be gone, and what is under way on such a disk cannot be taken back.
      const isHung = EverholdError.is(this.#failure, "EVH_DISK_HUNG");
      if (!isHung) await this.#disk.unlessHung(ending);
    } finally {
      this.#driver = undefined;
      this.#relay.leave();
      await Promise.all([this.#links?.close(), this.#coordinator?.close()]);
    }
    this.#options.ports.log.info("The member has stopped", { member: this.#group.id });
  }

  async #endLife(): Promise<void> {
    await this.#beginning;
    if (this.#failure === undefined) await this.#life?.close(limits.closeMs);
    else await this.#life?.abandon();
  }

  /** A live hands over before it stops. */
  async #giveWay(): Promise<void> {
    const driver = this.#driver;
    if (driver === undefined || this.status.role !== "live") return;
    const { ports } = this.#options;
    this.#givingWay = new GivingWay({
      ...{ ports, driver, group: this.#group, status: () => this.status },
    });
    await this.#givingWay.run();
  }
}

/** Never settles without a signal. */
function whenAborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });
}

function gaveUp(member: string, cause: unknown): EverholdError {
  return new EverholdError("EVH_ABORTED", `the start of ${member} was given up`, { cause });
}

/** What the group promises was said by who founded it: a member that counts on something else is refused. */
function checkMinInSync(said: number | undefined, founded: number): void {
  if (said === undefined || said === founded) return;
  throw new EverholdError(
    "EVH_CONFIG",
    `group.minInSync: found ${said}, expected ${founded}, with which this group was founded, or nothing`,
  );
}
