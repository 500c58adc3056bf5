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
  messageTypes,
  packetIdAt,
  packets,
  propertyNames,
  readMessage,
  writeMessage,
  type FieldTable,
  type FrameSink,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";

const version = 136;
const sessionChannelId = 10;

function messageTo(address: string): Uint8Array {
  const writer = new ByteWriter();
  writeMessage(writer, {
    body: new Uint8Array(100),
    messageId: 0,
    address,
    userId: null,
    type: messageTypes.bytes,
    durable: false,
    expiration: 0,
    timestamp: 0,
    priority: 4,
    properties: new Map([[propertyNames.routingType, { type: "byte", value: 1 }]]),
  });
  return writer.toBytes();
}

/** Who is told of the frames that nobody waits for. */
type FrameListener = (id: number) => void;

/** One CORE connection without a client library, so that thousands of them cost their process little. */
export class RawConnection implements FrameSink {
  readonly socket: Socket;
  onOther: FrameListener = () => {};
  /** Whether what is delivered is acknowledged. */
  acknowledges = true;
  readonly #reader = new FrameReader();
  #awaitedId = 0;
  #settle: ((error: Error | undefined) => void) | undefined;
  #isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    // What breaks a connection is what its closing tells.
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Uint8Array) => this.#reader.push(chunk, this));
    socket.on("close", () => {
      this.#isClosed = true;
      this.#settle?.(new Error("the broker closed the connection"));
    });
  }

  /** Connects and says nothing. */
  static async dial(port: number): Promise<RawConnection> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    await once(socket, "connect");
    return new RawConnection(socket);
  }

  /** Connects and opens a session. */
  static async open(port: number, name: string): Promise<RawConnection> {
    const connection = await RawConnection.dial(port);
    connection.greet();
    connection.createSession(name);
    await connection.expect(packets.createSessionResponse.id);
    return connection;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Says what it speaks and asks for the topology, as Java clients do first. */
  greet(): void {
    this.socket.write(magicBytes);
    const request = { clusterConnection: false, clientVersion: version };
    this.send(packets.subscribeTopologyV2, 0, request);
  }

  createSession(name: string): void {
    this.send(packets.createSession, 1, {
      name,
      sessionChannelId,
      version,
      username: null,
      password: null,
      minLargeMessageSize: 102_400,
      xa: false,
      autoCommitSends: true,
      autoCommitAcks: true,
      confirmationWindowSize: -1,
      preAcknowledge: false,
      defaultAddress: null,
    });
  }

  /** Opens a consumer with so many bytes of credit, and starts the session. */
  async consume(queueName: string, credits: number): Promise<void> {
    this.send(packets.createConsumer, sessionChannelId, {
      consumerId: 0,
      queueName,
      filter: null,
      browseOnly: false,
      requiresResponse: true,
      priority: 0,
    });
    await this.expect(packets.queueQueryResponseV3.id);
    this.send(packets.flowToken, sessionChannelId, { consumerId: 0, credits });
    this.send(packets.sessionStart, sessionChannelId, {});
  }

  /** Sends a small message that only the memory keeps, and wants no answer. */
  sendMessage(address: string): void {
    const message = messageTo(address);
    const value = { message, requiresResponse: false, correlationId: 0, senderId: 0 };
    this.send(packets.send, sessionChannelId, value);
  }

  /** Asks for the right to send so many bytes to an address. */
  requestCredits(address: string, credits: number): void {
    this.send(packets.producerRequestCredits, sessionChannelId, { credits, address });
  }

  /** Says that it lives, and how long its silence may last from now on. */
  ping(connectionTtl: number): void {
    this.send(packets.ping, 0, { connectionTtl });
  }

  send<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    channelId: number,
    value: ValueOf<T>,
  ): void {
    const writer = new ByteWriter();
    encodePacket(writer, definition, channelId, value, version);
    if (this.socket.writable) this.socket.write(writer.toBytes());
  }

  /** Waits for a frame of this id. @throws Error when the broker refuses, or closes the connection */
  async expect(id: number): Promise<void> {
    if (this.#isClosed) throw new Error("the broker has closed the connection");
    this.#awaitedId = id;
    await new Promise<void>((resolve, reject) => {
      this.#settle = (error) => {
        this.#settle = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
    });
  }

  /** Waits until the connection is gone. */
  async closed(): Promise<void> {
    if (!this.#isClosed) await once(this.socket, "close");
  }

  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const id = packetIdAt(view, start);
    if (id === packets.exception.id) {
      const reader = new ByteReader().reset(bytes, view, start + frameHeaderBytes, end);
      const { message } = decodePacket(packets.exception, reader, version);
      this.#settle?.(new Error(`the broker refused: ${message ?? "without a reason"}`));
    } else if (id === this.#awaitedId && this.#settle !== undefined) {
      this.#settle(undefined);
    } else {
      if (id === packets.receive.id && this.acknowledges)
        this.#acknowledge(bytes, view, start, end);
      this.onOther(id);
    }
    return true;
  }

  #acknowledge(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const reader = new ByteReader().reset(bytes, view, start + frameHeaderBytes, end);
    const { message, consumerId } = decodePacket(packets.receive, reader, version);
    const { messageId } = readMessage(new ByteReader(message));
    const value = { consumerId, messageId, requiresResponse: false };
    this.send(packets.acknowledge, sessionChannelId, value);
  }
}
