import {
  ByteReader,
  ByteWriter,
  decodeSimpleString,
  packets,
  propertyNames,
  readMessage,
  receiveFrameBytes,
  setI64At,
  settleActions,
  writeMessage,
  type TypedValue,
} from "@everhold/wire";
import type {
  Received,
  StoredMessage,
  TestBrokerConnection,
  TestQueue,
} from "./test-broker.test-support.ts";
import { managementAddress, managementReply } from "./test-management.test-support.ts";

interface TestConsumer {
  readonly id: number;
  readonly queue: TestQueue;
  readonly browses: boolean;
  credits: number;
  browsed: number;
  /** Deliveries that are not settled, in order. */
  readonly inFlight: StoredMessage[];
}

/** One session of the test broker: CORE in the plainest way. */
export class TestSession {
  readonly name: string;
  readonly channelId: number;
  readonly consumers = new Map<number, TestConsumer>();
  started = false;
  /** Packets that count and have come. */
  handledCount = 0;
  /** Frames that count and were sent. */
  readonly sent: Uint8Array[] = [];
  readonly #transacted: boolean;
  readonly #preAcknowledge: boolean;
  #connection: TestBrokerConnection;
  /** A large message that is arriving. */
  #upload: { readonly headers: Uint8Array; readonly parts: Uint8Array[] } | undefined;
  /** What a commit makes true. */
  #work: (() => void)[] = [];
  #acked: { readonly consumer: TestConsumer; readonly message: StoredMessage }[] = [];

  constructor(
    connection: TestBrokerConnection,
    options: { name: string; channelId: number; transacted: boolean; preAcknowledge: boolean },
  ) {
    this.#connection = connection;
    this.name = options.name;
    this.channelId = options.channelId;
    this.#transacted = options.transacted;
    this.#preAcknowledge = options.preAcknowledge;
  }

  /** The session goes on over another connection. */
  moveTo(connection: TestBrokerConnection): void {
    this.#connection = connection;
  }

  /** What a client has not got that has all up to this one. */
  sentBehind(id: number): readonly Uint8Array[] {
    return this.sent.slice(id + 1);
  }

  /** The connection is gone: everything goes back, and counts. */
  fail(): void {
    this.#returnAll(() => false);
    this.consumers.clear();
    this.#broker.deliverAll();
  }

  onPacket({ name, value }: Received): void {
    switch (name) {
      case "SESS_SEND":
        return this.#onSend(value);
      case "SESS_BINDINGQUERY":
        return this.#onBindingQuery(String(value["address"]));
      case "SESS_QUEUEQUERY":
        return this.#describe(queuePart(String(value["queueName"])));
      case "CREATE_ADDRESS":
        this.#broker.addresses.add(String(value["address"]));
        return this.#done();
      case "CREATE_QUEUE_V2":
      case "CREATE_SHARED_QUEUE_V2":
        return this.#onCreateQueue(name, value);
      case "DELETE_QUEUE":
        return this.#broker.queues.delete(String(value["queueName"]))
          ? this.#done()
          : this.#refuse(100);
      case "SESS_PRODUCER_REQUEST_CREDITS":
        return this.#onCreditRequest(value);
      case "SESS_CREATECONSUMER":
        return this.#onCreateConsumer(value);
      case "SESS_FLOWTOKEN":
        return this.#onFlowToken(value);
      case "SESS_FORCE_CONSUMER_DELIVERY":
        return this.#onForceDelivery(value);
      case "SESS_ACKNOWLEDGE":
      case "SESS_INDIVIDUAL_ACKNOWLEDGE":
        return this.#onAcknowledge(name === "SESS_INDIVIDUAL_ACKNOWLEDGE", value);
      case "EVERHOLD_SETTLE":
        return this.#onSettle(value);
      case "SESS_CONSUMER_CLOSE":
        return this.#onConsumerClose(Number(value["consumerId"]));
      case "SESS_START":
        this.started = true;
        return this.deliver();
      case "SESS_STOP":
        this.started = false;
        return this.#done();
      case "SESS_COMMIT":
        for (const effect of this.#work.splice(0)) effect();
        this.#acked = [];
        this.#done(Number(value["correlationId"] ?? -1));
        return this.#broker.deliverAll();
      case "SESS_ROLLBACK":
        return this.#onRollback(value["considerLastMessageAsDelivered"] === true);
      case "SESS_CLOSE":
        return this.#onClose();
      case "SESS_ADD_METADATA2":
      case "SESS_UNIQUE_ADD_METADATA":
        return value["requiresConfirmation"] === true ? this.#done() : undefined;
      case "SESS_SEND_LARGE":
        this.#upload = { headers: bytesOf(value["headers"]).slice(), parts: [] };
        return;
      case "SESS_SEND_CONTINUATION":
        return this.#onSendPart(value);
      case "CREATE_PRODUCER":
      case "REMOVE_PRODUCER":
      case "PACKETS_CONFIRMED":
      case "SESS_EXPIRED":
        return;
      default:
        throw new Error(`the test broker does not know ${name}`);
    }
  }

  /** Grants producer credit, as an answer that came late. */
  grant(address: string, credits: number): void {
    this.#connection.send(packets.producerCredits, this.channelId, { address, credits });
  }

  /** Answers sends late: `NULL_RESPONSE` for this correlation id. */
  confirm(correlationId: number): void {
    this.#done(correlationId);
  }

  /** Hands out what credits allow. */
  deliver(): void {
    for (const consumer of this.consumers.values()) this.#deliverTo(consumer);
  }

  /** Delivers a message whose queue is no matter. */
  send(consumerId: number, message: Uint8Array, deliveryCount: number): void {
    this.#connection.send(packets.receive, this.channelId, { message, consumerId, deliveryCount });
  }

  /** The queue of a consumer is deleted under it. */
  disconnectConsumer(consumerId: number): void {
    this.#connection.send(packets.disconnectConsumer, this.channelId, { consumerId });
  }

  /** A large message, in parts of so many bytes. */
  sendLarge(consumerId: number, message: Uint8Array, partBytes: number): void {
    for (const _ of this.largeFrames(consumerId, message, partBytes)) continue;
  }

  /** The same, a frame at each step. */
  *largeFrames(consumerId: number, message: Uint8Array, partBytes: number): Generator<void> {
    const { body, ...headers } = readMessage(new ByteReader(message));
    const writer = new ByteWriter();
    writeMessage(writer, { ...headers, body: new Uint8Array(0) });
    this.#connection.send(packets.receiveLarge, this.channelId, {
      consumerId,
      deliveryCount: 1,
      largeMessageSize: body.length,
      headers: writer.toBytes().slice(4),
    });
    yield;
    for (let offset = 0; offset < body.length; offset += partBytes) {
      this.#connection.send(packets.receiveContinuation, this.channelId, {
        part: body.slice(offset, offset + partBytes),
        continues: offset + partBytes < body.length,
        consumerId,
      });
      yield;
    }
  }

  get #broker(): TestBrokerConnection["broker"] {
    return this.#connection.broker;
  }

  #onSend(value: Readonly<Record<string, unknown>>): void {
    const bytes = value["message"];
    if (!(bytes instanceof Uint8Array)) throw new Error("a send has a message");
    const store = (): void => this.#store(bytes);
    if (this.#transacted) this.#work.push(store);
    else store();
    if (value["requiresResponse"] === true) this.#done(Number(value["correlationId"]));
    this.#broker.deliverAll();
  }

  #onSendPart(value: Readonly<Record<string, unknown>>): void {
    if (this.#upload === undefined) throw new Error("a part follows its headers");
    this.#upload.parts.push(bytesOf(value["part"]).slice());
    if (value["continues"] === true) return;
    const { headers, parts } = this.#upload;
    this.#upload = undefined;
    const head = new ByteWriter();
    head.u32(parts.reduce((sum, part) => sum + part.length, 13));
    const message = [head.toBytes(), ...parts, headers];
    this.#onSend({ ...value, message: new Uint8Array(Buffer.concat(message)) });
  }

  #store(bytes: Uint8Array): void {
    const { address, properties } = readMessage(new ByteReader(bytes));
    if (address === managementAddress) {
      const { queues, deadLetterAddress } = this.#broker;
      return this.#store(managementReply(bytes, [...queues.keys()], deadLetterAddress));
    }
    const duplicateId = properties.get(propertyNames.duplicateId);
    if (duplicateId !== undefined) {
      const text = String(duplicateId.value);
      if (this.#broker.duplicateIds.has(text)) return;
      this.#broker.duplicateIds.add(text);
    }
    const isMulticast = properties.get(propertyNames.routingType)?.value === 0;
    for (const queue of this.#broker.queues.values()) {
      if (queue.address !== address || (queue.routing === 0) !== isMulticast) continue;
      const id = this.#broker.nextMessageId++;
      const copy = bytes.slice();
      const view = new DataView(copy.buffer);
      setI64At(view, 4 + view.getInt32(0) - 13, id);
      queue.messages.push({ id, bytes: copy, deliveryCount: 0 });
    }
  }

  #onBindingQuery(address: string): void {
    const broker = this.#broker;
    const names = [...broker.queues.values()]
      .filter((queue) => queue.address === address)
      .map((queue) => queue.name);
    const isFeatures = address === "$everhold.features";
    const isKnown = address === managementAddress || broker.addresses.has(address);
    const exists = isFeatures ? broker.isEverhold : isKnown;
    const queueNames = isFeatures ? [...broker.features] : names;
    const value = {
      exists,
      queueNames: exists ? queueNames : [],
      autoCreateQueues: broker.autoCreate,
      autoCreateAddresses: broker.autoCreate,
      defaultPurgeOnNoConsumers: false,
      defaultMaxConsumers: -1,
      defaultExclusive: null,
      defaultLastValue: null,
      defaultLastValueKey: null,
      defaultNonDestructive: null,
      defaultConsumersBeforeDispatch: null,
      defaultDelayBeforeDispatch: null,
    };
    if (broker.version < 135) {
      return this.#connection.send(packets.bindingQueryResponseV4, this.channelId, value);
    }
    const flags = { supportsMulticast: true, supportsAnycast: true };
    this.#connection.send(packets.bindingQueryResponseV5, this.channelId, { ...value, ...flags });
  }

  #onCreateQueue(name: string, value: Readonly<Record<string, unknown>>): void {
    const queueName = String(value["queueName"]);
    if (this.#broker.queues.has(queueName) && name === "CREATE_QUEUE_V2") return this.#refuse(101);
    this.#broker.queue(queueName, {
      address: String(value["address"]),
      routing: Number(value["routingType"]),
      filter: typeof value["filter"] === "string" ? value["filter"] : null,
      durable: value["durable"] === true,
      temporary: value["temporary"] === true,
    });
    this.#done();
  }

  #onCreditRequest(value: Readonly<Record<string, unknown>>): void {
    if (this.#broker.grantsCredit) this.grant(String(value["address"]), Number(value["credits"]));
  }

  #onCreateConsumer(value: Readonly<Record<string, unknown>>): void {
    const name = queuePart(String(value["queueName"]));
    const queue = this.#broker.queues.get(name);
    if (queue === undefined) return this.#refuse(100);
    queue.consumerCount += 1;
    const id = Number(value["consumerId"]);
    const browses = value["browseOnly"] === true;
    this.consumers.set(id, { id, queue, browses, credits: 0, browsed: 0, inFlight: [] });
    this.#describe(name);
  }

  #onFlowToken(value: Readonly<Record<string, unknown>>): void {
    const consumer = this.consumers.get(Number(value["consumerId"]));
    if (consumer === undefined) return;
    const credits = Number(value["credits"]);
    if (credits === 0) consumer.credits = 0;
    else consumer.credits = credits === -1 ? Infinity : consumer.credits + credits;
    this.#deliverTo(consumer);
  }

  #onForceDelivery(value: Readonly<Record<string, unknown>>): void {
    const consumer = this.consumers.get(Number(value["consumerId"]));
    if (consumer === undefined) return;
    this.#deliverTo(consumer);
    const writer = new ByteWriter();
    const sequence: TypedValue = { type: "long", value: Number(value["sequence"]) };
    writeMessage(writer, {
      messageId: 0,
      address: consumer.queue.name,
      userId: null,
      type: 0,
      durable: false,
      expiration: 0,
      timestamp: 0,
      priority: 4,
      properties: new Map([[propertyNames.forcedDeliverySequence, sequence]]),
      body: new Uint8Array(4),
    });
    this.send(consumer.id, writer.toBytes(), 0);
  }

  #deliverTo(consumer: TestConsumer): void {
    if (!this.started && !consumer.browses) return;
    while (consumer.credits > 0) {
      const message = consumer.browses
        ? consumer.queue.messages[consumer.browsed++]
        : consumer.queue.messages.shift();
      if (message === undefined) {
        if (consumer.browses) consumer.browsed -= 1;
        return;
      }
      if (!consumer.browses) {
        message.deliveryCount += 1;
        if (!this.#preAcknowledge) consumer.inFlight.push(message);
      }
      consumer.credits -= receiveFrameBytes(message.bytes.length);
      this.send(consumer.id, message.bytes, message.deliveryCount);
    }
  }

  #onAcknowledge(individual: boolean, value: Readonly<Record<string, unknown>>): void {
    const consumer = this.consumers.get(Number(value["consumerId"]));
    const index = consumer?.inFlight.findIndex(({ id }) => id === value["messageId"]) ?? -1;
    if (consumer === undefined || index < 0) {
      return value["requiresResponse"] === true ? this.#refuse(104) : undefined;
    }
    const first = individual ? index : 0;
    const acked = consumer.inFlight.splice(first, index - first + 1);
    if (this.#transacted) for (const message of acked) this.#acked.push({ consumer, message });
    if (value["requiresResponse"] === true) this.#done();
  }

  /** Delays are not kept here: what is released comes again at once. */
  #onSettle(value: Readonly<Record<string, unknown>>): void {
    const consumer = this.consumers.get(Number(value["consumerId"]));
    const index = consumer?.inFlight.findIndex(({ id }) => id === value["messageId"]) ?? -1;
    if (consumer === undefined || index < 0) return this.#refuse(104);
    const { messages } = consumer.queue;
    if (value["action"] === settleActions.giveBack) {
      const returned = consumer.inFlight.splice(index);
      for (const message of returned) message.deliveryCount -= 1;
      messages.unshift(...returned);
    } else {
      const [message] = consumer.inFlight.splice(index, 1);
      if (message === undefined) return;
      const isRejected = value["action"] === settleActions.reject;
      if (isRejected) this.#broker.queue("DLQ").messages.push(message);
      else messages.unshift(message);
      messages.sort((one, other) => one.id - other.id);
    }
    if (value["requiresResponse"] === true) this.#done();
    this.#broker.deliverAll();
  }

  #onConsumerClose(consumerId: number): void {
    const consumer = this.consumers.get(consumerId);
    if (consumer !== undefined) {
      for (const message of consumer.inFlight) message.deliveryCount -= 1;
      putBack(consumer.queue, consumer.inFlight);
      consumer.queue.consumerCount -= 1;
      this.consumers.delete(consumerId);
    }
    this.#done();
    this.#broker.deliverAll();
  }

  #onClose(): void {
    const giveBack = (): void => {
      this.#returnAll(() => true);
      this.consumers.clear();
      this.#broker.deliverAll();
    };
    this.#connection.sessions.delete(this.channelId);
    const { lateReturns } = this.#broker;
    if (lateReturns === undefined || this.#acked.length === 0) {
      giveBack();
      return this.#done();
    }
    this.started = false;
    lateReturns.push(giveBack);
    this.#done();
  }

  #onRollback(considerLast: boolean): void {
    this.#work = [];
    let isFirst = true;
    this.#returnAll(() => {
      const counts = considerLast && isFirst;
      isFirst = false;
      return !counts;
    });
    for (const consumer of this.consumers.values()) consumer.queue.consumerCount += 1;
    this.#done();
    this.#broker.deliverAll();
  }

  /** Puts deliveries back at their places; `uncount` says which were not really delivered. */
  #returnAll(uncount: () => boolean): void {
    for (const consumer of this.consumers.values()) {
      for (const message of consumer.inFlight) if (uncount()) message.deliveryCount -= 1;
      putBack(consumer.queue, consumer.inFlight.splice(0));
      consumer.queue.consumerCount -= 1;
    }
    // Of consumers that are closed by now as well.
    for (const { consumer, message } of this.#acked.splice(0)) putBack(consumer.queue, [message]);
  }

  #describe(name: string): void {
    const queue = this.#broker.queues.get(name);
    this.#connection.send(packets.queueQueryResponseV3, this.channelId, {
      exists: queue !== undefined || name === managementAddress,
      durable: queue?.durable ?? false,
      temporary: queue?.temporary ?? false,
      consumerCount: queue?.consumerCount ?? 0,
      messageCount: queue?.messages.length ?? 0,
      filter: queue?.filter ?? null,
      address: queue?.address ?? name,
      name,
      autoCreateQueues: this.#broker.autoCreate,
      autoCreated: false,
      purgeOnNoConsumers: false,
      routingType: queue?.routing ?? 1,
      maxConsumers: -1,
      exclusive: null,
      lastValue: null,
      defaultConsumerWindowSize: null,
      lastValueKey: null,
      nonDestructive: null,
      consumersBeforeDispatch: null,
      delayBeforeDispatch: null,
      groupRebalance: null,
      groupBuckets: null,
      autoDelete: null,
      autoDeleteDelay: null,
      autoDeleteMessageCount: null,
      groupFirstKey: null,
      ringSize: null,
      enabled: null,
      groupRebalancePauseDispatch: null,
      configurationManaged: null,
    });
  }

  #done(correlationId = -1): void {
    this.#connection.send(packets.nullResponse, this.channelId, { correlationId });
  }

  #refuse(code: number): void {
    const value = { code, message: "no", correlationId: -1 };
    this.#connection.send(packets.exception, this.channelId, value);
  }
}

function putBack({ messages }: TestQueue, returned: readonly StoredMessage[]): void {
  messages.unshift(...returned);
  messages.sort((one, other) => one.id - other.id);
}

function queuePart(name: string): string {
  return name.slice(name.indexOf("::") + (name.includes("::") ? 2 : 1));
}

/** The text of a message's body. */
export function textOf(message: Pick<StoredMessage, "bytes">): string {
  const { body } = readMessage(new ByteReader(message.bytes));
  return decodeSimpleString(body, 5);
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new Error("a packet has bytes");
}
