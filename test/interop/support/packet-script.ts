import {
  ByteWriter,
  encodeTextBody,
  packets,
  writeHeaders,
  writeMessage,
  unsaidQueueAttributes,
  type CoreMessage,
  type FieldTable,
  type PacketDefinition,
  type PacketOf,
  type TypedValue,
  type ValueOf,
} from "@everhold/wire";

import type { PacketStep } from "./packet-stage.ts";

/** What a session is created with; everything else is as JMS does it for AUTO_ACKNOWLEDGE. */
export type SessionChoices = Partial<PacketOf<typeof packets.createSessionV2>> & {
  /** The newer packet carries the client id; Java clients use both. Default false. */
  readonly isV2?: boolean;
};

/** What a queue is created with; everything else is a durable anycast queue. */
export type QueueChoices = Partial<PacketOf<typeof packets.createQueueV2>>;

/** What a consumer is opened with. */
export type ConsumerChoices = Partial<PacketOf<typeof packets.createConsumer>>;

/** What a message is made with; everything else is a durable text message for an anycast queue. */
export type MessageChoices = Partial<Omit<CoreMessage, "properties">> & {
  readonly properties?: Readonly<Record<string, TypedValue>>;
  /** 1 anycast, 0 multicast, `undefined` unsaid. Default 1. */
  readonly routing?: number | undefined;
  /** Default true. */
  readonly requiresResponse?: boolean;
};

/** Marks a name that stands for itself: others get a prefix, so that programs never meet. */
const literal = "=";

/** Puts together the steps of one program. Names are the program's own unless they begin with `=`. */
export class PacketScript {
  readonly steps: PacketStep[] = [];
  readonly prefix: string;
  /** The time that the program goes by, in ms since the epoch; the same for every broker. */
  readonly nowMs: number;
  #connectionCount = 0;
  #batch: PacketStep[] | undefined;

  constructor(prefix: string, nowMs: number) {
    this.prefix = prefix;
    this.nowMs = nowMs;
  }

  /** What goes by this name on the wire. Both parts of `address::queue` are names. */
  name(name: string): string {
    const parts = name.split("::").map((part) => {
      return part.startsWith(literal) ? part.slice(1) : `${this.prefix}${part}`;
    });
    return parts.join("::");
  }

  /** Connects and subscribes to the topology, which settles the version. */
  connect(version = 136): ConnectionScript {
    const connection = this.connectSilently(version);
    connection.request(0, packets.subscribeTopologyV2, {
      clusterConnection: false,
      clientVersion: version,
    });
    return connection;
  }

  /** Connects and says nothing but the magic bytes. */
  connectSilently(version = 136): ConnectionScript {
    const index = this.#connectionCount;
    this.#connectionCount += 1;
    this.step(`connect c${index} at version ${version}`, (stage) => stage.connect(index, version));
    return new ConnectionScript(this, index, version);
  }

  /** A connection of its own with one session on channel 10. */
  session(choices: SessionChoices = {}): SessionScript {
    return this.connect(choices.version ?? 136).session(choices);
  }

  step(text: string, run: PacketStep["run"]): void {
    (this.#batch ?? this.steps).push({ text: text.replaceAll(this.prefix, ""), run });
  }

  /** Makes one step of several: nobody waits between them. */
  together(add: () => void): void {
    const batch: PacketStep[] = [];
    this.#batch = batch;
    add();
    this.#batch = undefined;
    this.step(batch.map(({ text }) => text).join(" + "), async (stage) => {
      for (const { run } of batch) await run(stage);
    });
  }

  /** Lets time pass. */
  wait(ms: number): void {
    this.step(`wait ${ms} ms`, (stage) => stage.wait(ms));
  }
}

/** One connection of a program. */
export class ConnectionScript {
  readonly script: PacketScript;
  readonly index: number;
  readonly version: number;

  constructor(script: PacketScript, index: number, version: number) {
    this.script = script;
    this.index = index;
    this.version = version;
  }

  /** Opens a session; the next steps use its channel. */
  session(choices: SessionChoices = {}): SessionScript {
    const { isV2 = false, ...rest } = choices;
    const value = {
      name: `${this.script.prefix}session-${this.index}-${choices.sessionChannelId ?? 10}`,
      sessionChannelId: 10,
      version: this.version,
      username: null,
      password: null,
      minLargeMessageSize: 102_400,
      xa: false,
      autoCommitSends: true,
      autoCommitAcks: true,
      confirmationWindowSize: -1,
      preAcknowledge: false,
      defaultAddress: null,
      clientId: null,
      ...rest,
    };
    const channelId = value.sessionChannelId;
    const definition = isV2 ? packets.createSessionV2 : packets.createSession;
    const text = `${definition.name} c${this.index} ${JSON.stringify(value, shown)}`;
    this.script.step(text, (stage) => {
      stage.await(this.index, 1);
      stage.sessionOpening(this.index, channelId);
      if (isV2) stage.send(this.index, 1, packets.createSessionV2, value);
      else stage.send(this.index, 1, packets.createSession, value);
    });
    return new SessionScript(this, channelId);
  }

  /** Sends a packet. */
  packet<T extends FieldTable>(
    channelId: number,
    definition: PacketDefinition<number, T>,
    value: ValueOf<T>,
  ): void {
    const text = `${definition.name} c${this.index}/${channelId} ${JSON.stringify(value, shown)}`;
    this.script.step(text, (stage) => stage.send(this.index, channelId, definition, value));
  }

  /** Sends a packet that is answered on the same channel, and waits for the answer. */
  request<T extends FieldTable>(
    channelId: number,
    definition: PacketDefinition<number, T>,
    value: ValueOf<T>,
  ): void {
    const text = `${definition.name} c${this.index}/${channelId} ${JSON.stringify(value, shown)}`;
    this.script.step(text, (stage) => {
      stage.await(this.index, channelId);
      stage.send(this.index, channelId, definition, value);
    });
  }

  ping(connectionTtl = 60_000): void {
    this.request(0, packets.ping, { connectionTtl });
  }

  /** Sends a frame of any kind. */
  frame(packetId: number, channelId: number, body: Uint8Array): void {
    const bytes = new Uint8Array(13 + body.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 9 + body.length);
    view.setUint8(4, packetId);
    view.setBigInt64(5, BigInt(channelId));
    bytes.set(body, 13);
    const text = `packet ${packetId} c${this.index}/${channelId} with ${body.length} bytes`;
    this.script.step(text, (stage) => stage.write(this.index, bytes));
  }

  /** Breaks it as a process that dies does, and gives the broker time to see that. */
  drop(): void {
    this.script.step(`drop c${this.index}`, async (stage) => {
      stage.drop(this.index);
      await stage.wait(50);
    });
  }
}

/** One session of a program. */
export class SessionScript {
  readonly connection: ConnectionScript;
  readonly channelId: number;
  #correlation = 0;

  constructor(connection: ConnectionScript, channelId: number) {
    this.connection = connection;
    this.channelId = channelId;
  }

  get script(): PacketScript {
    return this.connection.script;
  }

  packet<T extends FieldTable>(definition: PacketDefinition<number, T>, value: ValueOf<T>): void {
    this.connection.packet(this.channelId, definition, value);
  }

  createQueue(name: string, choices: QueueChoices = {}): void {
    this.packet(packets.createQueueV2, {
      ...queueDefaults,
      ...choices,
      address: this.script.name(choices.address ?? name),
      queueName: this.script.name(name),
    });
  }

  createSharedQueue(
    name: string,
    choices: Partial<PacketOf<typeof packets.createSharedQueueV2>> = {},
  ): void {
    const { temporary: _temporary, autoCreated: _autoCreated, ...defaults } = queueDefaults;
    this.packet(packets.createSharedQueueV2, {
      ...defaults,
      routingType: 0,
      maxConsumers: null,
      purgeOnNoConsumers: null,
      ...choices,
      address: this.script.name(choices.address ?? name),
      queueName: this.script.name(name),
    });
  }

  createAddress(
    name: string,
    routingTypes: readonly number[],
    choices: Partial<PacketOf<typeof packets.createAddress>> = {},
  ): void {
    const address = this.script.name(name);
    this.packet(packets.createAddress, {
      routingTypes,
      requiresResponse: true,
      autoCreated: false,
      ...choices,
      address,
    });
  }

  deleteQueue(name: string): void {
    this.packet(packets.deleteQueue, { queueName: this.script.name(name) });
  }

  query(name: string): void {
    this.packet(packets.queueQuery, { queueName: this.script.name(name) });
  }

  binding(name: string): void {
    this.packet(packets.bindingQuery, { address: this.script.name(name) });
  }

  /** Sends a text message; its text tells it from others. */
  publish(address: string | null, text: string, choices: MessageChoices = {}): void {
    const { requiresResponse = true, ...rest } = choices;
    const message = messageOf(address === null ? null : this.script.name(address), text, rest);
    this.#correlation += 1;
    this.connection.script.step(
      `SESS_SEND ${this.#at} "${text}" to ${address ?? "nothing"} ${JSON.stringify(choices, shown)}`,
      this.#sending(packets.send, {
        message,
        requiresResponse,
        correlationId: this.#correlation,
        senderId: 0,
      }),
    );
  }

  /** Opens a consumer with unlimited credit. */
  consume(consumerId: number, queueName: string, choices: ConsumerChoices = {}): void {
    this.consumer(consumerId, queueName, choices);
    this.credits(consumerId, -1);
  }

  consumer(consumerId: number, queueName: string, choices: ConsumerChoices = {}): void {
    this.packet(packets.createConsumer, {
      filter: null,
      browseOnly: false,
      requiresResponse: true,
      priority: 0,
      ...choices,
      consumerId,
      queueName: this.script.name(queueName),
    });
  }

  credits(consumerId: number, credits: number): void {
    this.packet(packets.flowToken, { consumerId, credits });
  }

  closeConsumer(consumerId: number): void {
    const { index } = this.connection;
    this.script.step(`SESS_CONSUMER_CLOSE ${this.#at} ${consumerId}`, (stage) => {
      stage.givenBack(index, this.channelId, consumerId);
      stage.send(index, this.channelId, packets.consumerClose, { consumerId });
    });
  }

  force(consumerId: number, sequence: number): void {
    this.packet(packets.forceConsumerDelivery, { consumerId, sequence });
  }

  start(): void {
    this.packet(packets.sessionStart, {});
  }

  stop(): void {
    this.packet(packets.sessionStop, {});
  }

  /** Acknowledges up to one of the deliveries of a consumer: 0 the first, −1 the last. */
  acknowledge(consumerId: number, which: number, requiresResponse = true): void {
    this.#acknowledge(packets.acknowledge, consumerId, which, requiresResponse);
  }

  acknowledgeOne(consumerId: number, which: number, requiresResponse = true): void {
    this.#acknowledge(packets.individualAcknowledge, consumerId, which, requiresResponse);
  }

  /** Says that a delivery had expired when the client looked at it. */
  expired(consumerId: number, which: number): void {
    const { index } = this.connection;
    this.script.step(`SESS_EXPIRED ${this.#at} delivery ${which} of ${consumerId}`, (stage) => {
      const messageId = stage.messageId(index, this.channelId, consumerId, which);
      stage.send(index, this.channelId, packets.expired, { consumerId, messageId });
    });
  }

  commit(): void {
    this.#correlation += 1;
    this.packet(packets.commit, { correlationId: this.#correlation });
  }

  rollback(considerLastMessageAsDelivered = false): void {
    const { index } = this.connection;
    const how = considerLastMessageAsDelivered ? "counting the first" : "counting none";
    this.script.step(`SESS_ROLLBACK ${this.#at} ${how}`, (stage) => {
      stage.givenBack(index, this.channelId);
      stage.send(index, this.channelId, packets.rollback, { considerLastMessageAsDelivered });
    });
  }

  /** Settles something that the consumer holds, if it holds anything: the oldest is 0, the newest −1. */
  settleHeld(consumerId: number, which: number, isCumulative: boolean): void {
    const { index } = this.connection;
    const { channelId } = this;
    const kind = isCumulative ? "SESS_ACKNOWLEDGE" : "SESS_INDIVIDUAL_ACKNOWLEDGE";
    this.script.step(`${kind} ${this.#at} held ${which} of ${consumerId}`, (stage) => {
      const messageId = stage.heldId(index, channelId, consumerId, which);
      if (messageId === undefined) return;
      const value = { consumerId, messageId, requiresResponse: true };
      stage.settled(index, channelId, consumerId, messageId, isCumulative);
      if (isCumulative) stage.send(index, channelId, packets.acknowledge, value);
      else stage.send(index, channelId, packets.individualAcknowledge, value);
    });
  }

  /** Ends the session; nothing more is expected of its channel. */
  close(): void {
    const { index } = this.connection;
    this.script.step(`SESS_CLOSE ${this.#at}`, (stage) => {
      stage.sessionClosing(index, this.channelId);
      stage.givenBack(index, this.channelId);
      stage.send(index, this.channelId, packets.sessionClose, {});
    });
  }

  /** Begins a large message. */
  sendLarge(address: string, choices: MessageChoices = {}): void {
    const writer = new ByteWriter();
    writeHeaders(writer, messageValue(this.script.name(address), "", { type: 4, ...choices }));
    this.packet(packets.sendLarge, { headers: writer.toBytes() });
  }

  /** A part of a large message: the body's size comes with the last one. */
  sendPart(part: Uint8Array, messageBodySize?: number, requiresResponse = true): void {
    this.#correlation += 1;
    this.packet(packets.sendContinuation, {
      part,
      continues: messageBodySize === undefined,
      messageBodySize: messageBodySize ?? null,
      requiresResponse,
      correlationId: this.#correlation,
      senderId: 0,
    });
  }

  get #at(): string {
    return `c${this.connection.index}/${this.channelId}`;
  }

  #acknowledge(
    definition: typeof packets.acknowledge | typeof packets.individualAcknowledge,
    consumerId: number,
    which: number,
    requiresResponse: boolean,
  ): void {
    const { index } = this.connection;
    const answer = requiresResponse ? "" : " without an answer";
    const text = `${definition.name} ${this.#at} delivery ${which} of ${consumerId}${answer}`;
    this.script.step(text, (stage) => {
      const messageId = stage.messageId(index, this.channelId, consumerId, which);
      const value = { consumerId, messageId, requiresResponse };
      if (definition.id === packets.acknowledge.id) {
        stage.send(index, this.channelId, packets.acknowledge, value);
      } else stage.send(index, this.channelId, packets.individualAcknowledge, value);
    });
  }

  #sending<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    value: ValueOf<T>,
  ): PacketStep["run"] {
    return (stage) => stage.send(this.connection.index, this.channelId, definition, value);
  }
}

const queueDefaults = {
  filter: null,
  durable: true,
  temporary: false,
  requiresResponse: true,
  autoCreated: false,
  routingType: 1,
  maxConsumers: -1,
  purgeOnNoConsumers: false,
  ...unsaidQueueAttributes,
} as const;

function messageValue(address: string | null, text: string, choices: MessageChoices): CoreMessage {
  const { routing = 1, properties = {}, requiresResponse: _unused, ...rest } = choices;
  const all = new Map<string, TypedValue>(Object.entries(properties));
  if (!("routing" in choices) || choices.routing !== undefined) {
    all.set("_AMQ_ROUTING_TYPE", { type: "byte", value: routing });
  }
  return {
    messageId: 0,
    userId: null,
    type: 3,
    durable: true,
    expiration: 0,
    timestamp: 1_700_000_000_000,
    priority: 4,
    body: encodeTextBody(text),
    ...rest,
    address,
    properties: all,
  };
}

function messageOf(address: string | null, text: string, choices: MessageChoices): Uint8Array {
  const writer = new ByteWriter();
  writeMessage(writer, messageValue(address, text, choices));
  return writer.toBytes();
}

/** Long bytes are shown by their length. */
function shown(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return value instanceof Uint8Array ? `${value.length} bytes` : value;
}
