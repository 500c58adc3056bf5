import { ConnectionError, Deque, EverholdError, ProtocolError } from "@everhold/base";
import {
  decodePacket,
  encodePacket,
  frameHeaderBytes,
  packetIdAt,
  packets,
  type ByteReader,
} from "@everhold/wire";
import { refusalError } from "./refusal.ts";
import type { ChannelHandler, Transport } from "./transport.ts";

/** What kind of session the broker is asked for. */
export interface SessionFlavour {
  readonly autoCommitSends: boolean;
  readonly autoCommitAcks: boolean;
  readonly preAcknowledge: boolean;
  /** Whether it works for branches of distributed transactions. */
  readonly isXa?: boolean;
}

/** A session to create. */
export interface SessionRequest extends SessionFlavour {
  /** Unique on the broker. */
  readonly name: string;
  readonly channelId: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly clientId: string | undefined;
  readonly confirmationWindowBytes: number;
  /** Bodies above this go and come in parts of as many bytes. */
  readonly minLargeMessageBytes: number;
}

/** The oldest version that this client falls back to: the first with correlation ids. */
const versionMin = 130;
/** The first version in which CREATESESSION_V2 exists. */
const createSessionV2Since = 131;

const administrationChannel = 1;

interface Pending {
  readonly attempt: string;
  readonly sinceMs: number;
  readonly answerIds: readonly number[];
  onAnswer(reader: ByteReader): void;
  onRefused(error: EverholdError, code: number): void;
}

/**
 * Channel 1: creates sessions and retires those of earlier connections. Its requests are answered in
 * their order.
 */
export class SessionCreation implements ChannelHandler {
  readonly #transport: Transport;
  readonly #pending = new Deque<Pending>();

  constructor(transport: Transport) {
    this.#transport = transport;
    transport.attach(administrationChannel, this);
  }

  /**
   * Creates a session, with the newest version that the broker accepts.
   *
   * @throws RejectedError EVH_SECURITY, EVH_VERSION, EVH_NOT_READY, …
   * @throws ConnectionError
   */
  async create(request: SessionRequest): Promise<void> {
    for (let version = this.#transport.version; ; version -= 1) {
      try {
        const serverVersion = await this.#createAt(request, version);
        this.#transport.serverVersion = Math.min(serverVersion, version);
        return;
      } catch (error) {
        if (!EverholdError.is(error, "EVH_VERSION") || version <= versionMin) throw error;
      }
    }
  }

  /**
   * Asks the broker to hand over a session of a broken connection, of which `receivedLast` came last. `onKept` is
   * told up to which packet the broker has all, in the very step in which the answer comes: what the session is
   * sent from there on may be next. Settles with false when it is gone.
   */
  reattach(
    name: string,
    receivedLast: number,
    onKept: (brokerLast: number) => void,
  ): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const lost = this.#transport.lostError;
      if (lost !== undefined) return reject(lost);
      const value = { name, lastConfirmedCommandId: receivedLast };
      encodePacket(
        this.#transport.output(),
        packets.reattachSession,
        administrationChannel,
        value,
        0,
      );
      this.#pending.push({
        attempt: "go on with the session of the broken connection",
        sinceMs: this.#transport.ports.monotonicClock.nowMs(),
        answerIds: [packets.reattachSessionResponse.id],
        onAnswer: (reader) => {
          const answer = decodePacket(packets.reattachSessionResponse, reader, 0);
          if (answer.reattached) onKept(answer.lastConfirmedCommandId);
          resolve(answer.reattached);
        },
        onRefused: reject,
      });
    });
  }

  /** Asks whether this broker serves the clients of a node: one that stands by for it may not, yet. */
  checkForFailover(nodeId: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const lost = this.#transport.lostError;
      if (lost !== undefined) return reject(lost);
      encodePacket(
        this.#transport.output(),
        packets.checkForFailover,
        administrationChannel,
        { nodeId },
        0,
      );
      this.#pending.push({
        attempt: "ask whether the broker takes over",
        sinceMs: this.#transport.ports.monotonicClock.nowMs(),
        answerIds: [packets.checkForFailoverReply.id],
        onAnswer: (reader) =>
          resolve(decodePacket(packets.checkForFailoverReply, reader, 0).okToFailover),
        onRefused: reject,
      });
    });
  }

  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const id = packetIdAt(view, start);
    const reader = this.#transport.reader;
    reader.reset(bytes, view, start + frameHeaderBytes, end);
    if (id === packets.disconnectConsumerKill.id) {
      return this.#transport.fail(slowConsumerError(), "broker");
    }
    const pending = this.#pending.shift();
    if (pending === undefined) return;
    if (id === packets.exception.id) {
      const refusal = decodePacket(packets.exception, reader, this.#transport.version);
      pending.onRefused(refusalError(refusal, pending.attempt), refusal.code);
      return;
    }
    if (!pending.answerIds.includes(id)) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `Cannot ${pending.attempt}: found a packet of id ${id} as the answer`,
      );
    }
    pending.onAnswer(reader);
  }

  onHeartbeat(nowMs: number): void {
    const oldest = this.#pending.at(0);
    if (oldest !== undefined) this.#transport.failIfLate(oldest.attempt, oldest.sinceMs, nowMs);
  }

  onLost(error: EverholdError): void {
    for (const pending of this.#pending.drain()) pending.onRefused(error, 0);
  }

  #createAt(request: SessionRequest, version: number): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      const lost = this.#transport.lostError;
      if (lost !== undefined) return reject(lost);
      this.#writeCreate(request, version);
      this.#pending.push({
        attempt: "open a session",
        sinceMs: this.#transport.ports.monotonicClock.nowMs(),
        answerIds: [packets.createSessionResponse.id],
        onAnswer: (reader) =>
          resolve(decodePacket(packets.createSessionResponse, reader, version).serverVersion),
        onRefused: reject,
      });
    });
  }

  #writeCreate(request: SessionRequest, version: number): void {
    const value = {
      name: request.name,
      sessionChannelId: request.channelId,
      version,
      username: request.username ?? null,
      password: request.password ?? null,
      minLargeMessageSize: request.minLargeMessageBytes,
      xa: request.isXa === true,
      autoCommitSends: request.autoCommitSends,
      autoCommitAcks: request.autoCommitAcks,
      confirmationWindowSize: request.confirmationWindowBytes,
      preAcknowledge: request.preAcknowledge,
      defaultAddress: null,
    };
    const output = this.#transport.output();
    if (this.#transport.serverVersion >= createSessionV2Since) {
      const clientId = request.clientId ?? null;
      encodePacket(
        output,
        packets.createSessionV2,
        administrationChannel,
        { ...value, clientId },
        version,
      );
    } else {
      encodePacket(output, packets.createSession, administrationChannel, value, version);
    }
  }
}

function slowConsumerError(): ConnectionError {
  return new ConnectionError(
    "EVH_SLOW_CONSUMER",
    "The broker ended the connection: it found a consumer too slow",
  );
}
