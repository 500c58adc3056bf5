import { ClosedError, type EverholdError } from "@everhold/base";
import type { Ports } from "@everhold/env";
import { packets, type ReceiveFrame } from "@everhold/wire";
import { ensureAddress } from "../core/administration.ts";
import { Channel, readNull, type ChannelListener } from "../core/channel.ts";
import type { SessionCreation, SessionFlavour } from "../core/session-creation.ts";
import { outcomeFeature, resumeFeature, fullResumeFeature } from "../core/number-calls.ts";
import type { Noticed, Transport } from "../core/transport.ts";
import { randomUuid } from "../message/user-ids.ts";
import type { IntakeHost, IntakeSettings } from "../receive/intake-settings.ts";
import type { Intake } from "../receive/intake.ts";
import { Outbox } from "../send/outbox.ts";
import { retireLife, type Life, type Orphans, type SeenMessage } from "./orphans.ts";
import { Commits } from "./commits.ts";
import { Intakes } from "./intakes.ts";
import { Resumption } from "./resumption.ts";
import type { SessionReturn } from "./session-return.ts";
import { TransactionState } from "./transaction-state.ts";

/** The feature of brokers that know producer marks. */
export const markFeature = "mark/1";

/** What a session needs of its connection. */
export interface SessionHost {
  readonly ports: Ports;
  readonly producerWindowBytes: number;
  readonly sendBufferBytes: number;
  readonly minLargeMessageBytes: number;
  readonly confirmationWindowBytes: number;
  readonly clientId: string | undefined;
  readonly nextChannelId: () => number;
  /** What the broker of the present connection can beyond CORE; `undefined`: it is not Everhold. */
  readonly features: () => ReadonlySet<string> | undefined;
  /** Why new work is refused rather than made to wait; `undefined`: it is not. */
  readonly refusal: () => EverholdError | undefined;
  readonly onBlocked: (address: string, blocked: boolean) => void;
  readonly onError: (error: unknown) => void;
  /** Sessions that ended while the connection was broken. */
  readonly orphans: Orphans;
}

/** One connection's means to open sessions. */
export interface SessionOpening {
  readonly transport: Transport;
  readonly creation: SessionCreation;
  /** Whether the broker is the node of the last life, by its id. */
  readonly node: "same" | "other" | "unknown";
  /** How the last break was noticed. */
  readonly noticed: Noticed;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** The flavours in use. */
export const flavours = {
  plain: { autoCommitSends: true, autoCommitAcks: true, preAcknowledge: false },
  preAcknowledge: { autoCommitSends: true, autoCommitAcks: true, preAcknowledge: true },
  transacted: { autoCommitSends: false, autoCommitAcks: false, preAcknowledge: false },
  branch: { autoCommitSends: false, autoCommitAcks: false, preAcknowledge: false, isXa: true },
} as const satisfies Record<string, SessionFlavour>;

/**
 * One CORE session over all its lives: it is created anew on each connection, with its consumers, and
 * with the sends that nobody answered.
 *
 *     closed ──open()──> open ──connection lost──> closed … ──end()──> ended
 */
export class CoreSession implements ChannelListener {
  readonly transaction: TransactionState | undefined;
  /** Its commits; `undefined` where it has no transactions of its own, and commits no branch in one phase. */
  commits: Commits | undefined;
  readonly outbox: Outbox;
  readonly onError: (error: unknown) => void;
  readonly #host: SessionHost;
  readonly #flavour: SessionFlavour;
  readonly #intakes: Intakes;
  /** How it goes on for its last life; `undefined` for one that holds nothing. */
  readonly #resumption: Resumption | undefined;
  #channel: Channel | undefined;
  /** The life that is, or the last one, which the broker may still keep. */
  #life: Life | undefined;
  /** Whether this life stands, with all that belongs to it; else a break ends it. */
  #isOpen = false;
  #isClosing = false;
  #breakError: EverholdError | undefined;
  /** How many keep this life at a standstill. */
  #standstillCount = 0;
  #ended = false;
  /** Sends in doubt of which somebody was told. */
  #lostCountTold = 0;

  /** `holdsNothing`: it has neither consumers nor transactions, ever. */
  constructor(host: SessionHost, flavour: SessionFlavour, holdsNothing = false) {
    this.#host = host;
    this.#flavour = flavour;
    this.onError = host.onError;
    const hasCommits = !flavour.autoCommitSends && flavour.isXa !== true;
    this.transaction = flavour.autoCommitSends ? undefined : new TransactionState();
    this.commits = hasCommits ? new Commits(host.ports.random) : undefined;
    this.#resumption = holdsNothing ? undefined : new Resumption(this);
    this.#intakes = new Intakes({
      ports: host.ports,
      transacted: !flavour.autoCommitSends,
      channel: () => this.#channel,
      isAtStandstill: () => this.#standstillCount > 0,
      noteLeft: (intake) => this.#resumption?.noteLeft(intake),
      onError: host.onError,
    });
    this.outbox = new Outbox({
      ports: host.ports,
      producerWindowBytes: host.producerWindowBytes,
      sendBufferBytes: host.sendBufferBytes,
      minLargeMessageBytes: host.minLargeMessageBytes,
      transacted: !flavour.autoCommitSends,
      keepsOutcomes: () => host.features()?.has(markFeature) === true,
      openAddress: ensureAddress,
      onLeaving: () => this.transaction?.onLeaving(),
      onBlocked: host.onBlocked,
      onError: host.onError,
    });
  }

  /** The channel of the current life; `undefined` while there is none. */
  get channel(): Channel | undefined {
    return this.#channel;
  }

  /** Whether the broker keeps what became of numbered commits. */
  get keepsOutcomes(): boolean {
    return this.#host.features()?.has(outcomeFeature) === true;
  }

  get resumesFully(): boolean {
    return this.#host.features()?.has(fullResumeFeature) === true;
  }

  /** Whether it is over for good. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The consumers' intakes. */
  intakes(): Iterable<Intake> {
    return this.#intakes;
  }

  /**
   * Creates the session on a connection, with all that belongs to it. `introduce` comes before anything
   * is sent or repeated on it.
   *
   * @throws EverholdError
   */
  async open(
    opening: SessionOpening,
    introduce: (channel: Channel) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    if (this.#ended) return;
    this.#isOpen = false;
    await this.#retireLastLife(opening);
    const name = randomUuid(this.#host.ports.random);
    const channelId = this.#host.nextChannelId();
    const window = this.#host.confirmationWindowBytes;
    const settings = {
      confirmationWindowBytes: window,
      resumesExactly: () => this.#resumesExactly(),
    };
    const channel = new Channel(opening.transport, channelId, settings, this);
    try {
      await opening.creation.create({
        ...this.#flavour,
        name,
        channelId,
        username: opening.username,
        password: opening.password,
        clientId: this.#host.clientId,
        confirmationWindowBytes: window,
        minLargeMessageBytes: this.#host.minLargeMessageBytes,
      });
    } catch (error) {
      channel.detach();
      throw error;
    }
    if (channel.lostError !== undefined) throw channel.lostError;
    if (this.#ended) return closeUnwanted(channel);
    const isTransacted = this.transaction !== undefined && this.#flavour.isXa !== true;
    this.#life = { name, channelId, isTransacted, receivedLast: -1 };
    await introduce(channel);
    if (channel.lostError !== undefined) throw channel.lostError;
    if (this.#ended) return closeUnwanted(channel);
    await this.#goOn(channel, name);
    if (this.#ended) return closeUnwanted(channel);
    this.#channel = channel;
    await Promise.all([this.outbox.attach(channel), this.#intakes.attach(channel)]);
    if (channel.lostError !== undefined) throw channel.lostError;
    this.#isOpen = true;
  }

  /**
   * Brings the session to another connection, after the one that it was on broke: as it was, where the broker has
   * kept it; else it is created anew. When that connection breaks as well it may be called again, with the next one.
   *
   * @throws EverholdError
   */
  async resume(
    opening: SessionOpening,
    introduce?: (channel: Channel) => Promise<void>,
  ): Promise<SessionReturn> {
    if (this.#resumption === undefined) {
      await this.#host.orphans.retire(opening, this.#resumesExactly());
    }
    const unanswered = this.outbox.unansweredCount;
    const channel = this.#channel;
    if (channel !== undefined && !this.#ended) {
      const sendsReplayed = await this.#return(opening, channel);
      if (sendsReplayed !== undefined) {
        this.#resumption?.forgetLeft();
        const sendsSuppressed = Math.max(0, unanswered - sendsReplayed);
        return { way: "reattached", sendsReplayed, sendsSuppressed, sendsInDoubt: 0 };
      }
      channel.lose(this.#breakError ?? closedError());
    }
    if (opening.node === "other") this.#leaveNode();
    const { lostCount, repeatCount: sendsReplayed } = this.outbox;
    await this.open(opening, introduce);
    const sendsInDoubt = lostCount - this.#lostCountTold;
    this.#lostCountTold = lostCount;
    return { way: "recreated", sendsReplayed, sendsSuppressed: 0, sendsInDoubt };
  }

  /**
   * Whoever waits for the connection, which has been away for too long, waits no longer: what has not left is
   * rejected with `error`, what has as unknown. The session lives on, and finds out what became of that.
   */
  releaseWaiting(error: EverholdError): void {
    this.outbox.releaseWaiting(error);
    this.commits?.releaseWaiting(error);
    this.#channel?.releaseWaiting(error);
    for (const intake of this.#intakes) intake.releaseWaiting(error);
  }

  /** Why new work is refused rather than made to wait; `undefined`: it is not. */
  refusal(): EverholdError | undefined {
    return this.#host.refusal();
  }

  /**
   * Brings the deliveries of the current life to a standstill; settles when all that were on their way have
   * come. Until {@link endStandstill} nothing is delivered, to consumers that are opened meanwhile neither, and
   * a break ends this life.
   *
   * @throws EverholdError the broker's refusal, or that the connection broke
   */
  async beginStandstill(channel: Channel, attempt: string): Promise<void> {
    this.#standstillCount += 1;
    await channel.call(packets.sessionStop, {}, attempt, readNull);
  }

  /** Deliveries go on, once nobody else keeps them; not to be called when the life is over. */
  endStandstill(channel: Channel): void {
    this.#standstillCount -= 1;
    if (this.#standstillCount === 0) channel.send(packets.sessionStart, {});
  }

  /**
   * Begins to give back what its consumers hold, counting what the application has taken. Nothing may be
   * committed any more before the rollback or the end of the session, of which one has to follow.
   */
  beginReturn(): void {
    const { transaction } = this;
    if (transaction === undefined) return;
    // After a break it works for no branch, and what is acknowledged then would be so for good.
    if (this.#flavour.isXa === true && !transaction.hasWork) return;
    for (const intake of this.intakes()) intake.beginReturn();
  }

  /** Adds a consumer; settles when the broker has it, after reconnects if need be. */
  addIntake(
    settings: Omit<IntakeSettings, "consumerId" | "transacted">,
    host: IntakeHost,
  ): Promise<Intake> {
    if (this.#ended) return Promise.reject(closedError());
    return this.#intakes.add(settings, host);
  }

  /** Closes one consumer; what it did not settle goes back to the queue. */
  removeIntake(intake: Intake): Promise<void> {
    return this.#intakes.remove(intake);
  }

  /** As {@link removeIntake}, for those who do not wait any longer for what the broker says. */
  abandonIntake(intake: Intake): void {
    this.#intakes.abandon(intake);
  }

  /** Closes the session in order, as far as the broker can be reached, and ends it. */
  async close(): Promise<void> {
    const channel = this.#channel;
    this.#isClosing = true;
    if (channel?.isUp === true) await this.#closeAtBroker(channel);
    else if (channel !== undefined) channel.lose(this.#breakError ?? closedError());
    // The next connection has the broker close what it may have kept.
    if (this.#life !== undefined && !this.#ended) {
      this.#host.orphans.add({ ...this.#life, seen: this.#seen() });
    }
    this.#life = undefined;
    this.end(closedError(), undefined);
  }

  async #closeAtBroker(channel: Channel): Promise<void> {
    try {
      for (const intake of this.intakes()) {
        await intake.settlement.finishRelease();
        intake.settlement.flushAcks();
      }
      this.beginReturn();
      await channel.call(packets.sessionClose, {}, "close the session", readNull);
      this.#life = undefined;
    } catch (error) {
      // Whatever kept the broker from closing it in order, the end of the connection closes it.
      if (channel.lostError === undefined) this.#host.onError(error);
    }
    channel.detach();
  }

  /** Ends the session for good: `sendError` goes to whoever sends, `takeError` to whoever receives. */
  end(sendError: EverholdError, takeError: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.transaction?.onLost("the session was closed");
    this.#channel?.detach();
    this.#channel = undefined;
    this.commits?.end(sendError);
    this.outbox.end(sendError);
    this.#intakes.end(sendError, takeError);
  }

  onMessage(frame: ReceiveFrame, bytes: Uint8Array, view: DataView, frameBytes: number): void {
    this.#intakes.of(frame.consumerId)?.onMessage(frame, bytes, view, frameBytes);
  }

  onPart(consumerId: number, frameBytes: number, messageId?: number): void {
    this.#intakes.of(consumerId)?.onPart(frameBytes, messageId);
  }

  wholeBytesMax(consumerId: number): number {
    // What comes for a consumer that is gone is dropped part by part.
    return this.#intakes.of(consumerId)?.settings.streamAboveBytes ?? 0;
  }

  onStream(
    frame: ReceiveFrame,
    bytes: Uint8Array,
    view: DataView,
    frameBytes: number,
    size: number,
  ): void {
    this.#intakes.of(frame.consumerId)?.onStream(frame, bytes, view, frameBytes, size);
  }

  onStreamPart(consumerId: number, part: Uint8Array, isLast: boolean, frameBytes: number): void {
    this.#intakes.of(consumerId)?.onStreamPart(part, isLast, frameBytes);
  }

  onCredits(address: string, credits: number, failed: boolean): void {
    this.outbox.onCredits(address, credits, failed);
  }

  onSendSettled(correlationId: number, error: EverholdError | undefined): void {
    this.outbox.onSettled(correlationId, error);
  }

  onConsumerClosed(consumerId: number): void {
    this.#intakes.onConsumerClosed(consumerId);
  }

  onHeartbeat(nowMs: number): void {
    this.outbox.onHeartbeat(nowMs);
    for (const intake of this.#intakes) intake.onHeartbeat(nowMs);
  }

  onBroken(error: EverholdError): boolean {
    const channel = this.#channel;
    if (channel === undefined || !this.#isOpen || this.#ended || !channel.mayReturn) return false;
    // One that is being closed is not brought to the next connection. Nor is one that is being rolled back, which
    // the end of its life does as well: nobody has to wait for the next one.
    if (this.#isClosing || this.#standstillCount > 0) return false;
    this.#breakError = error;
    for (const intake of this.#intakes) intake.onBroken();
    return true;
  }

  onReturned(): void {
    this.outbox.onReturned();
    this.commits?.onReturned();
    for (const intake of this.#intakes) intake.onReturned();
  }

  onLost(error: EverholdError): void {
    this.#isOpen = false;
    if (this.#life !== undefined && this.#channel !== undefined) {
      this.#life.receivedLast = this.#channel.receivedLast;
    }
    this.#channel = undefined;
    // While it is rolled back, what was received belongs to a transaction that is over.
    const isOver = this.#standstillCount > 0;
    this.#standstillCount = 0;
    const isBound = [...this.intakes()].some(({ settlement }) => settlement.takenCount > 0);
    const isLost = this.transaction?.onBroken(isBound, isOver) === true;
    if (isLost) this.outbox.rejectWaiting(this.transaction?.error() ?? error);
    this.outbox.detach(error);
    this.#intakes.detach();
  }

  /** Whether there was a life that the next one goes on for, at a broker that knows of it. */
  get #goesOn(): boolean {
    const isKnown = this.#host.features()?.has(resumeFeature) === true;
    return isKnown && this.#resumption?.isDue === true;
  }

  /** The new life goes on for the last one, where the broker knows of it. */
  async #goOn(channel: Channel, name: string): Promise<void> {
    const resumption = this.#resumption;
    if (resumption === undefined) return;
    const isDue = this.#goesOn;
    if (this.#host.features()?.has(resumeFeature) !== true) return resumption.skip();
    const said = resumption.say(channel, name);
    if (isDue) await said;
    else {
      // The first life waits for nothing; what it can be told is that the connection broke.
      said.catch((error: unknown) => {
        if (channel.lostError === undefined) this.#host.onError(error);
      });
    }
  }

  /** Whether the broker is one of ours. */
  #resumesExactly(): boolean {
    return this.#host.features() !== undefined;
  }

  /** What an application had of a life with transactions, which its end does not count as delivered. */
  #seen(): SeenMessage[] {
    // In a session for branches an acknowledgement would take effect at once.
    if (this.transaction === undefined || this.#flavour.isXa === true) return [];
    const seen: SeenMessage[] = [...(this.#resumption?.left ?? [])];
    for (const { settings, settlement } of this.intakes()) {
      const { consumerId } = settings;
      for (const messageId of settlement.seenIds()) seen.push({ consumerId, messageId });
    }
    return seen;
  }

  /** The next broker is another one, which knows nothing of what the last one was asked: that stays in doubt. */
  #leaveNode(): void {
    this.#life = undefined;
    this.#resumption?.skip();
    this.outbox.leaveNode(this.#breakError ?? closedError());
  }

  /**
   * Asks for the session on another connection. Gives how many sends were sent again; `undefined`: it is gone, or
   * cannot go on.
   */
  async #return(
    { transport, creation, node }: SessionOpening,
    channel: Channel,
  ): Promise<number | undefined> {
    const life = this.#life;
    if (life === undefined || node === "other" || !channel.mayReturn) return undefined;
    channel.returnOn(transport);
    let sendCount: number | undefined;
    const isKept = await creation.reattach(life.name, channel.receivedLast, (brokerLast) => {
      // What it is sent now is in the version in which it began.
      const { serverVersion } = transport;
      const { version } = channel;
      transport.serverVersion = serverVersion === 0 ? version : Math.min(serverVersion, version);
      sendCount = channel.goOn(brokerLast);
    });
    if (transport.lostError !== undefined) throw transport.lostError;
    life.receivedLast = channel.receivedLast;
    const isInVain = isKept && sendCount === undefined;
    life.cameTo = isInVain ? transport : undefined;
    if (this.#ended) {
      // It was closed meanwhile.
      if (isInVain) await retireLife({ transport, creation }, life, this.#resumesExactly());
      return 0;
    }
    if (sendCount !== undefined) return sendCount;
    if (!isKept) this.#life = undefined;
    return undefined;
  }

  /**
   * The broker may keep the session of the broken connection, with its deliveries, until it misses that
   * connection. So it is asked for by its name, and closed.
   */
  async #retireLastLife(opening: SessionOpening): Promise<void> {
    const life = this.#life;
    // Where the next life goes on for it, that ends it as well.
    if (life === undefined || this.#goesOn) return;
    life.seen = this.#seen();
    life.commitId = this.commits?.plainId;
    const hasCommitted = await retireLife(opening, life, this.#resumesExactly());
    if (hasCommitted !== undefined) this.commits?.onRetired(hasCommitted);
    this.#life = undefined;
  }
}

/** Its owner gave it up while it was made: nothing of it may stay at the broker. */
async function closeUnwanted(channel: Channel): Promise<void> {
  try {
    await channel.call(packets.sessionClose, {}, "close the session", readNull);
  } finally {
    channel.detach();
  }
}

function closedError(): ClosedError {
  return new ClosedError("EVH_CLOSED", "The session is closed");
}
