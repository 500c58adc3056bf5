import { EverholdError, ProtocolError } from "@everhold/base";
import type { Link, LinkHandler } from "@everhold/env";
import {
  ByteReader,
  ByteWriter,
  channelIdAt,
  decodePacket,
  encodePacket,
  frameHeaderBytes,
  FrameReader,
  packetById,
  packetIdAt,
  packets,
  type FieldTable,
  type FrameSink,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";

import { AddressCache } from "../engine/address-cache.ts";
import type { ClientLink } from "../engine/client-link.ts";
import type { Engine } from "../engine/engine.ts";
import type { LiveQueue } from "../engine/live-queue.ts";
import { Output } from "../engine/output.ts";
import type { Session } from "../engine/session.ts";
import { limits } from "../limits.ts";
import { Admission } from "./admission.ts";
import { firstSessionChannel } from "./channels.ts";
import { handleConnectionPacket } from "./connection-packets.ts";
import type { CoreServer } from "./core-server.ts";
import type { CoreSession } from "./core-session.ts";
import { SessionTable } from "./session-table.ts";
import { SignsOfLife } from "./signs-of-life.ts";
import { writeDisconnect, writeTopology } from "./topology.ts";
import { isSupportedVersion, versionNewest } from "./versions.ts";

/**
 * One connection that speaks CORE: frames, channels, pings, and what becomes of it.
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
  readonly server: CoreServer;
  readonly table: SessionTable;
  readonly #number: number;
  readonly #link: Link;
  readonly #reader: FrameReader;
  readonly #life: SignsOfLife;
  readonly #admission = new Admission(this);
  #phase: "silent" | "greeted" | "known" = "silent";
  #isPaused = false;
  /** The event of the topology that the client was told last; `undefined` until it asks. */
  #toldEventId: number | undefined;
  #temporaryQueues: Set<LiveQueue> | undefined;

  constructor(server: CoreServer, link: Link, nowMs: number, createdMs: number) {
    this.server = server;
    this.table = new SessionTable(server);
    this.engine = server.engine;
    this.#link = link;
    const { config } = this.engine;
    this.output = new Output(link, this.engine.pool, this.engine.outputs);
    this.#reader = new FrameReader({
      expectMagic: true,
      frameBytesMax: Math.min(config.frameBytesMax, limits.handshakeFrameBytesMax),
    });
    this.#life = new SignsOfLife(config.connectionTtlOverrideMs ?? config.connectionTtlMs, nowMs);
    this.createdMs = createdMs;
    this.#number = server.connectionCountTotal;
  }

  get id(): string {
    return this.#number.toString(16).padStart(8, "0");
  }

  get sessions(): Iterable<Session> {
    return Array.from(this.table, (each) => each.session);
  }

  get peer(): string {
    return this.#link.peer;
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
    if (this.#phase === "known") this.#life.heard();
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
    else if (!this.engine.authority.mayTake) this.#pause();
  }

  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    if (this.#phase !== "known") this.#onFrameOfStranger();
    const channelId = channelIdAt(view, start);
    if (channelId >= firstSessionChannel) {
      // Packets for unknown channels are normal: they raced with a close.
      this.table.get(channelId)?.onFrame(bytes, view, start, end);
      return !this.isClosed;
    }
    const id = packetIdAt(view, start);
    packetReader.reset(bytes, view, start + frameHeaderBytes, end);
    let belongsThere = false;
    if (channelId === 0) belongsThere = handleConnectionPacket(this, this.#life, id);
    else if (channelId === 1) belongsThere = this.#admission.onPacket(id);
    if (!belongsThere) this.#refusePacket(id, channelId);
    return !this.isClosed;
  }

  onSent(bytes: Uint8Array): void {
    this.#life.taken();
    this.engine.pool.put(bytes);
  }

  onDrained(): void {
    if (this.isClosed) return;
    if (this.isHeldBack) {
      this.isHeldBack = false;
      for (const { session } of this.table) {
        for (const consumer of session.consumers) this.engine.touch(consumer.queue);
      }
      this.#admission.drained();
      this.engine.endStep();
    }
    this.tellTopology();
    this.relieve();
  }

  onClosed(error: Error | undefined): void {
    this.server.closed(this);
    if (this.isClosed) return;
    if (this.#reader.pendingBytes > 0) {
      this.#logClosed(
        "EVH_PROTOCOL",
        `the client closed it in the middle of a frame, after ${this.#reader.pendingBytes} bytes of it`,
      );
    } else if (error !== undefined) {
      this.engine.log.debug("A connection broke", { peer: this.peer, reason: error.message });
    }
    const isFailure = this.table.size > 0;
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
      const value = { nodeId: this.server.nodeId };
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

  /** Its client did not come back in time; without `isFailure` because the broker stops first. */
  abandon(isFailure = true): void {
    if (!this.isParked) return;
    this.#unpark();
    this.#release(isFailure);
  }

  /** The session, which waited on another connection for its client, goes on here. */
  adopt(session: CoreSession, frameCount: number): void {
    const before = session.link;
    session.moveTo(this);
    before.#handOver(session, this);
    this.becomeKnown();
    this.server.noteReattachment(true, {
      session: session.session.logName,
      peer: before.peer,
      by: this.peer,
      framesSentAgain: frameCount,
    });
  }

  /** Ends one session, also one that waits for its client. */
  endSession(session: CoreSession, isFailure: boolean): void {
    if (session.isClosed || !this.table.has(session)) return;
    this.table.end(session, isFailure);
    this.server.parking.leave(this);
    if (this.table.size === 0) this.abandon();
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
    for (const session of this.table) session.flushConfirmations();
    if (this.version > 0) {
      writeDisconnect(this.output.begin(1024), this.server.nodeId, this.version);
    }
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
    for (const session of this.table) session.tidy();
    const { handshakeTimeoutMs } = this.engine.config;
    const error = this.#life.check(nowMs, {
      handshakeTimeoutMs: this.#phase === "silent" ? handshakeTimeoutMs : undefined,
      isKnown: this.#phase === "known",
      isBehind: this.output.queuedBytes >= limits.outputHighBytes,
      isPaused: this.#isPaused,
      isWaiting: this.#admission.isBusy,
    });
    if (error !== undefined) this.fail(error);
  }

  /** Reads nothing until it is relieved. */
  hold(): void {
    this.#pause();
  }

  /** Reads on, if there is no more reason to wait. */
  relieve(): void {
    if (!this.#isPaused || this.isClosed) return;
    if (this.output.queuedBytes > limits.outputHighBytes) return;
    if (this.engine.journal.stagedBytes > this.#stagedHighBytes / 2) return;
    if (this.engine.waiters.count > limits.waitersHigh / 2) return;
    if (!this.engine.authority.mayTake) return;
    this.#isPaused = false;
    this.server.paused.delete(this);
    this.#link.resume();
  }

  /** The session's channel is gone. */
  forgetSession(session: CoreSession): void {
    if (this.table.has(session)) this.table.remove(session);
  }

  /** Tells the topology, and from now on each change of it. */
  subscribeToTopology(): void {
    this.#toldEventId = 0;
    this.tellTopology();
  }

  /** Tells the client what is new of the topology, if it has asked; one that does not read hears it when it does. */
  tellTopology(): void {
    const { topology } = this.server;
    const told = this.#toldEventId;
    if (told === undefined || told === topology.eventId || !this.isWritable) return;
    this.#toldEventId = topology.eventId;
    const spoken = this.version === 0 ? versionNewest : this.version;
    writeTopology(this.output.begin(1024), topology, spoken);
  }

  /** It has a session. */
  becomeKnown(): void {
    if (this.#phase === "known") return;
    this.#phase = "known";
    this.#reader.frameBytesMax = this.engine.config.frameBytesMax;
    this.server.becameKnown(this);
  }

  /** The first version named holds; later ones are of no interest. */
  fixVersion(version: number): void {
    if (this.version === 0 && isSupportedVersion(version)) this.version = version;
  }

  /** Reads the body of the packet under way. @throws ProtocolError */
  read<T extends FieldTable>(definition: PacketDefinition<number, T>): ValueOf<T> {
    return decodePacket(definition, packetReader, this.version);
  }

  /** Writes a packet. */
  write<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    channelId: number,
    value: ValueOf<T>,
  ): void {
    scratch.clear();
    encodePacket(scratch, definition, channelId, value, this.version);
    this.output.begin(scratch.offset).raw(scratch.bytes, 0, scratch.offset);
  }

  /** Notes a refusal that the client does not hear of. Only for debugging: a client may repeat it. */
  logRefusal(message: string, error: EverholdError): void {
    this.engine.log.debug(message, { peer: this.peer, code: error.code, reason: error.message });
  }

  get #stagedHighBytes(): number {
    return this.uploadCount > 0 ? limits.uploadStagedHighBytes : limits.stagedHighBytes;
  }

  #onFrameOfStranger(): void {
    this.#phase = "greeted";
    this.#life.heard();
  }

  /** Why it ended. Strangers get a line each only as long as they are few. */
  #logClosed(code: string, reason: string): void {
    const fields = { peer: this.peer, code, reason };
    if (this.#phase === "known") this.engine.log.warn("A connection was closed", fields);
    else this.server.closedStranger(fields);
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
    this.server.paused.add(this);
    this.#link.pause();
  }

  /** Closes behind what was sent. A client that does not take it is cut off at the next check. */
  #end(): void {
    this.#link.end();
    this.server.lingering.add(this);
  }

  /**
   * Keeps what a client may come back for, if there is anything: sessions that count what they send and get, and
   * those that others go on for. The rest has failed. False when nothing is kept: the connection is to be released.
   */
  #park(): boolean {
    if (this.engine.isHalted || this.engine.config.parkedSessionsMax === 0) return false;
    for (const session of this.table) {
      if (!session.mayBeReturnedTo) this.table.end(session, true);
    }
    if (this.table.size === 0) return false;
    this.isClosed = true;
    this.isParked = true;
    this.#reader.close();
    this.#admission.clear();
    this.server.park(this, this.table.size, this.#life.ttlMs);
    return true;
  }

  /** A session of it, which waited for its client, goes on with another one. */
  #handOver(session: CoreSession, to: CoreConnection): void {
    this.table.handOver(session, to.table);
    this.server.parking.leave(this);
    for (const queue of this.#temporaryQueues ?? []) {
      queue.owner = to;
      to.temporaryQueues.add(queue);
    }
    this.#temporaryQueues = undefined;
    if (to.clientId === "") to.clientId = this.clientId;
    to.sendsMarks ||= this.sendsMarks;
    if (this.table.size > 0) return;
    this.#unpark();
    this.engine.notifications.connectionChanged("CONNECTION_DESTROYED", this);
  }

  #unpark(): void {
    this.isParked = false;
    this.server.parking.remove(this);
  }

  /** Lets go of everything that the connection held. */
  #release(isFailure: boolean): void {
    this.isClosed = true;
    this.#reader.close();
    this.#admission.clear();
    this.server.forget(this);
    for (const session of this.table) this.table.end(session, isFailure);
    this.engine.notifications.connectionChanged("CONNECTION_DESTROYED", this);
    for (const queue of [...(this.#temporaryQueues ?? [])]) this.engine.catalog.deleteQueue(queue);
  }
}

// They serve every connection: a frame is handled in one synchronous step.
const packetReader = new ByteReader();
const scratch = new ByteWriter(1024);
