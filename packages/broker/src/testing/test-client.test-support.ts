import assert from "node:assert/strict";

import {
  ByteReader,
  ByteWriter,
  channelIdAt,
  decodePacket,
  encodePacket,
  encodeTextBody,
  frameHeaderBytes,
  FrameReader,
  magicBytes,
  packetById,
  packetIdAt,
  packets,
  readMessage,
  writeMessage,
  unsaidQueueAttributes,
  type CoreMessage,
  type FieldTable,
  type PacketDefinition,
  type PacketOf,
  type TypedValue,
  type ValueOf,
} from "@everhold/wire";

import { featuresAddress } from "../core/descriptions.ts";
import type { ManualWorld } from "./manual-world.test-support.ts";
import type { TestSocket } from "./memory-network.test-support.ts";

/** One frame that the broker sent. */
export interface ReceivedFrame {
  readonly name: string;
  readonly channelId: number;
  readonly frameBytes: number;
  readonly bytes: Uint8Array;
}

/** What a session is created with; everything else is as JMS does it for AUTO_ACKNOWLEDGE. */
export type SessionChoices = Partial<PacketOf<typeof packets.createSession>>;

/** What a message is made with. */
export type MessageChoices = Partial<Omit<CoreMessage, "properties">> & {
  readonly text?: string;
  readonly properties?: Readonly<Record<string, TypedValue>>;
  /** 1 anycast (default), 0 multicast, `undefined` unsaid. */
  readonly routing?: number | undefined;
};

const defaultSession: PacketOf<typeof packets.createSession> = {
  name: "session",
  sessionChannelId: 10,
  version: 136,
  username: null,
  password: null,
  minLargeMessageSize: 102_400,
  xa: false,
  autoCommitSends: true,
  autoCommitAcks: true,
  confirmationWindowSize: -1,
  preAcknowledge: false,
  defaultAddress: null,
};

const defaultQueue: PacketOf<typeof packets.createQueueV2> = {
  address: "q",
  queueName: "q",
  filter: null,
  durable: true,
  temporary: false,
  requiresResponse: true,
  autoCreated: false,
  routingType: 1,
  maxConsumers: -1,
  purgeOnNoConsumers: false,
  ...unsaidQueueAttributes,
};

/** Drives a broker with raw packets over one connection. */
export class TestClient {
  readonly world: ManualWorld;
  readonly socket: TestSocket;
  readonly version: number;
  readonly frames: ReceivedFrame[] = [];
  readonly #reader = new FrameReader();

  constructor(world: ManualWorld, version = 136) {
    this.world = world;
    this.version = version;
    this.socket = world.network.dial();
    this.socket.send(magicBytes);
  }

  /** A client that has said what it speaks and has one session, on channel 10. */
  static async open(world: ManualWorld, choices: SessionChoices = {}): Promise<TestClient> {
    const client = new TestClient(world, choices.version ?? 136);
    await client.subscribe();
    await client.createSession(choices);
    client.frames.length = 0;
    return client;
  }

  /** As {@link open}; it has asked for features as well, so the broker heeds its marks. */
  static async openMarking(world: ManualWorld, choices: SessionChoices = {}): Promise<TestClient> {
    const client = await TestClient.open(world, choices);
    client.send(packets.bindingQuery, 10, { address: featuresAddress });
    await client.settle();
    client.frames.length = 0;
    return client;
  }

  async subscribe(): Promise<void> {
    this.send(packets.ping, 0, { connectionTtl: 60_000 });
    this.send(packets.subscribeTopologyV2, 0, {
      clusterConnection: false,
      clientVersion: this.version,
    });
    await this.settle();
  }

  async createSession(choices: SessionChoices = {}): Promise<void> {
    const value = { ...defaultSession, version: this.version, ...choices };
    this.send(packets.createSession, 1, value);
    await this.settle();
  }

  async createQueue(choices: Partial<PacketOf<typeof packets.createQueueV2>> = {}): Promise<void> {
    const address = choices.address ?? choices.queueName ?? "q";
    const value = { ...defaultQueue, queueName: address, ...choices, address };
    this.send(packets.createQueueV2, 10, value);
    await this.expect(packets.nullResponse);
  }

  /** Opens a consumer with unlimited credit, and starts the session. */
  async consume(
    queueName: string,
    choices: Partial<PacketOf<typeof packets.createConsumer>> & { credits?: number } = {},
    channelId = 10,
  ): Promise<void> {
    const { credits = -1, ...rest } = choices;
    const value = {
      consumerId: 0,
      queueName,
      filter: null,
      browseOnly: false,
      requiresResponse: true,
      priority: 0,
      ...rest,
    };
    this.send(packets.createConsumer, channelId, value);
    await this.expect(packets.queueQueryResponseV3);
    if (credits !== 0) {
      this.send(packets.flowToken, channelId, { consumerId: value.consumerId, credits });
    }
    this.send(packets.sessionStart, channelId, {});
    await this.settle();
  }

  /** Sends a packet. */
  send<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    channelId: number,
    value: ValueOf<T>,
  ): void {
    const writer = new ByteWriter();
    encodePacket(writer, definition, channelId, value, this.version);
    this.socket.send(writer.toBytes());
  }

  /** Sends a message without waiting for anything. */
  post(message: Uint8Array, correlationId = 1, requiresResponse = true, channelId = 10): void {
    this.send(packets.send, channelId, { message, requiresResponse, correlationId, senderId: 0 });
  }

  /** Sends a durable message with this text and waits until the broker has it. */
  async publish(address: string, text: string, choices: MessageChoices = {}): Promise<void> {
    this.post(messageOf(address, { text, ...choices }));
    await this.expect(packets.nullResponse);
  }

  /** Sends to an address until the broker refuses because its disk is full. */
  async fillDisk(address: string): Promise<void> {
    this.world.disk.free = 0;
    const body = new Uint8Array(100_000);
    for (let sends = 0; sends < 100; sends += 1) {
      this.post(messageOf(address, { body }));
      if ((await this.names()).includes("EXCEPTION")) return;
    }
    throw new Error("the disk did not become full");
  }

  acknowledge(messageId: number, consumerId = 0, requiresResponse = true, channelId = 10): void {
    this.send(packets.acknowledge, channelId, { consumerId, messageId, requiresResponse });
  }

  /** Takes the frames that have arrived. */
  async settle(): Promise<void> {
    await this.world.settle();
    for (const chunk of this.socket.received.splice(0)) {
      this.#reader.push(chunk, {
        onFrame: (bytes, view, start, end) => {
          this.frames.push({
            name: packetById(packetIdAt(view, start))?.name ?? "?",
            channelId: channelIdAt(view, start),
            frameBytes: end - start,
            bytes: bytes.slice(start + frameHeaderBytes, end),
          });
          return true;
        },
      });
    }
  }

  /** The names of the frames that have arrived, which are dropped then. */
  async names(): Promise<string[]> {
    await this.settle();
    return this.frames.splice(0).map((frame) => frame.name);
  }

  /** The next frame, which must be of this packet. */
  async expect<T extends FieldTable>(definition: PacketDefinition<number, T>): Promise<ValueOf<T>> {
    await this.settle();
    const frame = this.frames.shift();
    assert.ok(frame !== undefined, `${definition.name} is expected, and nothing came`);
    return this.decode(definition, frame);
  }

  /** The content of a frame, which must be of this packet. */
  decode<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    frame: ReceivedFrame,
  ): ValueOf<T> {
    assert.equal(frame.name, definition.name);
    return decodePacket(definition, new ByteReader(frame.bytes), this.version);
  }

  /** The delivery in a frame. */
  decodeDelivery(frame: ReceivedFrame): Delivery {
    const { message, consumerId, deliveryCount } = this.decode(packets.receive, frame);
    return { ...readMessage(new ByteReader(message)), consumerId, deliveryCount };
  }

  /** The next frame, which must be a delivery. */
  async delivery(): Promise<Delivery> {
    await this.settle();
    const frame = this.frames.shift();
    assert.ok(frame !== undefined, "a delivery is expected, and nothing came");
    return this.decodeDelivery(frame);
  }

  /** All deliveries that have arrived; nothing else may have. */
  async deliveries(): Promise<Delivery[]> {
    await this.settle();
    const found: Delivery[] = [];
    while (this.frames.length > 0) found.push(await this.delivery());
    return found;
  }

  /** The texts of all deliveries that have arrived. */
  async texts(): Promise<string[]> {
    return (await this.deliveries()).map(textOf);
  }
}

/** A message that was delivered. */
export interface Delivery extends CoreMessage {
  readonly consumerId: number;
  readonly deliveryCount: number;
}

/** The text of a message made by {@link messageOf}. */
export function textOf(message: CoreMessage): string {
  return new TextDecoder("utf-16le").decode(message.body.subarray(5));
}

/** The bytes of a message: durable, anycast, with a text, unless told otherwise. */
export function messageOf(address: string | null, choices: MessageChoices = {}): Uint8Array {
  const { text = "", routing = 1, properties = {}, ...rest } = choices;
  const all = new Map<string, TypedValue>(Object.entries(properties));
  if (!("routing" in choices) || choices.routing !== undefined) {
    all.set("_AMQ_ROUTING_TYPE", { type: "byte", value: routing });
  }
  const writer = new ByteWriter();
  writeMessage(writer, {
    messageId: 0,
    userId: null,
    type: 3,
    durable: true,
    expiration: 0,
    timestamp: 0,
    priority: 4,
    body: encodeTextBody(text),
    ...rest,
    address,
    properties: all,
  });
  return writer.toBytes();
}
