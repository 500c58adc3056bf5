import { EverholdError } from "@everhold/base";
import {
  ByteReader,
  ByteWriter,
  MessageScan,
  propertyNames,
  readHeaders,
  scanHeaders,
  writeMessage,
} from "@everhold/wire";

import { limits } from "../limits.ts";

/**
 * A message that arrives in parts. It is put together in memory and then treated
 * as one message: Java clients take SESS_RECEIVE_MSG of any size.
 */
export class LargeUpload {
  readonly #headers: Uint8Array;
  readonly #body = new ByteWriter();
  readonly #bytesMax: number;
  /** The upload was refused: what still arrives of it is dropped, and the answer says why. */
  #failure: EverholdError | undefined;

  /** @throws ProtocolError when the headers are not valid */
  constructor(headers: Uint8Array, bytesMax: number) {
    this.#headers = headers.slice();
    this.#bytesMax = bytesMax;
    scanHeaders(viewOf(this.#headers), 0, this.#headers.length, scan);
    this.#checkSize();
  }

  /** The message's headers, as they came. */
  get headers(): Uint8Array {
    return this.#headers;
  }

  /** Adds a part of the body. */
  add(part: Uint8Array): void {
    if (this.#failure !== undefined) return;
    this.#body.raw(part);
    this.#checkSize();
  }

  /**
   * The whole message, which names its body's size as Artemis does; a client inflates a deflated body only
   * when it knows how large it becomes. `bodySize` is what the client said, −1 for nothing.
   * @throws EverholdError EVH_REJECTED when it is larger than a message may be
   */
  finish(bodySize: number): Uint8Array {
    if (this.#failure !== undefined) throw this.#failure;
    const body = this.#body.written();
    const writer = new ByteWriter(this.#headers.length + body.length + 64);
    const headers = readHeaders(new ByteReader(this.#headers));
    const properties = new Map(headers.properties);
    if (bodySize >= 0 && properties.size <= limits.propertiesMax) {
      properties.set(propertyNames.largeSize, { type: "long", value: bodySize });
    }
    writeMessage(writer, { ...headers, properties, body });
    return writer.written();
  }

  #checkSize(): void {
    const bytes = this.#headers.length + this.#body.offset;
    if (bytes <= this.#bytesMax) return;
    this.#failure = new EverholdError(
      "EVH_REJECTED",
      `the message has more than ${this.#bytesMax} bytes, which is the limit`,
    );
    this.#body.attach(new Uint8Array(0));
  }
}

const scan = new MessageScan();

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
