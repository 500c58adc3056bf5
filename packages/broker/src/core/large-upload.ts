import { EverholdError } from "@everhold/base";
import { recordHeaderBytes } from "@everhold/journal";
import {
  ByteReader,
  ByteWriter,
  MessageScan,
  propertyNames,
  readHeaders,
  scanHeaders,
  writeMessage,
} from "@everhold/wire";

import type { Engine } from "../engine/engine.ts";
import { limits } from "../limits.ts";
import type { LargeBody } from "../state/large-body.ts";

/** A message that has come as a whole. */
export interface FinishedUpload {
  /** The message; without its body when that is large. */
  readonly message: Uint8Array;
  /** Where the body is. Whoever finished the upload releases it. */
  readonly body: LargeBody | undefined;
}

/**
 * A message that arrives in parts. What has come of its body lies in the journal, all but the end that is
 * too short for a record of its own; so its size does not matter to memory. One that stays that short
 * becomes an ordinary message. Unless the message is finished nobody wants the parts, also after a crash.
 *
 *     arriving ──finish──▶ finished        arriving ──too large, disk full──▶ refused ──finish──▶ error
 */
export class LargeUpload {
  readonly #engine: Engine;
  readonly #headers: Uint8Array;
  /** What asks something of the broker itself is read by it as a whole. */
  readonly #isRequest: boolean;
  readonly #rest = new ByteWriter();
  #body: LargeBody | undefined;
  /** The upload was refused: what still arrives of it is dropped, and the answer says why. */
  #failure: EverholdError | undefined;

  /** @throws ProtocolError when the headers are not valid */
  constructor(engine: Engine, headers: Uint8Array) {
    this.#engine = engine;
    this.#headers = headers.slice();
    scanHeaders(viewOf(this.#headers), 0, this.#headers.length, scan);
    this.#isRequest = engine.requests.isRequest(scan, this.#headers);
    if (headers.length > limits.largeHeadersBytesMax) {
      this.#refuse(
        "EVH_REJECTED",
        `the headers and properties have ${headers.length} bytes, at most ${limits.largeHeadersBytesMax} are allowed beside a body in parts`,
      );
    }
  }

  /** The message's headers, as they came. */
  get headers(): Uint8Array {
    return this.#headers;
  }

  /** Whether what still comes is dropped: the answer to the last part says why. */
  get isRefused(): boolean {
    return this.#failure !== undefined;
  }

  /** Adds a part of the body. */
  add(part: Uint8Array): void {
    if (this.#failure !== undefined) return;
    this.#checkSize(part.length);
    this.refuseIfFull();
    if (this.#failure !== undefined) return;
    if (this.#isRequest || this.#rest.offset + part.length <= limits.largePartBytesMin) {
      this.#rest.raw(part);
      return;
    }
    this.#storeRest();
    if (part.length < limits.largePartBytesMin) this.#rest.raw(part);
    else this.#store(part);
  }

  /** Gives up when the disk is full, for what has come of it may be what fills the disk. */
  refuseIfFull(): void {
    if (this.#failure !== undefined || !this.#engine.journal.diskFull) return;
    this.#refuse("EVH_ADDRESS_FULL", "cannot take the large message: the disk is full");
  }

  /**
   * The whole message, which names its body's size as Artemis does; a client inflates a deflated body only
   * when it knows how large it becomes. `bodySize` is what the client said, −1 for nothing.
   * @throws EverholdError the reason for which it was refused
   */
  finish(bodySize: number): FinishedUpload {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#body !== undefined) this.#storeRest();
    const body = this.#body;
    this.#body = undefined;
    const headers = readHeaders(new ByteReader(this.#headers));
    const properties = new Map(headers.properties);
    const size = bodySize < 0 ? (body?.bytes ?? this.#rest.offset) : bodySize;
    if (properties.size <= limits.propertiesMax) {
      properties.set(propertyNames.largeSize, { type: "long", value: size });
    }
    const writer = new ByteWriter(this.#headers.length + this.#rest.offset + 64);
    writeMessage(writer, { ...headers, properties, body: this.#rest.written() });
    return { message: writer.written(), body };
  }

  /** Forgets what has come: its client is gone, or began anew. */
  abandon(): void {
    this.#body?.release();
    this.#body = undefined;
    this.#rest.attach(new Uint8Array(0));
  }

  #checkSize(more: number): void {
    const { config, router } = this.#engine;
    const max = this.#isRequest ? router.messageBytesMax : config.largeMessageBytesMax;
    const bytes = this.#headers.length + (this.#body?.bytes ?? 0) + this.#rest.offset + more;
    if (bytes > max) {
      this.#refuse("EVH_REJECTED", `the message has more than ${max} bytes, which is the limit`);
    } else if ((this.#body?.partCount ?? 0) > limits.largePartsMax) {
      this.#refuse(
        "EVH_REJECTED",
        `the message came in more than ${limits.largePartsMax} parts, which is the limit`,
      );
    }
  }

  #refuse(code: "EVH_REJECTED" | "EVH_ADDRESS_FULL", message: string): void {
    this.#failure = new EverholdError(code, message);
    this.abandon();
  }

  #storeRest(): void {
    if (this.#rest.offset === 0) return;
    this.#store(this.#rest.written());
    this.#rest.clear();
  }

  #store(bytes: Uint8Array): void {
    const { state, journal } = this.#engine;
    const body = (this.#body ??= state.newLargeBody());
    const most = Math.min(limits.largePartBytesMax, journal.recordBytesMax - recordHeaderBytes);
    for (let start = 0; start < bytes.length; start += most) {
      const end = Math.min(bytes.length, start + most);
      state.appendPart(body, bytes, start, end);
    }
  }
}

const scan = new MessageScan();

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
