import { connect, type Socket } from "node:net";

import {
  ByteReader,
  ByteWriter,
  channelIdAt,
  decodePacket,
  encodePacket,
  FrameReader,
  frameHeaderBytes,
  i64At,
  magicBytes,
  messageTypes,
  packetIdAt,
  packets,
  propertyNames,
  SendFrame,
  setI64At,
  writeMessage,
  writeSend,
  type FrameSink,
} from "@everhold/wire";

import type { LatencyHistogram } from "./latency-histogram.ts";
import type { Task } from "./task.ts";

const protocolVersion = 136;
const sessionChannelId = 10;
/** Behind the correlation id only the sender's id follows. */
const correlationFromEnd = 12;

const address = "bench.raw";
const unset = null;
const queue = {
  address,
  queueName: address,
  filter: unset,
  durable: true,
  temporary: false,
  // Refused where another producer was first; then it is there all the same.
  requiresResponse: false,
  autoCreated: false,
  routingType: 1,
  maxConsumers: -1,
  purgeOnNoConsumers: false,
  exclusive: unset,
  lastValue: unset,
  lastValueKey: unset,
  nonDestructive: unset,
  consumersBeforeDispatch: unset,
  delayBeforeDispatch: unset,
  groupRebalance: unset,
  groupBuckets: unset,
  autoDelete: unset,
  autoDeleteDelay: unset,
  autoDeleteMessageCount: unset,
  groupFirstKey: unset,
  ringSize: unset,
  enabled: unset,
  groupRebalancePauseDispatch: unset,
};

/** One connection that keeps so many sends without an answer, and times each answer. */
export class RawProducer implements FrameSink {
  isMeasuring = false;
  answered = 0;
  readonly #socket: Socket;
  readonly #frame: Uint8Array;
  readonly #inFlight: number;
  readonly #latencies: LatencyHistogram;
  readonly #sentMs: Float64Array;
  #sent = 0;
  #onSession: () => void = () => undefined;

  static async open(
    url: string,
    frame: Uint8Array,
    inFlight: number,
    latencies: LatencyHistogram,
  ): Promise<RawProducer> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    const producer = new RawProducer(socket, frame, inFlight, latencies);
    const ready = new Promise<void>((resolve) => {
      producer.#onSession = resolve;
    });
    socket.write(sessionOpening());
    await ready;
    return producer;
  }

  private constructor(
    socket: Socket,
    frame: Uint8Array,
    inFlight: number,
    latencies: LatencyHistogram,
  ) {
    this.#socket = socket;
    this.#frame = frame;
    this.#inFlight = inFlight;
    this.#latencies = latencies;
    this.#sentMs = new Float64Array(inFlight);
    const reader = new FrameReader();
    socket.on("data", (chunk) => {
      reader.push(chunk, this);
      if (this.#sent > 0) this.#sendMore();
    });
  }

  start(): void {
    this.#sendMore();
  }

  end(): void {
    this.#socket.destroy();
  }

  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const id = packetIdAt(view, start);
    if (id === packets.exception.id) {
      const reader = new ByteReader().reset(bytes, view, start + frameHeaderBytes, end);
      const { message } = decodePacket(packets.exception, reader, protocolVersion);
      throw new Error(`the broker refused: ${message ?? "without a reason"}`);
    }
    if (id === packets.createSessionResponse.id) this.#onSession();
    if (id === packets.nullResponse.id && channelIdAt(view, start) === sessionChannelId) {
      this.answered++;
      if (this.isMeasuring) {
        const slot = i64At(view, start + frameHeaderBytes) % this.#inFlight;
        this.#latencies.record(performance.now() - (this.#sentMs[slot] ?? 0));
      }
    }
    return true;
  }

  /** Fills the window with one write. */
  #sendMore(): void {
    const count = this.#inFlight - (this.#sent - this.answered);
    if (count === 0) return;
    const frameBytes = this.#frame.length;
    const output = new Uint8Array(count * frameBytes);
    const view = new DataView(output.buffer);
    const nowMs = performance.now();
    for (let index = 0; index < count; index++) {
      output.set(this.#frame, index * frameBytes);
      setI64At(view, (index + 1) * frameBytes - correlationFromEnd, this.#sent);
      this.#sentMs[this.#sent % this.#inFlight] = nowMs;
      this.#sent++;
    }
    this.#socket.write(output);
  }
}

/** The frame of one send, complete but for its correlation id. */
export function sendFrame({ size, durable }: Task): Uint8Array {
  const message = new ByteWriter();
  writeMessage(message, {
    body: new Uint8Array(size).fill(120),
    messageId: 0,
    address,
    userId: null,
    type: messageTypes.bytes,
    durable,
    expiration: 0,
    timestamp: 0,
    priority: 4,
    properties: new Map([[propertyNames.routingType, { type: "byte", value: 1 }]]),
  });
  const frame = new SendFrame();
  frame.channelId = sessionChannelId;
  frame.messageEnd = message.offset;
  frame.requiresResponse = true;
  const writer = new ByteWriter();
  writeSend(writer, frame, message.toBytes(), protocolVersion);
  return writer.toBytes();
}

function sessionOpening(): Uint8Array {
  const writer = new ByteWriter();
  writer.raw(magicBytes);
  encodePacket(
    writer,
    packets.createSessionV2,
    1,
    {
      name: `raw-${process.pid}-${Math.random()}`,
      sessionChannelId,
      version: protocolVersion,
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
    },
    protocolVersion,
  );
  encodePacket(writer, packets.createQueueV2, sessionChannelId, queue, protocolVersion);
  encodePacket(writer, packets.sessionStart, sessionChannelId, {}, protocolVersion);
  return writer.toBytes();
}
