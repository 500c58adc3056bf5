import { EverholdError, ProtocolError } from "@everhold/base";
import { bytesEqual, type MessageScan } from "@everhold/wire";

import { managementAddress } from "./broker-addresses.ts";
import type { Engine } from "./engine.ts";
import type { Session } from "./session.ts";

const addressBytes = simpleStringBytes(managementAddress);

/** Takes the messages that ask something of the broker itself; they go to no queue. */
export class RequestDesk {
  /** Does what a message asks for. Until it is set such messages are routed like any other. */
  onRequest: ((session: Session, message: Uint8Array) => void) | undefined = undefined;
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Whether a scanned message is such a request. */
  isRequest(scan: MessageScan, bytes: Uint8Array): boolean {
    if (scan.addressEnd - scan.addressStart !== addressBytes.length) return false;
    if (this.onRequest === undefined || scan.addressStart < 0) return false;
    return bytesEqual(bytes, scan.addressStart, scan.addressEnd, addressBytes);
  }

  /**
   * Does what the message at `bytes[start … end)` asks for. True when its answer has to wait until
   * everything in the journal so far is committed.
   * @throws EverholdError EVH_REJECTED when the message cannot be read
   */
  receive(session: Session, bytes: Uint8Array, start: number, end: number): boolean {
    const { journal } = this.#engine;
    const position = journal.endPosition;
    try {
      this.onRequest?.(session, bytes.slice(start, end));
    } catch (error) {
      // Its frame was valid, so that its connection may live on.
      if (!(error instanceof ProtocolError)) throw error;
      throw new EverholdError("EVH_REJECTED", `the request cannot be read: ${error.message}`, {
        cause: error,
      });
    }
    return journal.endPosition !== position;
  }
}

/** The characters of a SimpleString: UTF-16, low byte first. */
function simpleStringBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  for (let index = 0; index < text.length; index += 1) bytes[index * 2] = text.charCodeAt(index);
  return bytes;
}
