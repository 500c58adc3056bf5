import { EverholdError, ProtocolError } from "@everhold/base";
import type { Link, LinkHandler, LoginVerdict } from "@everhold/env";
import {
  ByteReader,
  ByteWriter,
  channelIdAt,
  decodePacket,
  encodePacket,
  frameHeaderBytes,
  FrameReader,
  noCorrelation,
  packetById,
  packetIdAt,
  packets,
  type FieldTable,
  type FrameSink,
  type PacketDefinition,
  type PacketOf,
  type ValueOf,
} from "@everhold/wire";

import { AddressCache } from "../engine/address-cache.ts";
import type { ClientLink } from "../engine/client-link.ts";
import type { Engine } from "../engine/engine.ts";
import type { LiveQueue } from "../engine/live-queue.ts";
import { loginRefusal } from "../engine/login-refusal.ts";
import { Output } from "../engine/output.ts";
import type { Session } from "../engine/session.ts";
import { limits } from "../limits.ts";
import type { CoreServer } from "./core-server.ts";
import { CoreSession } from "./core-session.ts";
import { exceptionOf } from "./exception-packet.ts";
import { OrderedSteps } from "./ordered-steps.ts";
import { Reattachments } from "./reattachment.ts";
import type { ResendRoom } from "./resend-room.ts";
import { writeDisconnect, writeTopology } from "./topology.ts";
import { isSupportedVersion, versionNewest } from "./versions.ts";

/** Ids from here on are those of sessions; below are the protocol's own channels. */
const firstSessionChannel = 10;

/**
 * One connection that speaks CORE: frames, channels, pings, creation of sessions.
 *
 *     silent ──magic and first frame──▶ greeted ──first session──▶ known ──▶ closed
 *       │                                  │                         └─ bad bytes, silence, close
 *       ├── no whole frame in time ────────┼──────────────────────────────────▲
 *       └── too many others come after it ─┘
 *
 *     known ──breaks, or its client has come back──▶ parked ──its sessions are taken, time is over──▶ closed
 *
 * Until it is known, a connection may send small frames only, and only whole frames are signs of life. A
 * greeted one may stay: Java clients ask for the topology and may open their first session much later.
 */
export class CoreConnection implements LinkHandler, FrameSink, ClientLink {
  readonly engine: Engine;
  readonly output: Output;
  readonly addresses = new AddressCache();
  readonly createdMs: number;
  clientId = "";
  /** Only clients that know of marks ask what the broker has beyond CORE. */
  sendsMarks = false;
  /** The protocol version: 0 until the first packet that names one, and then for good. */
  version = 0;
  isClosed = false;
  isParked = false;
  /** Sessions in which a large message is arriving. */
  uploadCount = 0;
  isHeldBack = false;
  readonly #number: number;
  readonly #server: CoreServer;
  readonly #link: Link;
  readonly #reader: FrameReader;
  readonly #sessions = new Map<number, CoreSession>();
  #phase: "silent" | "greeted" | "known" = "silent";
  #ttlMs: number;
  #lastActivityMs: number;
  #isActive = false;
  #hasSent = false;
  /** Since when the client has taken nothing of what waits for it. */
  #stalledSinceMs: number;
  #isPaused = false;
  /** The last packet about sessions was a reattachment that was refused. */
  #followsReattachment = false;
  #reattachments: Reattachments | undefined;
  #temporaryQueues: Set<LiveQueue> | undefined;
  /** What channel 1 asked for while a password is checked. */
  #logins: OrderedSteps | undefined;

  constructor(server: CoreServer, link: Link, nowMs: number, createdMs: number) {
    this.#server = server;
    this.engine = server.engine;
    this.#link = link;
    const { config } = this.engine;
    this.output = new Output(link, this.engine.pool, this.engine.outputs);
    this.#reader = new FrameReader({
      expectMagic: true,
      frameBytesMax: Math.min(config.frameBytesMax, limits.handshakeFrameBytesMax),
    });
    this.#ttlMs = config.connectionTtlOverrideMs ?? config.connectionTtlMs;
    this.#lastActivityMs = nowMs;
    this.#stalledSinceMs = nowMs;
    this.createdMs = createdMs;
    this.#number = server.connectionCountTotal;
  }

  get id(): string {
    return this.#number.toString(16).padStart(8, "0");
  }

  get sessions(): Iterable<Session> {
    return Array.from(this.#sessions.values(), (each) => each.session);
  }

  get peer(): string {
    return this.#link.peer;
  }

  get resendRoom(): ResendRoom {
    return this.#server.resendRoom;
  }

  get temporaryQueues(): Set<LiveQueue> {
    // Made when it is asked for: most connections have none.
    return (this.#temporaryQueues ??= new Set());
  }

  get isWritable(): boolean {
    return !this.isClosed && this.output.queuedBytes < limits.outputHighBytes;
  }

  onData(bytes: Uint8Array): void {
    if (this.isClosed) return;
    if (this.#phase === "known") this.#isActive = true;
    try {
      this.#reader.push(bytes, this);
    } catch (error) {
      // Whatever one client's bytes lead to ends that client's connection, not the broker.
      if (!(error instanceof EverholdError)) throw error;
      this.fail(error);
    }
    this.engine.endStep();
    if (this.output.queuedBytes > limits.outputPauseBytes) this.#pause();
    else if (this.engine.journal.stagedBytes > this.#stagedHighBytes) this.#pause();
    else if (this.engine.waiters.count > limits.waitersHigh) this.#pause();
  }

  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    if (this.#phase !== "known") this.#onFrameOfStranger();
    const channelId = channelIdAt(view, start);
    if (channelId >= firstSessionChannel) {
      // Packets for unknown channels are normal: they raced with a close.
      this.#sessions.get(channelId)?.onFrame(bytes, view, start, end);
      return !this.isClosed;
    }
    const id = packetIdAt(view, start);
    packetReader.reset(bytes, view, start + frameHeaderBytes, end);
    if (channelId === 0) this.#onConnectionPacket(id);
    else if (channelId === 1) this.#onSessionPacket(id);
    else this.#refusePacket(id, channelId);
    return !this.isClosed;
  }

  onSent(bytes: Uint8Array): void {
    this.#hasSent = true;
    this.engine.pool.put(bytes);
  }

  onDrained(): void {
    if (this.isClosed) return;
    if (this.isHeldBack) {
      this.isHeldBack = false;
      for (const { session } of this.#sessions.values()) {
        for (const consumer of session.consumers) this.engine.touch(consumer.queue);
      }
      this.engine.endStep();
    }
    this.relieve();
  }

  onClosed(error: Error | undefined): void {
    this.#server.closed(this);
    if (this.isClosed) return;
    if (this.#reader.pendingBytes > 0) {
      this.#logClosed(
        "EVH_PROTOCOL",
        `the client closed it in the middle of a frame, after ${this.#reader.pendingBytes} bytes of it`,
      );
    } else if (error !== undefined) {
      this.engine.log.debug("A connection broke", { peer: this.peer, reason: error.message });
    }
    const isFailure = this.#sessions.size > 0;
    if (!this.#park()) this.#release(isFailure);
    this.engine.endStep();
  }

  /** Ends the connection because of what the client did or failed to do. */
  fail(error: EverholdError): void {
    if (this.isParked) this.abandon();
    if (this.isClosed) return;
    this.#logClosed(error.code, error.message);
    // What was decided before is answered; the sessions end as failed.
    this.output.send();
    this.#release(true);
    this.#end();
  }

  kill(error: EverholdError): void {
    if (this.isClosed) return this.fail(error);
    // Clients before 2.0 do not know it.
    if (this.version >= 128) {
      const value = { nodeId: this.#server.nodeId };
      encodePacket(this.output.begin(256), packets.disconnectConsumerKill, 1, value, this.version);
    }
    this.fail(error);
  }

  /** Its client has come back on another one: what may be taken up again waits for that. */
  leave(by: CoreConnection): void {
    if (this.isClosed) return;
    if (this.#park()) this.#link.destroy();
    else this.fail(new EverholdError("EVH_DISCONNECTED", `the client has come back as ${by.peer}`));
  }

  /** Its client did not come back in time. */
  abandon(): void {
    if (!this.isParked) return;
    this.#unpark();
    this.#release(true);
  }

  /** A session of it, which waited for its client, goes on with another one. */
  #handOver(session: CoreSession, to: CoreConnection): void {
    this.#sessions.delete(session.channelId);
    this.#server.parking.leave(this);
    for (const queue of this.#temporaryQueues ?? []) {
      queue.owner = to;
      to.temporaryQueues.add(queue);
    }
    this.#temporaryQueues = undefined;
    if (to.clientId === "") to.clientId = this.clientId;
    to.sendsMarks ||= this.sendsMarks;
    if (this.#sessions.size > 0) return;
    this.#unpark();
    this.engine.notifications.connectionChanged("CONNECTION_DESTROYED", this);
  }

  /**
   * The session that a client asks for on this connection, if it may be taken up again; the connection that
   * it had is over then. When it may not, it has ended, or waits for RESUME.
   */
  takeOver(name: string): CoreSession | undefined {
    const session = this.#server.findSession(name);
    // Who asks here for what is here has no use for it.
    if (session === undefined || session.link === this) return undefined;
    if (!this.#mayAskFor(session)) {
      const { peer } = this;
      this.engine.log.debug("A session of another user was asked for", { peer, session: name });
      return undefined;
    }
    // Where it was about to go on is given up as well. Other sessions may be there already.
    session.reattachment?.link.leave(this);
    session.link.leave(this);
    if (session.isClosed) {
      this.#logRefusedReattachment(session, "it cannot be taken up again");
      return undefined;
    }
    this.#fixVersion(session.link.version);
    const reason = this.#whyNotHere(session);
    if (reason === undefined) return session;
    this.refuseReattachment(session, reason);
    return undefined;
  }

  /** The session goes on here. */
  adopt(session: CoreSession, frameCount: number): void {
    const before = session.link;
    session.moveTo(this);
    before.#handOver(session, this);
    this.#sessions.set(session.channelId, session);
    this.#becomeKnown();
    this.#server.noteReattachment(true, {
      session: session.session.name,
      peer: before.peer,
      by: this.peer,
      framesSentAgain: frameCount,
    });
  }

  /**
   * The session cannot go on here. It ends, for its client will make another one; unless that says first what
   * is to become of what this one holds.
   */
  refuseReattachment(session: CoreSession, reason: string): void {
    this.#logRefusedReattachment(session, reason);
    if (!session.session.isReturning) session.link.endSession(session, true);
  }

  /** Ends one session, also one that waits for its client. */
  endSession(session: CoreSession, isFailure: boolean): void {
    if (session.isClosed || this.#sessions.get(session.channelId) !== session) return;
    session.close(isFailure);
    this.#sessions.delete(session.channelId);
    this.#server.sessionClosed(session);
    this.#server.parking.leave(this);
    if (this.#sessions.size === 0) this.abandon();
  }

  /** Answers a reattachment. */
  answerReattachment(lastConfirmedCommandId: number, reattached: boolean): void {
    this.#followsReattachment = !reattached;
    this.#write(packets.reattachSessionResponse, 1, { lastConfirmedCommandId, reattached });
  }

  /** Ends a connection without a session at once, because others have come that need its place. */
  giveWay(): void {
    if (this.isClosed) return;
    this.#release(true);
    this.#link.destroy();
  }

  /** Says goodbye because the broker stops, and closes behind what was sent. */
  shutDown(): void {
    if (this.isClosed) return;
    for (const session of this.#sessions.values()) session.flushConfirmations();
    if (this.version > 0)
      writeDisconnect(this.output.begin(1024), this.#server.nodeId, this.version);
    this.output.send();
    // A client that is told to go has not failed: what it holds does not count as an attempt.
    this.#release(false);
    this.#end();
  }

  /** Closes at once, without an answer to anybody. What its sessions hold is not given back. */
  destroy(): void {
    this.isClosed = true;
    this.#reader.close();
    this.#link.destroy();
  }

  /** Takes no more requests; what was asked before is still answered. */
  stopReading(): void {
    this.#reader.close();
  }

  /** Looks whether the client still lives, confirms what is due, and gives back what is not needed. */
  check(nowMs: number): void {
    for (const session of this.#sessions.values()) session.tidy();
    const { handshakeTimeoutMs } = this.engine.config;
    if (this.#phase === "silent" && nowMs >= this.#lastActivityMs + handshakeTimeoutMs) {
      this.fail(silence("say what it speaks", handshakeTimeoutMs));
      return;
    }
    if (this.#hasSent || this.output.queuedBytes < limits.outputHighBytes) {
      this.#hasSent = false;
      this.#stalledSinceMs = nowMs;
    } else if (this.#ttlMs >= 0 && nowMs >= this.#stalledSinceMs + this.#ttlMs) {
      this.fail(silence("take a byte of what waits for it", this.#ttlMs));
      return;
    }
    // Who waits for us to check a password is not silent.
    if (this.#isActive || (this.#logins?.count ?? 0) > 0) {
      this.#isActive = false;
      this.#lastActivityMs = nowMs;
    } else if (this.#ttlMs >= 0 && nowMs >= this.#lastActivityMs + this.#ttlMs && !this.#isPaused) {
      const sign = this.#phase === "known" ? "send a byte" : "send a whole packet";
      this.fail(silence(sign, this.#ttlMs));
    }
  }

  /** Reads on, if there is no more reason to wait. */
  relieve(): void {
    if (!this.#isPaused || this.isClosed) return;
    if (this.output.queuedBytes > limits.outputHighBytes) return;
    if (this.engine.journal.stagedBytes > this.#stagedHighBytes / 2) return;
    if (this.engine.waiters.count > limits.waitersHigh / 2) return;
    this.#isPaused = false;
    this.#server.paused.delete(this);
    this.#link.resume();
  }

  /** The session's channel is gone. */
  forgetSession(session: CoreSession): void {
    if (this.#sessions.get(session.channelId) === session) {
      this.#sessions.delete(session.channelId);
      this.#server.sessionClosed(session);
    }
  }

  /** Notes a refusal that the client does not hear of. Only for debugging: a client may repeat it. */
  logRefusal(message: string, error: EverholdError): void {
    this.engine.log.debug(message, { peer: this.peer, code: error.code, reason: error.message });
  }

  get #stagedHighBytes(): number {
    return this.uploadCount > 0 ? limits.uploadStagedHighBytes : limits.stagedHighBytes;
  }

  #onConnectionPacket(id: number): void {
    switch (id) {
      case packets.ping.id: {
        const ping = this.#read(packets.ping);
        if (this.engine.config.connectionTtlOverrideMs === undefined) {
          this.#ttlMs = ping.connectionTtl;
        }
        for (const session of this.#sessions.values()) session.flushConfirmations();
        this.#write(packets.ping, 0, ping);
        return;
      }
      case packets.subscribeTopology.id:
        this.#read(packets.subscribeTopology);
        this.#sendTopology();
        return;
      case packets.subscribeTopologyV2.id:
        this.#fixVersion(this.#read(packets.subscribeTopologyV2).clientVersion);
        this.#sendTopology();
        return;
      default:
        this.#refusePacket(id, 0);
    }
  }

  #onSessionPacket(id: number): void {
    const followsReattachment = this.#followsReattachment;
    this.#followsReattachment = false;
    switch (id) {
      case packets.createSession.id: {
        const request = this.#read(packets.createSession);
        this.#admit(request, followsReattachment);
        return;
      }
      case packets.createSessionV2.id: {
        const request = this.#read(packets.createSessionV2);
        this.#admit(request, false);
        return;
      }
      case packets.reattachSession.id: {
        const request = this.#read(packets.reattachSession);
        this.#inOrder(() => {
          this.#reattachments ??= new Reattachments(this);
          this.#reattachments.ask(request);
        });
        return;
      }
      case packets.checkForFailover.id:
        this.#read(packets.checkForFailover);
        this.#inOrder(() => {
          this.#write(packets.checkForFailoverReply, 1, { okToFailover: true });
        });
        return;
      default:
        this.#refusePacket(id, 1);
    }
  }

  /** Opens a session once it is known who asks for it. */
  #admit(request: PacketOf<typeof packets.createSession>, isRecreation: boolean): void {
    const { logins } = this.#server;
    if (logins?.isRequired !== true || !isSupportedVersion(request.version)) {
      this.#inOrder(() => {
        this.#createSession(request, isRecreation, "welcome");
      });
      return;
    }
    let verdict: LoginVerdict = "refused";
    const setReady = this.#waitingSteps().add(() => {
      this.#createSession(request, isRecreation, verdict);
    });
    logins.check(request.username, request.password, (found) => {
      if (this.isClosed || this.engine.isHalted) return;
      verdict = found;
      setReady();
      try {
        this.#logins?.advance();
      } catch (error) {
        if (!(error instanceof EverholdError)) throw error;
        this.fail(error);
      }
      this.engine.endStep();
    });
  }

  /** Runs what channel 1 asked for: at once, or behind what waits there. */
  #inOrder(run: () => void): void {
    if (this.#logins === undefined || this.#logins.count === 0) run();
    else this.#waitingSteps().add(run)();
  }

  /** @throws ProtocolError when the client asks for ever more and does not wait for an answer */
  #waitingSteps(): OrderedSteps {
    this.#logins ??= new OrderedSteps();
    if (this.#logins.count < limits.sessionsPerConnectionMax) return this.#logins;
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot take a request of channel 1: ${limits.sessionsPerConnectionMax} wait for an answer, which is the limit`,
    );
  }

  #createSession(
    request: PacketOf<typeof packets.createSession>,
    isRecreation: boolean,
    verdict: LoginVerdict,
  ): void {
    try {
      this.#checkSession(request, verdict);
    } catch (error) {
      if (!(error instanceof EverholdError) || error instanceof ProtocolError) throw error;
      this.#write(packets.exception, 1, exceptionOf(error, noCorrelation));
      return;
    }
    this.#fixVersion(request.version);
    const session = new CoreSession(this, {
      name: request.name,
      user: request.username,
      channelId: request.sessionChannelId,
      isXa: request.xa,
      autoCommitSends: request.autoCommitSends,
      autoCommitAcks: request.autoCommitAcks,
      preAcknowledge: request.preAcknowledge,
      defaultAddress: request.defaultAddress ?? undefined,
      confirmationWindowBytes: request.confirmationWindowSize,
      minLargeMessageBytes: request.minLargeMessageSize,
      isRecreation,
    });
    this.#sessions.set(session.channelId, session);
    this.#server.sessionOpened(session);
    this.#server.sessionCountTotal += 1;
    this.engine.notifications.sessionChanged("SESSION_CREATED", session.session);
    this.#becomeKnown();
    this.#write(packets.createSessionResponse, 1, { serverVersion: versionNewest });
  }

  /** @throws EverholdError EVH_VERSION, EVH_SECURITY, EVH_NOT_READY, EVH_ILLEGAL_STATE */
  #checkSession(request: PacketOf<typeof packets.createSession>, verdict: LoginVerdict): void {
    const { version, sessionChannelId, username } = request;
    if (!isSupportedVersion(version)) {
      throw new EverholdError(
        "EVH_VERSION",
        `cannot serve a client of protocol version ${version}, the newest known here is ${versionNewest}`,
      );
    }
    if (verdict !== "welcome") {
      if (verdict === "refused") this.#server.refusedLogin(this.peer, username ?? "");
      throw loginRefusal(verdict);
    }
    if (this.#sessions.size >= limits.sessionsPerConnectionMax) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `the connection has ${this.#sessions.size} sessions, which is the limit`,
      );
    }
    if (sessionChannelId < firstSessionChannel || this.#sessions.has(sessionChannelId)) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot open a session on channel ${sessionChannelId}: expected a free one of at least ${firstSessionChannel}`,
      );
    }
  }

  #onFrameOfStranger(): void {
    this.#phase = "greeted";
    this.#isActive = true;
  }

  #becomeKnown(): void {
    if (this.#phase === "known") return;
    this.#phase = "known";
    this.#reader.frameBytesMax = this.engine.config.frameBytesMax;
    this.#server.becameKnown(this);
  }

  /** Whoever knows a session's name may come back for it, but not somebody who is another user. */
  #mayAskFor({ session }: CoreSession): boolean {
    for (const own of this.#sessions.values()) {
      if (own.session.user !== session.user) return false;
    }
    return true;
  }

  /** Why a session that waits cannot go on here; `undefined` when it can. */
  #whyNotHere({ channelId, link, resend }: CoreSession): string | undefined {
    if (resend === undefined) return "what its client missed is not kept any more";
    if (this.version !== link.version) return "the connection speaks another version";
    if (this.#sessions.has(channelId)) return "its channel is in use";
    if (this.#sessions.size < limits.sessionsPerConnectionMax) return undefined;
    return "the connection has too many sessions";
  }

  #logRefusedReattachment({ session, link }: CoreSession, reason: string): void {
    const fields = { session: session.name, peer: link.peer, by: this.peer, reason };
    this.#server.noteReattachment(false, fields);
  }

  /** Why it ended. Strangers get a line each only as long as they are few. */
  #logClosed(code: string, reason: string): void {
    const fields = { peer: this.peer, code, reason };
    if (this.#phase === "known") this.engine.log.warn("A connection was closed", fields);
    else this.#server.closedStranger(fields);
  }

  /** The first version named holds; later ones are of no interest. */
  #fixVersion(version: number): void {
    if (this.version === 0 && isSupportedVersion(version)) this.version = version;
  }

  #sendTopology(): void {
    const version = this.version === 0 ? versionNewest : this.version;
    writeTopology(this.output.begin(1024), this.#server.nodeId, this.#server.eventId, version);
  }

  /** Reads the body of the packet under way. @throws ProtocolError */
  #read<T extends FieldTable>(definition: PacketDefinition<number, T>): ValueOf<T> {
    return decodePacket(definition, packetReader, this.version);
  }

  #write<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    channelId: number,
    value: ValueOf<T>,
  ): void {
    scratch.clear();
    encodePacket(scratch, definition, channelId, value, this.version);
    this.output.begin(scratch.offset).raw(scratch.bytes, 0, scratch.offset);
  }

  #refusePacket(id: number, channelId: number): never {
    const name = packetById(id)?.name ?? `the id ${id}`;
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read a packet of channel ${channelId}: found ${name}, which does not belong there`,
    );
  }

  #pause(): void {
    if (this.#isPaused || this.isClosed) return;
    this.#isPaused = true;
    this.#server.paused.add(this);
    this.#link.pause();
  }

  /** Closes behind what was sent. A client that does not take it is cut off at the next check. */
  #end(): void {
    this.#link.end();
    this.#server.lingering.add(this);
  }

  /**
   * Keeps what a client may come back for, if there is anything: sessions that count what they send and get, and
   * those that others go on for. The rest has failed. False when nothing is kept: the connection is to be released.
   */
  #park(): boolean {
    if (this.engine.isHalted || this.engine.config.parkedSessionsMax === 0) return false;
    for (const session of this.#sessions.values()) {
      if (session.mayBeReturnedTo) continue;
      session.close(true);
      this.#sessions.delete(session.channelId);
      this.#server.sessionClosed(session);
    }
    if (this.#sessions.size === 0) return false;
    this.isClosed = true;
    this.isParked = true;
    this.#reader.close();
    this.#server.park(this, this.#sessions.size, this.#ttlMs);
    return true;
  }

  #unpark(): void {
    this.isParked = false;
    this.#server.parking.remove(this);
  }

  /** Lets go of everything that the connection held. */
  #release(isFailure: boolean): void {
    this.isClosed = true;
    this.#reader.close();
    this.#logins?.clear();
    this.#server.forget(this);
    for (const session of this.#sessions.values()) {
      session.close(isFailure);
      this.#server.sessionClosed(session);
    }
    this.#sessions.clear();
    this.engine.notifications.connectionChanged("CONNECTION_DESTROYED", this);
    for (const queue of [...(this.#temporaryQueues ?? [])]) this.engine.catalog.deleteQueue(queue);
  }
}

// They serve every connection: a frame is handled in one synchronous step.
const packetReader = new ByteReader();
const scratch = new ByteWriter(1024);

function silence(what: string, ms: number): EverholdError {
  return new EverholdError("EVH_CONNECTION_TIMEOUT", `the client did not ${what} within ${ms} ms`);
}
