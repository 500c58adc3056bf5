import { EverholdError } from "@everhold/base";
import {
  ByteReader,
  decodeMapBody,
  decodeObjectBody,
  decodeStreamBody,
  decodeTextBody,
  messageTypes,
  propertyNames,
  readMessage,
  saturatedI64At,
  type CoreMessage,
  type TypedValue,
} from "@everhold/wire";
import type { Tracing, WaitOptions } from "@everhold/env";
import type { Body } from "../message/body.ts";
import { ownPropertyNames } from "../message/encode-message.ts";
import { bodyLengthOffset } from "../message/layout.ts";
import {
  fromTypedProperties,
  withType,
  withTypes,
  type PropertyValue,
  type ReceivedValue,
} from "../message/properties.ts";
import type { SendOptions } from "../message/send-options.ts";
import { formatUuid } from "../message/user-ids.ts";
import { traceSettle } from "../tracing.ts";
import type { IncomingBody } from "./incoming-body.ts";
import { inflateParts } from "./inflate-parts.ts";
import type { BodyKind, Message, ReleaseOptions } from "./message.ts";

/**
 * Where a delivery stands.
 *
 *     buffered ──> taken ──ack()──> acking ──confirmed──> settled
 *                    │ └──reject()──> rejecting ──copy is safe──> acking
 *                    └──release()──> released
 *
 * After a reconnect one that did not come again is `lost`.
 */
export type DeliveryState =
  | "buffered"
  | "taken"
  | "acking"
  | "rejecting"
  | "released"
  | "settled"
  | "lost";

/** How an acknowledgement is on its way. */
export type AckProgress = "none" | "due" | "single" | "cumulative";

/** Who settles a delivery: the consumer's intake. */
export interface Settler {
  readonly queue: string;
  /** Who is told of what the application settles. */
  readonly tracing: Tracing | undefined;
  /** What a call gives, or that its caller waits no longer. */
  within(wait: WaitOptions, attempt: string, begin: () => Promise<void>): Promise<void>;
  acknowledge(message: ReceivedMessage): Promise<void>;
  release(message: ReceivedMessage, options: ReleaseOptions): Promise<void>;
  reject(message: ReceivedMessage, reason: string | undefined): Promise<void>;
  reply(message: ReceivedMessage, body: Body, options: SendOptions | undefined): Promise<void>;
  /** The body that a sender compressed. @throws EverholdError */
  inflate(bytes: Uint8Array): Uint8Array;
}

const bodyKinds: ReadonlyMap<number, BodyKind> = new Map([
  [messageTypes.text, "text"],
  [messageTypes.bytes, "bytes"],
  [messageTypes.map, "map"],
  [messageTypes.stream, "stream"],
  [messageTypes.object, "object"],
]);

/** One for all: decoding is synchronous. */
const reader = new ByteReader();

/** A message as it was delivered. What it says is decoded when somebody asks. */
export class ReceivedMessage implements Message {
  /** What acknowledgements refer to; given by the broker. */
  readonly messageId: number;
  readonly deliveryCount: number;
  /** What it took of the consumer's credit. */
  readonly frameBytes: number;
  /** The message as it came, `MSG` of PROTOCOL.md. */
  readonly bytes: Uint8Array;
  /** The body where it comes part by part; `undefined` where it is in `bytes`. */
  readonly incoming: IncomingBody | undefined;
  state: DeliveryState = "buffered";
  /** Which life of the consumer delivered it last: acknowledgements name deliveries of this one only. */
  incarnation: number;
  /** How far its acknowledgement on this life is: asked for, or sent alone or for all before it. */
  ackProgress: AckProgress = "none";
  /** Whether an acknowledgement has ever been on the wire. */
  ackSent = false;
  /** Whether the broker has last said that it is not this client's: what becomes of it then may be others' doing. */
  isElsewhere = false;
  /** The end of `ack()`, once somebody waits for it. */
  ackPromise: Promise<void> | undefined;
  /** What the broker is to be told instead of the acknowledgement: that the message is refused. */
  rejection: { readonly reason: string | undefined } | undefined;
  resolveAck: (() => void) | undefined;
  rejectAck: ((error: unknown) => void) | undefined;
  readonly #settler: Settler;
  #decoded: CoreMessage | undefined;
  #inflated: Uint8Array | undefined;
  #properties: Record<string, ReceivedValue> | undefined;

  constructor(
    settler: Settler,
    bytes: Uint8Array,
    delivery: { messageId: number; deliveryCount: number; frameBytes: number; incarnation: number },
    incoming?: IncomingBody,
  ) {
    this.incoming = incoming;
    this.#settler = settler;
    this.bytes = bytes;
    this.messageId = delivery.messageId;
    this.deliveryCount = delivery.deliveryCount;
    this.frameBytes = delivery.frameBytes;
    this.incarnation = delivery.incarnation;
  }

  get id(): string {
    const { userId, messageId } = this.core;
    return userId === null ? `ID:${messageId}` : `ID:${formatUuid(userId)}`;
  }

  get address(): string {
    return this.core.address ?? this.#settler.queue;
  }

  get queue(): string {
    return this.#settler.queue;
  }

  get body(): Uint8Array {
    if (this.incoming !== undefined) throw streamedError(this.incoming.size);
    const { core } = this;
    if (core.properties.get(propertyNames.largeCompressed)?.value !== true) return core.body;
    this.#inflated ??= this.#settler.inflate(core.body);
    return this.#inflated;
  }

  get bodySize(): number {
    const size = this.core.properties.get(propertyNames.largeSize)?.value;
    return typeof size === "number" ? size : (this.incoming?.size ?? this.core.body.length);
  }

  get isStreamed(): boolean {
    return this.incoming !== undefined;
  }

  bodyStream(): AsyncIterableIterator<Uint8Array> {
    const { incoming } = this;
    if (incoming === undefined) return once(() => this.body);
    const parts = incoming.read();
    const isCompressed = this.core.properties.get(propertyNames.largeCompressed)?.value === true;
    return isCompressed ? inflateParts(parts) : parts;
  }

  get bodyKind(): BodyKind {
    return bodyKinds.get(this.core.type) ?? "other";
  }

  get properties(): Readonly<Record<string, ReceivedValue>> {
    this.#properties ??= fromTypedProperties(this.core.properties, ownPropertyNames);
    return this.#properties;
  }

  get typedProperties(): Readonly<Record<string, PropertyValue>> {
    return withTypes(this.core.properties, ownPropertyNames);
  }

  get redelivered(): boolean {
    return this.deliveryCount > 1;
  }

  get durable(): boolean {
    return this.core.durable;
  }

  get priority(): number {
    return this.core.priority;
  }

  get timestamp(): number {
    return this.core.timestamp;
  }

  get expiresAt(): number | undefined {
    const { expiration } = this.core;
    return expiration === 0 ? undefined : expiration;
  }

  get correlationId(): string | undefined {
    return this.#text(propertyNames.correlationId);
  }

  get correlationBytes(): Uint8Array | undefined {
    const value = this.core.properties.get(propertyNames.correlationId);
    return value?.type === "bytes" ? value.value : undefined;
  }

  get replyTo(): string | undefined {
    return this.#text(propertyNames.replyTo)?.replace(/^[a-z-]+:\/\//, "");
  }

  /** Whether replies go to a topic. */
  get repliesToTopic(): boolean {
    return /^(temp-)?topic:/.test(this.#text(propertyNames.replyTo) ?? "");
  }

  /** Whether replies go to a queue that ends with its connection. */
  get repliesToTemporary(): boolean {
    return this.#text(propertyNames.replyTo)?.startsWith("temp-") ?? false;
  }

  get groupId(): string | undefined {
    return this.#text(propertyNames.groupId);
  }

  get type(): string | undefined {
    return this.#text(propertyNames.jmsType);
  }

  /** When it expires, 0 for never, without decoding the rest. */
  expirationMs(): number {
    const { bytes } = this;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    // Body, message id (8), address (nullable SimpleString), user id (nullable 16), type, durable.
    let offset = 4 + view.getInt32(0) - bodyLengthOffset + 8;
    if (offset + 1 > bytes.length) return 0;
    offset += view.getUint8(offset) === 0 ? 1 : 5 + view.getInt32(offset + 1);
    if (offset + 1 > bytes.length) return 0;
    offset += view.getUint8(offset) === 0 ? 1 : 17;
    return offset + 10 > bytes.length ? 0 : saturatedI64At(view, offset + 2);
  }

  /** All that the bytes say. @throws ProtocolError EVH_PROTOCOL */
  get core(): CoreMessage {
    if (this.#decoded === undefined) {
      const { bytes } = this;
      reader.reset(
        bytes,
        new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
        0,
        bytes.length,
      );
      this.#decoded = readMessage(reader);
    }
    return this.#decoded;
  }

  text(): string {
    const { body } = this;
    switch (this.core.type) {
      case messageTypes.text:
      case messageTypes.default:
        return decodeTextBody(body) ?? "";
      case messageTypes.bytes:
        return decodeUtf8(body);
      default:
        throw this.#formatError("text");
    }
  }

  json<T>(): T {
    const text = this.text();
    try {
      // oxlint-disable-next-line typescript/no-unsafe-return -- what a sender wrote has no type until the application gives it one
      return JSON.parse(text);
    } catch (cause) {
      throw new EverholdError("EVH_MESSAGE_FORMAT", "Cannot read the body as JSON", { cause });
    }
  }

  map(): Record<string, ReceivedValue> {
    if (this.core.type !== messageTypes.map) throw this.#formatError("a map");
    return fromTypedProperties(decodeMapBody(this.body));
  }

  stream(): PropertyValue[] {
    if (this.core.type !== messageTypes.stream) throw this.#formatError("a stream");
    return decodeStreamBody(this.body).map(withType);
  }

  object(): Uint8Array | null {
    if (this.core.type !== messageTypes.object) throw this.#formatError("an object");
    return decodeObjectBody(this.body);
  }

  ack(wait?: WaitOptions): Promise<void> {
    const { tracing } = this.#settler;
    // Nearly every message ends here.
    if (wait === undefined && tracing?.watches("settle") !== true) {
      return this.#settler.acknowledge(this);
    }
    return this.#settle("acknowledge", wait, () => this.#settler.acknowledge(this));
  }

  release(options: ReleaseOptions = {}): Promise<void> {
    const released = this.#settle("release", options, () => this.#settler.release(this, options));
    // It never has to be awaited, so nobody may be there to hear why it was refused.
    released.catch(() => undefined);
    return released;
  }

  reject(reason?: string, wait?: WaitOptions): Promise<void> {
    return this.#settle("reject", wait, () => this.#settler.reject(this, reason));
  }

  reply(body: Body, options?: SendOptions): Promise<void> {
    return this.#settler.reply(this, body, options);
  }

  #settle(
    verb: "acknowledge" | "release" | "reject",
    wait: WaitOptions | undefined,
    settle: () => Promise<void>,
  ): Promise<void> {
    const { tracing } = this.#settler;
    const begin = (): Promise<void> =>
      tracing?.watches("settle") === true ? traceSettle(tracing, this, verb, settle) : settle();
    if (wait?.timeout === undefined && wait?.signal === undefined) return begin();
    return this.#settler.within(wait, `${verb} the message ${this.messageId}`, begin);
  }

  #text(name: string): string | undefined {
    const value: TypedValue | undefined = this.core.properties.get(name);
    return value?.type === "string" ? value.value : undefined;
  }

  #formatError(wanted: string): EverholdError {
    return new EverholdError(
      "EVH_MESSAGE_FORMAT",
      `Cannot read the body as ${wanted}: found a message of type ${this.core.type}`,
    );
  }
}

/** A body that is here, as a stream of one part; of none when it is empty. */
async function* once(body: () => Uint8Array): AsyncIterableIterator<Uint8Array> {
  const bytes = body();
  if (bytes.length > 0) yield await Promise.resolve(bytes);
}

function streamedError(size: number): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot read the body as a whole: it has ${size} bytes and came as a stream; read it with bodyStream()`,
  );
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new EverholdError("EVH_MESSAGE_FORMAT", "Cannot read the body as text: it is not UTF-8", {
      cause,
    });
  }
}
