import assert from "node:assert/strict";

import {
  ByteReader,
  ByteWriter,
  channelIdAt,
  decodePacket,
  encodePacket,
  frameHeaderBytes,
  FrameReader,
  magicBytes,
  packetById,
  packetIdAt,
  packets,
  type FieldTable,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";

import type { ManualWorld } from "./manual-world.test-support.ts";
import type { TestSocket } from "./memory-network.test-support.ts";
import type { SessionChoices } from "./test-client.test-support.ts";

/** Where a connection breaks: when so many counted frames of the session have gone this way on it. */
export interface Cut {
  readonly way: "out" | "in";
  readonly frames: number;
  /** Whether the broker learns of it. If not, the old connection looks alive when the client comes back. */
  readonly isNoticed: boolean;
}

/** One counted frame of the session. */
export interface SessionFrame {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const version = 136;
const channelId = 10;

/**
 * A client with one session and a confirmation window. When its connection breaks, where the test says so,
 * it comes back for its session as Java clients do: what was not confirmed is sent again, whatever it is.
 * So what the test sees must be the same as if nothing had broken.
 */
export class ReturningClient {
  /** All counted frames that the session was sent, each once. */
  readonly received: SessionFrame[] = [];
  /** How often it came back. */
  returnCount = 0;
  /** The answers to its reattachments. */
  readonly answers: boolean[] = [];
  readonly #world: ManualWorld;
  readonly #session: SessionChoices & { readonly name: string };
  readonly #cuts: Cut[];
  #socket: TestSocket;
  #reader = new FrameReader();
  /** Frames that the broker has not confirmed, and the command id of the first. */
  #unconfirmed: Uint8Array[] = [];
  #firstUnconfirmed = 0;
  #isCut = false;
  #isBack = true;
  #outCount = 0;
  #inCount = 0;
  /** Confirms after so many frames. */
  readonly #confirmEvery: number;

  private constructor(
    world: ManualWorld,
    session: SessionChoices & { readonly name: string },
    cuts: readonly Cut[],
    confirmEvery: number,
  ) {
    this.#world = world;
    this.#session = session;
    this.#cuts = [...cuts];
    this.#confirmEvery = confirmEvery;
    this.#socket = world.network.dial();
    this.#socket.send(magicBytes);
  }

  static async open(
    world: ManualWorld,
    choices: SessionChoices = {},
    cuts: readonly Cut[] = [],
    confirmEvery = 3,
  ): Promise<ReturningClient> {
    const session = { name: "returning", ...choices };
    const client = new ReturningClient(world, session, cuts, confirmEvery);
    client.#greet();
    client.#write(packets.createSession, 1, {
      sessionChannelId: channelId,
      version,
      username: null,
      password: null,
      minLargeMessageSize: 102_400,
      xa: false,
      autoCommitSends: true,
      autoCommitAcks: true,
      confirmationWindowSize: 100,
      preAcknowledge: false,
      defaultAddress: null,
      ...session,
    });
    await client.settle();
    return client;
  }

  /** Command id of the last counted packet that was sent. */
  get lastSent(): number {
    return this.#firstUnconfirmed + this.#unconfirmed.length - 1;
  }

  get unconfirmedCount(): number {
    return this.#unconfirmed.length;
  }

  /** Sends a counted packet of the session, at the latest when the client is back. */
  send<T extends FieldTable>(definition: PacketDefinition<number, T>, value: ValueOf<T>): void {
    const writer = new ByteWriter();
    encodePacket(writer, definition, channelId, value, version);
    const frame = writer.toBytes();
    this.#unconfirmed.push(frame);
    if (this.#isBack) this.#sendFrame(frame);
  }

  /** Waits for the next `count` frames, across all breaks, and gives them. */
  async take(count = 1): Promise<SessionFrame[]> {
    const wanted = this.#taken + count;
    for (let round = 0; this.received.length < wanted; round += 1) {
      assert.ok(
        round < 20,
        `${count} frames are expected after ${this.received.map(({ name }) => name).join(" ")}`,
      );
      await this.settle();
      if (this.#isCut && this.received.length < wanted) await this.comeBack();
    }
    const taken = this.received.slice(this.#taken, wanted);
    this.#taken = wanted;
    return taken;
  }

  #taken = 0;

  /** Lets everything happen that can, with whatever breaks meanwhile. */
  async settle(): Promise<void> {
    await this.#world.settle();
    this.#readAll();
    await this.#world.settle();
  }

  /** Breaks the connection now. */
  cut(isNoticed: boolean): void {
    this.#isCut = true;
    this.#isBack = false;
    // What the broker has not noticed stays open, and nobody reads it.
    if (isNoticed) this.#socket.close(new Error("cut"));
  }

  /** Breaks it when so many frames have gone one way on it, or on the next one. */
  cutLater(cut: Cut): void {
    this.#cuts.push(cut);
  }

  /** Comes back on a new connection, for as long as that breaks as well. */
  async comeBack(): Promise<void> {
    while (this.#isCut) {
      this.returnCount += 1;
      assert.ok(this.returnCount < 1_000, "it gets through at last");
      this.#isCut = false;
      this.#outCount = 0;
      this.#inCount = 0;
      this.#reader = new FrameReader();
      this.#socket = this.#world.network.dial();
      this.#socket.send(magicBytes);
      this.#greet();
      this.#write(packets.reattachSession, 1, {
        name: this.#session.name,
        lastConfirmedCommandId: this.received.length - 1,
      });
      await this.settle();
      assert.ok(this.#isCut || this.#isBack, "the reattachment is answered");
      if (this.answers.at(-1) === false) return;
    }
  }

  /** The content of a frame, which must be of this packet. */
  decode<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    frame: SessionFrame,
  ): ValueOf<T> {
    assert.equal(frame.name, definition.name);
    return decodePacket(definition, new ByteReader(frame.bytes), version);
  }

  #greet(): void {
    this.#write(packets.ping, 0, { connectionTtl: 60_000 });
    this.#write(packets.subscribeTopologyV2, 0, {
      clusterConnection: false,
      clientVersion: version,
    });
  }

  #write<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    channel: number,
    value: ValueOf<T>,
  ): void {
    const writer = new ByteWriter();
    encodePacket(writer, definition, channel, value, version);
    if (!this.#isCut) this.#socket.send(writer.toBytes());
  }

  #sendFrame(frame: Uint8Array): void {
    if (this.#isCut) return;
    const cut = this.#cuts[0];
    if (cut?.way === "out" && this.#outCount >= cut.frames) {
      this.#cuts.shift();
      this.cut(cut.isNoticed);
      return;
    }
    this.#outCount += 1;
    this.#socket.send(frame);
  }

  #readAll(): void {
    if (this.#isCut) return;
    for (const chunk of this.#socket.received.splice(0)) {
      this.#reader.push(chunk, {
        onFrame: (bytes, view, start, end) => {
          const body = bytes.slice(start + frameHeaderBytes, end);
          this.#onFrame(packetIdAt(view, start), channelIdAt(view, start), body);
          return !this.#isCut;
        },
      });
    }
  }

  #onFrame(id: number, channel: number, body: Uint8Array): void {
    if (this.#isCut) return;
    const reader = new ByteReader(body);
    if (id === packets.reattachSessionResponse.id) {
      const answer = decodePacket(packets.reattachSessionResponse, reader, version);
      this.#onReattached(answer.reattached, answer.lastConfirmedCommandId);
      return;
    }
    if (channel !== channelId) return;
    if (id === packets.packetsConfirmed.id) {
      this.#confirmed(decodePacket(packets.packetsConfirmed, reader, version).commandId);
      return;
    }
    const cut = this.#cuts[0];
    if (cut?.way === "in" && this.#inCount >= cut.frames) {
      this.#cuts.shift();
      this.cut(cut.isNoticed);
      return;
    }
    this.#inCount += 1;
    this.received.push({ name: packetById(id)?.name ?? "?", bytes: body });
    if (this.received.length % this.#confirmEvery === 0) {
      const last = this.received.length - 1;
      // A thread of Java's clients may be late with what it read before the last ones came.
      for (const commandId of [last, last - this.#confirmEvery]) {
        this.#write(packets.packetsConfirmed, channelId, { commandId });
      }
    }
  }

  #onReattached(isReattached: boolean, lastHandled: number): void {
    this.answers.push(isReattached);
    this.#isBack = true;
    if (!isReattached) return;
    this.#confirmed(lastHandled);
    for (const frame of this.#unconfirmed) this.#sendFrame(frame);
  }

  #confirmed(commandId: number): void {
    const count = commandId - this.#firstUnconfirmed + 1;
    assert.ok(count >= 0, "the broker has no less than it said before");
    assert.ok(count <= this.#unconfirmed.length, "the broker confirms only what was sent");
    this.#unconfirmed.splice(0, count);
    this.#firstUnconfirmed += count;
  }
}
