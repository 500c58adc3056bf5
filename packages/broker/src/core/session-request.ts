import { EverholdError } from "@everhold/base";
import {
  decodePacket,
  noCorrelation,
  type ByteReader,
  type FieldTable,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";

import type { RecreationStep } from "./confirmations.ts";
import type { CoreSession } from "./core-session.ts";

/** One request under way: whose it is, and how large its frame was. */
export class SessionRequest {
  readonly session: CoreSession;
  readonly frameBytes: number;
  readonly #reader: ByteReader;

  constructor(session: CoreSession, frame: ByteReader, frameBytes: number) {
    this.session = session;
    this.#reader = frame;
    this.frameBytes = frameBytes;
  }

  /** The request's body. @throws ProtocolError */
  read<T extends FieldTable>(definition: PacketDefinition<number, T>): ValueOf<T> {
    return decodePacket(definition, this.#reader, this.session.link.version);
  }

  /** The frame's size where it counts for the confirmation window. */
  counted(step: RecreationStep = "other"): number {
    return this.session.counted(step, this.frameBytes);
  }
}

/**
 * Runs what may be refused. A refusal is answered where the client waits, and only logged where not.
 * @throws ProtocolError when the request is not valid
 */
export function attempt(
  request: SessionRequest,
  counted: number,
  isAnswered: boolean,
  work: () => void,
  correlation: number = noCorrelation,
): void {
  const { session } = request;
  try {
    work();
  } catch (error) {
    if (!EverholdError.is(error) || EverholdError.is(error, "EVH_PROTOCOL")) throw error;
    if (isAnswered) session.answerError(error, correlation, counted);
    else {
      session.link.logRefusal("A request that wants no answer was refused", error);
      session.handled(counted, session.session.engine.journal.endPosition);
    }
  }
}
