import {
  ByteReader,
  decodePacket,
  packetById,
  packets,
  propertyNames,
  readHeaders,
  readMessage,
  type CoreMessage,
  type MessageHeaders,
} from "@everhold/wire";

import type { RawConnection, RawFrame } from "./raw-core.ts";

/** What one step came to: plain JSON, without what may differ from broker to broker. */
export type Observation = Readonly<Record<string, unknown>>;

/** One place where two observations differ. */
export interface Difference {
  /** Where in the observation, e.g. `c0/10.answers.0.code`. */
  readonly path: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

/** A large message on its way, in parts. */
interface Arriving {
  readonly delivery: Record<string, unknown>;
  readonly parts: Uint8Array[];
}

/** Begins the names of the questions that only find out whether a session has handled everything. */
const barrierName = "barrier";

/**
 * Turns frames into observations. Answers and deliveries of one channel are kept apart, because in Artemis
 * they come from different threads; within each, order stays. Message ids become ordinals, texts of errors
 * and identities of brokers are dropped.
 */
export class Transcriber {
  readonly #prefix: string;
  readonly #ordinals = new Map<number, string>();
  readonly #delivered = new Map<string, number[]>();
  /** As `#delivered`, without what was settled or given back. */
  readonly #held = new Map<string, number[]>();
  readonly #arriving = new Map<string, Arriving>();
  /** The newest PACKETS_CONFIRMED of `connection/channel`. */
  readonly #confirmed = new Map<string, number>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Ids of what a consumer was given so far, oldest first. */
  deliveredTo(connection: number, channelId: number, consumerId: number): readonly number[] {
    return this.#delivered.get(`${connection}/${channelId}/${consumerId}`) ?? [];
  }

  /** Ids of what a consumer holds; the caller takes out what it settles. */
  heldBy(connection: number, channelId: number, consumerId: number): number[] {
    return this.#held.get(`${connection}/${channelId}/${consumerId}`) ?? [];
  }

  /** Forgets what one consumer of a session holds, or all of them. */
  releaseHeld(connection: number, channelId: number, consumerId?: number): void {
    const start = `${connection}/${channelId}/`;
    for (const key of this.#held.keys()) {
      if (consumerId === undefined ? key.startsWith(start) : key === `${start}${consumerId}`) {
        this.#held.delete(key);
      }
    }
  }

  /** Whether a frame answers the question about the queue of this name. */
  isAnswerAbout(frame: RawFrame, queueName: string, version: number): boolean {
    if (frame.packetId !== packets.queueQueryResponseV3.id) return false;
    const reader = new ByteReader(frame.body);
    return decodePacket(packets.queueQueryResponseV3, reader, version).name === queueName;
  }

  /** Takes what has arrived in a step that ends the sessions `closing`, named `connection/channel`. */
  observe(
    connections: ReadonlyMap<number, RawConnection>,
    closing: ReadonlySet<string>,
  ): Observation {
    const observation: Record<string, unknown> = {};
    for (const [index, connection] of connections) {
      observation[`c${index}`] = connection.isClosed ? "closed" : "open";
      const frames = connection.frames.splice(0);
      const channels = [...new Set(frames.map((frame) => frame.channelId))].toSorted(
        (left, right) => left - right,
      );
      for (const channelId of channels) {
        const channel = this.#channel(
          `${index}/${channelId}`,
          frames.filter((frame) => frame.channelId === channelId),
          connection.version,
        );
        if (Object.keys(channel).length > 0) observation[`c${index}/${channelId}`] = channel;
      }
    }
    // When confirmations come is the broker's affair, but none may be missing in the end.
    for (const key of closing) {
      if (this.#confirmed.has(key)) observation[`c${key}.confirmed`] = this.#confirmed.get(key);
    }
    return observation;
  }

  #channel(key: string, frames: readonly RawFrame[], version: number): Record<string, unknown> {
    const answers: unknown[] = [];
    const deliveries = new Map<number, unknown[]>();
    const note = (consumerId: number, delivery: unknown): void => {
      const list = deliveries.get(consumerId) ?? [];
      deliveries.set(consumerId, list);
      list.push(delivery);
    };
    // What comes to different consumers may overtake each other: each by itself.
    const ordered = frames.toSorted(
      (left, right) => consumerOf(left, version) - consumerOf(right, version),
    );
    for (const frame of ordered) {
      const reader = new ByteReader(frame.body);
      if (frame.packetId === packets.receive.id) {
        const { message, consumerId, deliveryCount } = decodePacket(
          packets.receive,
          reader,
          version,
        );
        const content = readMessage(new ByteReader(message));
        this.#noteId(`${key}/${consumerId}`, content);
        note(consumerId, { deliveryCount, ...this.#headers(content), body: hex(content.body) });
      } else if (frame.packetId === packets.receiveLarge.id) {
        const { consumerId, deliveryCount, headers } = decodePacket(
          packets.receiveLarge,
          reader,
          version,
        );
        const content = readHeaders(new ByteReader(headers));
        this.#noteId(`${key}/${consumerId}`, content);
        const delivery = { deliveryCount, ...this.#headers(content), form: "in parts" };
        this.#arriving.set(`${key}/${consumerId}`, { delivery, parts: [] });
        note(consumerId, delivery);
      } else if (frame.packetId === packets.receiveContinuation.id) {
        const part = decodePacket(packets.receiveContinuation, reader, version);
        const arriving = this.#arriving.get(`${key}/${part.consumerId}`);
        if (arriving === undefined) answers.push({ packet: "a part without headers" });
        else {
          arriving.parts.push(part.part);
          if (!part.continues) arriving.delivery["body"] = hex(Buffer.concat(arriving.parts));
        }
      } else if (frame.packetId === packets.packetsConfirmed.id) {
        this.#confirmed.set(key, decodePacket(packets.packetsConfirmed, reader, version).commandId);
      } else {
        const answer = this.#answer(frame, reader, version);
        if (answer !== undefined) answers.push(answer);
      }
    }
    const channel: Record<string, unknown> = answers.length > 0 ? { answers } : {};
    for (const consumerId of [...deliveries.keys()].toSorted((left, right) => left - right)) {
      channel[`to${consumerId}`] = deliveries.get(consumerId);
    }
    return channel;
  }

  #answer(frame: RawFrame, reader: ByteReader, version: number): unknown {
    const definition = packetById(frame.packetId);
    if (definition === undefined) return { packet: `unknown ${frame.packetId}` };
    const value: Record<string, unknown> = { packet: definition.name };
    for (const [field, found] of Object.entries(decodePacket(definition, reader, version))) {
      value[field] = this.#plain(found);
    }
    if (String(value["name"]).startsWith(barrierName)) return undefined;
    const { queueNames } = value;
    if (Array.isArray(queueNames)) value["queueNames"] = queueNames.map(String).toSorted(byText);
    for (const field of individual.get(definition.id) ?? []) delete value[field];
    return value;
  }

  #headers(message: MessageHeaders): Record<string, unknown> {
    const { messageId, address, userId, type, durable, expiration, timestamp, priority } = message;
    const isMarker = message.properties.has(propertyNames.forcedDeliverySequence);
    const headers: Record<string, unknown> = {
      // Markers of forced deliveries are not deliveries: they have no id worth comparing.
      ...(isMarker ? {} : { id: this.#ordinal(messageId) }),
      address: this.#plain(address),
      userId: this.#plain(userId),
      ...{ type, durable, expiration, timestamp, priority },
    };
    for (const [name, { type: kind, value }] of message.properties) {
      const isId = name === propertyNames.originalMessageId && typeof value === "number";
      const plain = isId ? this.#ordinal(value) : this.#plain(value);
      headers[`:${name}`] = `${kind} ${String(plain)}`;
    }
    return headers;
  }

  #noteId(key: string, message: MessageHeaders): void {
    if (message.properties.has(propertyNames.forcedDeliverySequence)) return;
    for (const list of [this.#delivered, this.#held]) {
      const ids = list.get(key) ?? [];
      list.set(key, ids);
      ids.push(message.messageId);
    }
  }

  #ordinal(messageId: number): string {
    const found = this.#ordinals.get(messageId) ?? `#${this.#ordinals.size}`;
    this.#ordinals.set(messageId, found);
    return found;
  }

  #plain(value: unknown): unknown {
    if (typeof value === "string") return value.replaceAll(this.#prefix, "");
    if (typeof value === "bigint") return String(value);
    if (value instanceof Uint8Array) return hex(value);
    if (Array.isArray(value)) return value.map((item) => this.#plain(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([field, found]) => [field, this.#plain(found)]),
    );
  }
}

/** Fields that belong to one broker, or are words for people. */
const individual = new Map<number, readonly string[]>([
  [packets.exception.id, ["message"]],
  [packets.clusterTopology.id, ["nodeId"]],
  [packets.clusterTopologyV2.id, ["nodeId", "eventId"]],
  [packets.clusterTopologyV3.id, ["nodeId", "eventId"]],
  [packets.clusterTopologyV4.id, ["nodeId", "eventId"]],
]);

function byText(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

/** Whom a frame brings a message to; −1 for an answer. */
function consumerOf({ packetId, body }: RawFrame, version: number): number {
  const reader = new ByteReader(body);
  if (packetId === packets.receive.id) {
    return decodePacket(packets.receive, reader, version).consumerId;
  }
  if (packetId === packets.receiveLarge.id) {
    return decodePacket(packets.receiveLarge, reader, version).consumerId;
  }
  if (packetId !== packets.receiveContinuation.id) return -1;
  return decodePacket(packets.receiveContinuation, reader, version).consumerId;
}

/** Where two observations differ, leaf by leaf; another packet or another message is one difference. */
export function differences(ours: unknown, theirs: unknown, path = ""): Difference[] {
  if (!isTree(ours) || !isTree(theirs) || Array.isArray(ours) !== Array.isArray(theirs)) {
    return Object.is(ours, theirs) ? [] : [{ path, ours, theirs }];
  }
  const left = new Map(Object.entries(ours));
  const right = new Map(Object.entries(theirs));
  if (["packet", "body"].some((name) => left.get(name) !== right.get(name))) {
    return [{ path, ours, theirs }];
  }
  const found: Difference[] = [];
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const at = path === "" ? name : `${path}.${name}`;
    found.push(...differences(left.get(name), right.get(name), at));
  }
  return found;
}

function isTree(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function hex(bytes: CoreMessage["body"]): string {
  // Long bodies are told apart by length and ends; that is enough to see a difference.
  if (bytes.length <= 64) return Buffer.from(bytes).toString("hex");
  const ends = [bytes.subarray(0, 16), bytes.subarray(-16)];
  return ends.map((end) => Buffer.from(end).toString("hex")).join(`…${bytes.length}…`);
}
