import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

import {
  ByteReader,
  ByteWriter,
  decodePacket,
  encodePacket,
  frameHeaderBytes,
  FrameReader,
  magicBytes,
  packetIdAt,
  packets,
  readMessage,
  type FieldTable,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";

import { type LogLine } from "./log-recorder.test-support.ts";
import { type TestBroker } from "./test-broker.test-support.ts";
import { until } from "./until.test-support.ts";

/** The version that raw clients speak. */
export const version = 136;

/** What a client needs of the broker that it talks to. */
export type TalkingBroker = Pick<TestBroker, "port" | "sockets"> & {
  readonly log: { readonly lines: readonly LogLine[] };
};

/** One frame that the broker sent. */
interface ReceivedFrame {
  readonly id: number;
  readonly body: Uint8Array;
}

/** A client that sends whatever bytes a test wants, over a real socket. */
export class RawClient {
  readonly socket: Socket;
  /** As the broker's log names it. */
  readonly peer: string;
  readonly #test: TalkingBroker;
  /** Lines of the log that are older than the connection: ports are used again. */
  readonly #lineCountBefore: number;
  /** What the broker sent and nobody has taken yet. */
  readonly frames: ReceivedFrame[] = [];
  isClosed = false;
  /** The broker has ended its direction of the connection. */
  hasEnded = false;
  readonly #reader = new FrameReader();

  private constructor(test: TalkingBroker, socket: Socket, lineCountBefore: number) {
    this.#test = test;
    this.#lineCountBefore = lineCountBefore;
    this.socket = socket;
    this.peer = `127.0.0.1:${socket.localPort}`;
    // A connection that the broker resets is what many tests want.
    socket.on("error", () => undefined);
    socket.on("end", () => {
      this.hasEnded = true;
    });
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  /** Connects and says nothing. */
  static async dial(test: TalkingBroker): Promise<RawClient> {
    const lineCountBefore = test.log.lines.length;
    const socket = connect({
      port: test.port,
      host: "127.0.0.1",
      noDelay: true,
      allowHalfOpen: true,
    });
    test.sockets.push(socket);
    await once(socket, "connect");
    const client = new RawClient(test, socket, lineCountBefore);
    client.read();
    return client;
  }

  /** Connects and says that it speaks CORE, and in which version. */
  static async greet(test: TalkingBroker): Promise<RawClient> {
    const client = await RawClient.dial(test);
    client.write(magicBytes);
    client.send(packets.subscribeTopologyV2, 0, {
      clusterConnection: false,
      clientVersion: version,
    });
    return client;
  }

  /** Connects and opens a session on channel 10. */
  static async open(
    test: TalkingBroker,
    isTransacted = false,
    sessionName?: string,
  ): Promise<RawClient> {
    const client = await RawClient.greet(test);
    client.createSession(10, isTransacted, sessionName);
    await client.expect(packets.createSessionResponse);
    return client;
  }

  /** What an operator sees about this connection: all lines but those for debugging. */
  logged(): readonly LogLine[] {
    return this.#test.log.lines
      .slice(this.#lineCountBefore)
      .filter(({ level, fields }) => level !== "debug" && fields["peer"] === this.peer);
  }

  createSession(
    sessionChannelId: number,
    isTransacted = false,
    name = `session ${sessionChannelId} of ${this.peer}`,
  ): void {
    this.send(packets.createSession, 1, {
      name,
      sessionChannelId,
      version,
      username: null,
      password: null,
      minLargeMessageSize: 102_400,
      xa: false,
      autoCommitSends: !isTransacted,
      autoCommitAcks: !isTransacted,
      confirmationWindowSize: -1,
      preAcknowledge: false,
      defaultAddress: null,
    });
  }

  /** Opens a consumer with so much credit, −1 for no limit, and starts the session. */
  async consume(queueName: string, credits: number): Promise<void> {
    this.send(packets.createConsumer, 10, {
      consumerId: 0,
      queueName,
      filter: null,
      browseOnly: false,
      requiresResponse: true,
      priority: 0,
    });
    await this.expect(packets.queueQueryResponseV3);
    this.send(packets.flowToken, 10, { consumerId: 0, credits });
    this.send(packets.sessionStart, 10, {});
  }

  /** Acknowledges the newest of the messages that have arrived, and with it those before. */
  acknowledgeNewest(): void {
    const newest = this.frames.findLast(({ id }) => id === packets.receive.id);
    if (newest === undefined) return;
    const { message, consumerId } = decodePacket(
      packets.receive,
      new ByteReader(newest.body),
      version,
    );
    const { messageId } = readMessage(new ByteReader(message));
    this.send(packets.acknowledge, 10, { consumerId, messageId, requiresResponse: true });
  }

  write(bytes: Uint8Array): void {
    if (!this.socket.destroyed && this.socket.writable) this.socket.write(bytes);
  }

  send<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    channelId: number,
    value: ValueOf<T>,
  ): void {
    const writer = new ByteWriter();
    encodePacket(writer, definition, channelId, value, version);
    this.write(writer.toBytes());
  }

  /** The next frame of this packet; others before it are dropped. */
  async expect<T extends FieldTable>(definition: PacketDefinition<number, T>): Promise<ValueOf<T>> {
    const isIt = ({ id }: ReceivedFrame): boolean => id === definition.id;
    await until(
      () => this.frames.some(isIt) || this.hasEnded || this.isClosed,
      `${definition.name} comes`,
    );
    const index = this.frames.findIndex(isIt);
    assert.ok(index >= 0, `${definition.name} comes before the broker ends the connection`);
    const found = this.frames.splice(0, index + 1).at(-1);
    assert.ok(found);
    return decodePacket(definition, new ByteReader(found.body), version);
  }

  /**
   * Whether the broker has ended the connection by the time it has handled everything that was sent.
   * Closes this side too then.
   */
  async isRefused(): Promise<boolean> {
    this.frames.length = 0;
    this.send(packets.ping, 0, { connectionTtl: 60_000 });
    const isAnswered = (): boolean => this.frames.some(({ id }) => id === packets.ping.id);
    await until(
      () => this.hasEnded || this.isClosed || isAnswered(),
      "the broker answers or ends the connection",
    );
    if (!this.hasEnded && !this.isClosed) return false;
    await this.close();
    return true;
  }

  /** Waits until the broker ends the connection, and closes this side too. */
  async isEnded(limitMs?: number): Promise<void> {
    await until(
      () => this.hasEnded || this.isClosed,
      "the broker ends the connection",
      ...(limitMs === undefined ? [] : ([limitMs] as const)),
    );
    await this.close();
  }

  /** Takes what arrives. */
  read(): void {
    this.socket.on("data", (bytes: Uint8Array) => {
      this.#reader.push(new Uint8Array(bytes), {
        onFrame: (chunk, view, start, end) => {
          const body = chunk.slice(start + frameHeaderBytes, end);
          this.frames.push({ id: packetIdAt(view, start), body });
          return true;
        },
      });
    });
  }

  /** Ends the connection, and waits until it is gone on this side. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    const closed = once(this.socket, "close");
    this.socket.destroy();
    await closed;
  }
}

/** A frame with any id, channel and body; `length` where its length field lies. */
export function frame(
  id: number,
  channelId: number,
  body: Uint8Array,
  length?: number,
): Uint8Array {
  const writer = new ByteWriter();
  writer.u32((length ?? body.length + 9) >>> 0);
  writer.u8(id);
  writer.i64(channelId);
  writer.raw(body);
  return writer.toBytes();
}
