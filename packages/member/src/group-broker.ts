import { assert, deferred, EverholdError } from "@everhold/base";
import {
  brokerConfig,
  queueInfos,
  type BrokerConfig,
  type BrokerOptions,
  type Connector,
  type QueueInfo,
} from "@everhold/broker";
import { pause, type Endpoint, type Ports } from "@everhold/env";
import {
  newGroupState,
  type Coordinator,
  type CoordinatorListener,
  type Frame,
  type GroupState,
  type Member,
  type MemberAddress,
  type StopReason,
} from "@everhold/group";
import { FolderFill, mendFolder, type JournalHealth, type ReplicatedLog } from "@everhold/journal";
import {
  FillClient,
  openLinks,
  PieceClient,
  type MemberDriver,
  type MemberPlace,
  type OpenLinks,
} from "@everhold/replica";
import { groupConfig, type GroupConfig, type GroupOptions } from "./group-config.ts";
import { Life, type LifeOwner } from "./life.ts";
import { limits } from "./limits.ts";
import { LinkRelay } from "./link-relay.ts";
import type { MemberStatus } from "./member-status.ts";
import { Successor } from "./successor.ts";
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
  readonly #config: BrokerConfig;
  readonly #group: GroupConfig;
  readonly #relay = new LinkRelay();
  /** Where members are or were: that nobody listens there any more is worth knowing, too. */
  readonly #places = new Map<string, MemberPlace>();
  readonly #connectors = new Map<string, Connector>();
  readonly #closing = new AbortController();
  #isRegistered = false;
  #members: readonly MemberAddress[] = [];
  #coordinator: Coordinator | undefined;
  #links: OpenLinks | undefined;
  #life: Life | undefined;
  #driver: MemberDriver | undefined;
  #filling: FillClient | undefined;
  #asking: PieceClient | undefined;
  #groupId: Uint8Array | undefined;
  /** The newest epoch in which somebody led, and how many followed the first that was known. */
  #reign = 0;
  #failoverCount = 0;
  #failure: EverholdError | undefined;
  /** Called when the group's node may have changed. */
  #onChanged: () => void = () => undefined;
  /** Called when this life has ended by itself. */
  #onLifeEnded: () => void = () => undefined;
  #beginning: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;

  private constructor(options: GroupBrokerOptions) {
    this.#options = options;
    this.#config = brokerConfig(options.config);
    this.#group = groupConfig(options.group);
  }

  /**
   * Opens the journal and takes part in the group: it follows, or leads, when this resolves. Waits for the coordinator
   * and, unless it founds the group, for the group to be founded.
   *
   * @throws EverholdError EVH_CONFIG, also where the group was founded with another `minInSync`; EVH_DATA_LOCKED, EVH_DATA_CORRUPT, EVH_DATA_FORMAT (another group's folder),
   * EVH_DATA_FOLDER, EVH_IO from the journal; EVH_PORT_IN_USE from the links; EVH_ILLEGAL_STATE where the group's node
   * is gone; EVH_ABORTED
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
      await broker.#begin();
      return broker;
    } catch (error) {
      await broker.close();
      // What was opened while it was being closed.
      await broker.#life?.abandon();
      if (signal?.aborted === true) throw gaveUp(options.group.id, error);
      throw error;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** What it is, and how far. */
  get status(): MemberStatus {
    const fill = this.#filling?.progress;
    const failoverCount = this.#failoverCount;
    const status = this.#life?.status;
    if (status !== undefined) return { ...status, failoverCount };
    return {
      id: this.#group.id,
      role: fill === undefined ? "starting" : "filling",
      fill,
      isServing: false,
      reason: undefined,
      epoch: 0,
      live: undefined,
      inSync: [],
      endPosition: 0,
      durablePosition: 0,
      commitPosition: 0,
      node: undefined,
      peers: [],
      failoverCount,
    };
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
    return this.#members;
  }

  /**
   * Whether another disk is registered by this member's id: until that has gone this member calls nobody, or the other one's
   * links would end for it. What is registered with this very disk was left by an earlier run of this member.
   */
  get #isNamesake(): boolean {
    if (this.#isRegistered) return false;
    const { id } = this.#group;
    const own = this.#life?.replica.incarnation;
    const named = this.#members.filter(({ replica }) => replica.id === id);
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
    this.#members = members;
    this.#connectors.clear();
    for (const { replica, replication, clients } of members) {
      const place = placeOf(replication);
      if (place !== undefined) this.#places.set(replica.id, place);
      const connector = placeOf(clients);
      if (connector !== undefined) this.#connectors.set(replica.id, connector);
    }
    this.#driver?.onMembers(members);
    this.#life?.topologyChanged();
  }

  // What a life tells.

  onSteppedDown(): void {
    this.#driver = undefined;
    this.#relay.leave();
    this.#onLifeEnded();
    if (this.#closing.signal.aborted) return;
    this.#beginning = this.#beginAgain();
  }

  onStopped(_reason: StopReason): void {
    this.#driver = undefined;
    this.#relay.leave();
    this.#onLifeEnded();
    // What it says of itself stays, and its data is left as it is.
    this.#life?.abandon().catch(() => undefined);
  }

  onTooFarBehind(live: string, epoch: number): void {
    this.#driver = undefined;
    this.#relay.leave();
    this.#onLifeEnded();
    if (this.#closing.signal.aborted) return;
    this.#beginning = this.#fillUp(live, epoch);
  }

  onFailed(error: EverholdError): void {
    this.#driver = undefined;
    this.#relay.leave();
    this.#onLifeEnded();
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
        groupId: isDamaged ? hexOf(this.#knownGroupId) : found.groupId,
        id: this.#group.id,
        secret: this.#group.secret,
        endpoint: this.#group.links,
        addressOf: (id) => (this.#isNamesake ? undefined : this.#places.get(id)),
      },
      this.#relay,
    );
    if (signal.aborted) await this.#links.close();
    this.#throwIfClosing();
    this.#relay.attach(this.#links);
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
      waiting.tell(read);
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

  async #openIfWhole(groupId: Uint8Array): Promise<Life | EverholdError> {
    try {
      return await this.#openLife(groupId);
    } catch (error) {
      if (EverholdError.is(error, "EVH_DATA_CORRUPT")) return error;
      throw error;
    }
  }

  /**
   * The disk has damaged what a start needs: the folder is filled from another member that leads, which has all that was ever
   * committed. Where nobody does, this journal may be all that there is: it is mended with what another member has, and else
   * left as it is.
   */
  async #replaceJournal(damage: EverholdError): Promise<Life> {
    const { ports } = this.#options;
    const { signal } = this.#closing;
    const member = this.#group.id;
    ports.log.error("The disk has damaged this member's journal: it is filled up from the live", {
      ...{ member, problem: damage.message },
    });
    let isTold = false;
    for (;;) {
      this.#throwIfClosing();
      const read = await this.#coordinator?.read();
      const state = read?.kind === "state" ? read.known.state : undefined;
      const live = state?.live?.id;
      if (state !== undefined && live !== undefined && live !== member) {
        await this.#fill(live, state.epoch);
        this.#throwIfClosing();
        const found = await this.#openIfWhole(this.#knownGroupId);
        if (!EverholdError.is(found)) return found;
      } else {
        if (!isTold) {
          isTold = true;
          const isAlone = state?.inSync.every(({ id }) => id === member) === true;
          ports.log.error(isAlone ? messages.aloneInSync : messages.nobodyLeads, { member });
        }
        if (await this.#mendFromOthers(state?.epoch ?? 0)) {
          const found = await this.#openIfWhole(this.#knownGroupId);
          if (!EverholdError.is(found)) return found;
        }
      }
      await pause(ports, limits.retryMs, signal);
    }
  }

  /** Mends a journal that does not open with what other members have; whether anything was mended. */
  async #mendFromOthers(epoch: number): Promise<boolean> {
    const { ports } = this.#options;
    const { signal } = this.#closing;
    const links = this.#links;
    const member = this.#group.id;
    let count = 0;
    for (const id of [...this.#places.keys()]) {
      if (id === member || links === undefined || signal.aborted) continue;
      const asking = new PieceClient({ ports, links, id, epoch });
      this.#asking = asking;
      this.#relay.use(asking);
      try {
        if (!(await asking.call())) continue;
        const supply = (position: number) => asking.fetch(position);
        const isOver = (): boolean => signal.aborted;
        const mended = await mendFolder({ ports, groupId: this.#knownGroupId, supply, isOver });
        if (mended === 0) continue;
        count += mended;
        ports.log.info("This member's journal was mended with what another one has", {
          ...{ member, from: id, ranges: mended },
        });
      } catch (error) {
        ports.log.warn("This member's journal could not be mended: it tries again", {
          ...{ member, from: id, problem: asError(error).message },
        });
      } finally {
        asking.close();
        this.#asking = undefined;
        this.#relay.leave();
      }
    }
    return count > 0;
  }

  async #openLife(groupId: Uint8Array | undefined): Promise<Life> {
    const { ports } = this.#options;
    const life = new Life({
      ports,
      config: this.#config,
      group: this.#group,
      groupId,
      owner: this,
      connectorOf: (id) => this.#connectors.get(id) ?? null,
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
    await this.#fill(live, epoch);
    await this.#beginAgain();
  }

  /** Tries once to make the folder of what the live has; whatever comes of it, the next life begins with what the disk says. */
  async #fill(live: string, epoch: number): Promise<void> {
    const { ports } = this.#options;
    const { log } = ports;
    const member = this.#group.id;
    const [links, groupId] = [this.#links, this.#groupId];
    if (links === undefined || groupId === undefined) return;
    try {
      const open = ({ epoch: of, commitPosition, files }: Frame<"fillOffer">) =>
        FolderFill.begin(ports, { groupId, epoch: of, commitPosition, files });
      this.#filling = new FillClient({ ports, links, live, epoch, open });
      this.#relay.use(this.#filling);
      await this.#filling.run();
      log.info("This member was filled up", { member, live });
    } catch (error) {
      log.warn("This member could not be filled up: it tries again", {
        ...{ member, live, problem: asError(error).message },
      });
      const { signal } = this.#closing;
      await pause(ports, limits.fillAgainMs, signal).catch(() => undefined);
    } finally {
      this.#filling = undefined;
      this.#relay.leave();
    }
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
      this.#filling?.close();
      this.#asking?.close();
      await this.#beginning;
      if (this.#failure === undefined) await this.#life?.close(limits.closeMs);
      else await this.#life?.abandon();
    } finally {
      this.#driver = undefined;
      this.#relay.leave();
      await Promise.all([this.#links?.close(), this.#coordinator?.close()]);
    }
    this.#options.ports.log.info("The member has stopped", { member: this.#group.id });
  }

  /** A live that is closed hands over first, where somebody can take over. Whatever goes wrong with that, it closes. */
  async #giveWay(): Promise<void> {
    const driver = this.#driver;
    if (driver === undefined || this.status.role !== "live") return;
    const { log } = this.#options.ports;
    const member = this.#group.id;
    try {
      await this.#handOverToAny(driver);
      if (this.#driver !== driver) return;
      log.warn("Nobody takes over before this member stops", { member });
      // What was held back for a hand-over is answered after all.
      driver.handOver(null);
    } catch (error) {
      log.error("This member could not give way before it stops", {
        member,
        problem: asError(error).message,
      });
    }
  }

  /** Ends when somebody else leads, and when nobody is left who could. */
  async #handOverToAny(driver: MemberDriver): Promise<void> {
    const { timers, monotonicClock, log } = this.#options.ports;
    const { handOverMs, graceMs } = this.#group.timing;
    const successor = new Successor(graceMs);
    const untilMs = monotonicClock.nowMs() + handOverMs + limits.handOverMarginMs;
    while (this.#driver === driver) {
      const nowMs = monotonicClock.nowMs();
      const { to, isNew } = successor.choose(this.status, nowMs);
      if (to === undefined || nowMs >= untilMs) return;
      if (isNew) {
        log.info("This member gives way before it stops", { member: this.#group.id, to });
        driver.handOver(to);
      }
      const looked = deferred<undefined>();
      this.#onLifeEnded = () => looked.resolve(undefined);
      const timer = timers.after(limits.handOverLookMs, () => looked.resolve(undefined));
      await looked.promise;
      timer.cancel();
    }
  }
}

/** Why a member whose journal does not open waits, and what is to be done. */
const messages = {
  nobodyLeads:
    "Nobody else leads who could fill this member up: start the other members, or restore its data folder from a backup",
  aloneInSync:
    "This member alone is in sync, so nobody else may lead, and its journal is damaged: start the other members, which may have what it lacks; " +
    "restore its data folder from a backup; or stop it and take the loss of what only it had: everhold ha promote-uncleanly, on another member",
} as const;

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

function groupIdOf(text: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/.test(text)) {
    throw new EverholdError(
      "EVH_CONFIG",
      `the group's node names the group ${JSON.stringify(text)}, expected 32 hexadecimal digits`,
    );
  }
  return Uint8Array.from({ length: 16 }, (_, index) =>
    Number.parseInt(text.slice(2 * index, 2 * index + 2), 16),
  );
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** `host:port`, with brackets around an IPv6 address. */
function placeText(endpoint: Endpoint | undefined): string {
  if (endpoint === undefined) return "";
  const { host, port } = endpoint;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function placeOf(text: string): MemberPlace | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || !(port <= 65_535) ? undefined : { host, port };
}

function asError(error: unknown): EverholdError {
  if (EverholdError.is(error)) return error;
  const problem = error instanceof Error ? error.message : String(error);
  return new EverholdError("EVH_INTERNAL", problem, { cause: error });
}
