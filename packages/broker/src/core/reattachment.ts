import { EverholdError } from "@everhold/base";
import type { RecordView } from "@everhold/journal";
import { writeNullResponse } from "@everhold/wire";

import { Consumer } from "../engine/consumer.ts";
import { createRowView } from "../state/row-bodies.ts";
import type { CoreConnection } from "./core-connection.ts";
import type { CoreSession } from "./core-session.ts";
import { deliveryFrame, writeDelivery, writePart } from "./delivery-frames.ts";
import { nullAnswer, SentPart, type SentFrame } from "./resend-cache.ts";
import { forcedDeliveryMarker, movedMessage } from "./special-messages.ts";

/** Bytes that are not in memory. */
interface Missing {
  readonly position: number;
  readonly length: number;
}

/**
 * One session goes on with a connection on which its client has come back. Its client gets what it missed,
 * on the session's channel, and then the answer that says what the broker has; so neither side sends again
 * what has arrived.
 *
 *     waiting for commits ──▶ sending again ⇄ reading, or waiting for the connection to drain ──▶ over
 *
 * What was received must be handled before it can be said how much that is. Nothing is sent twice to a
 * client that is refused: whether all can be sent again is seen before the first frame goes. What a client has
 * missed may be far more than memory holds, so it goes out as fast as it is taken, as any delivery.
 */
export class Reattachment {
  readonly link: CoreConnection;
  readonly #session: CoreSession;
  readonly #done: (lastHandled: number | undefined) => void;
  /** How many frames have been sent again. */
  #index = 0;
  /** The next frame goes when the connection has drained. */
  #isHeldBack = false;

  /** `done` hears the last packet that was handled, or that the session does not go on here. */
  constructor(
    link: CoreConnection,
    session: CoreSession,
    done: (lastHandled: number | undefined) => void,
  ) {
    this.link = link;
    this.#session = session;
    this.#done = done;
  }

  /** Begins, for a client that has what it was sent up to `clientLast`. */
  begin(clientLast: number): void {
    this.#session.reattachment = this;
    this.#session.whenHandled(() => {
      if (!this.#isWanted()) return;
      const { resend } = this.#session;
      if (resend === undefined) this.#refuse("what the client missed is not kept any more");
      else if (!resend.canFollow(clientLast)) {
        this.#refuse(`the client has ${clientLast} as the last it got, which cannot be`);
      } else {
        resend.confirm(clientLast);
        if (this.#isWhole()) this.#go();
        else this.#refuse("a message that the client missed is gone");
      }
    });
  }

  /** Goes on, if it waited for that: the connection has drained. */
  drained(): void {
    if (!this.#isHeldBack) return;
    this.#isHeldBack = false;
    if (this.#isWanted()) this.#go();
  }

  /** Whether the client still waits, here and not on a third connection. False when it is over. */
  #isWanted(): boolean {
    const isCurrent = this.#session.reattachment === this;
    if (isCurrent && !this.link.isClosed) return true;
    if (isCurrent) this.#session.reattachment = undefined;
    return false;
  }

  /** Whether everything that the client missed can be sent again. */
  #isWhole(): boolean {
    const { resend } = this.#session;
    if (resend === undefined) return false;
    for (let index = 0; index < resend.count; index += 1) {
      const frame = resend.frameAt(index);
      if (!(frame instanceof Consumer) || frame.isClosed) continue;
      if (!frame.queue.state.read(resend.numberAt(index), row)) return false;
    }
    return true;
  }

  /** Sends until all has gone, the connection is full, or something has to be read first. */
  #go(): void {
    const { resend } = this.#session;
    if (resend === undefined) return this.#fail("what the client missed is not kept any more");
    while (this.#index < resend.count) {
      if (!this.link.isWritable) {
        this.#isHeldBack = true;
        this.link.isHeldBack = true;
        return;
      }
      const frame = resend.frameAt(this.#index);
      const missing = frame === undefined ? "gone" : this.#send(frame, undefined);
      if (missing === "gone") return this.#fail("a message that the client missed is gone");
      if (missing !== undefined) return this.#read(missing);
      this.#index += 1;
    }
    this.#finish();
  }

  /** Reads what one frame needs, sends that, and goes on. */
  #read({ position, length }: Missing): void {
    const { engine } = this.link;
    engine.journal.read(position, length, (error, bytes, view, offset) => {
      if (engine.isHalted || !this.#isWanted()) return;
      const frame = this.#session.resend?.frameAt(this.#index);
      if (error !== undefined || frame === undefined) this.#fail("a message cannot be read");
      else if (this.#send(frame, { bytes, view, offset }) === "gone")
        this.#fail("a message is gone");
      else {
        this.#index += 1;
        this.#go();
      }
      engine.endStep();
    });
  }

  /** Sends one frame again, from `read` where its bytes had to be read. What is missing otherwise. */
  #send(frame: SentFrame, read: RecordView | undefined): Missing | "gone" | undefined {
    const { output } = this.link;
    if (frame instanceof Uint8Array) {
      output.begin(frame.length).raw(frame);
      return undefined;
    }
    if (frame === nullAnswer) {
      const correlation = this.#session.resend?.numberAt(this.#index) ?? 0;
      const { channelId } = this.#session;
      writeNullResponse(output.begin(21), channelId, correlation, this.link.version);
      return undefined;
    }
    return frame instanceof SentPart ? this.#sendPart(frame, read) : this.#sendMessage(frame, read);
  }

  #sendPart(sent: SentPart, read: RecordView | undefined): Missing | undefined {
    const { position, length } = sent;
    const { engine, output, version } = this.link;
    if (read === undefined && !engine.journal.locate(position, length, found)) {
      return { position, length };
    }
    const { bytes, offset } = read ?? found;
    const part = bytes.subarray(offset, offset + length);
    writePart(output, this.#session.channelId, sent.consumerId, part, sent.isLast, version);
    return undefined;
  }

  #sendMessage(consumer: Consumer, read: RecordView | undefined): Missing | "gone" | undefined {
    const { queue } = consumer;
    const { engine, output } = this.link;
    const { channelId, resend } = this.#session;
    const key = resend?.numberAt(this.#index) ?? 0;
    const deliveryCount = resend?.deliveryCountAt(this.#index) ?? 0;
    if (queue.isDeleted || !queue.state.read(key, row)) {
      if (!consumer.isClosed) return "gone";
      // Its client closed the consumer, or was told that it is: it drops what still comes, but counts it.
      const head = { channelId, consumerId: consumer.id, deliveryCount };
      const frame = deliveryFrame(head, forcedDeliveryMarker(queue.name, -1));
      output.begin(frame.length).raw(frame);
      return undefined;
    }
    const position = row.position + row.messageOffset;
    const length = row.messageLength;
    if (!row.isInJournal) engine.state.arena.locate(row.position, found);
    else if (read === undefined && !engine.journal.locate(position, length, found)) {
      return { position, length };
    }
    const { bytes, offset } = read ?? found;
    const moved = queue.provenanceOf(row);
    const changed = moved && movedMessage(bytes, offset, offset + length, moved);
    const from = changed ?? bytes;
    const start = changed === undefined ? offset : 0;
    const end = changed === undefined ? offset + length : changed.length;
    writeDelivery(output, channelId, consumer.id, deliveryCount, from, start, end);
    return undefined;
  }

  #finish(): void {
    const session = this.#session;
    session.reattachment = undefined;
    this.link.adopt(session, this.#index);
    this.#done(session.takeLastHandled());
  }

  #refuse(reason: string): void {
    this.#giveUp(reason);
    this.#done(undefined);
  }

  /** Half of what the client missed has gone: only the end of this connection lets it begin anew. */
  #fail(reason: string): void {
    this.#giveUp(reason);
    this.link.fail(new EverholdError("EVH_DISCONNECTED", `cannot resume a session: ${reason}`));
  }

  #giveUp(reason: string): void {
    this.#session.reattachment = undefined;
    refuseReattachment(this.link, this.#session, reason);
  }
}

/**
 * The session cannot go on with this connection. It ends, for its client will make another one, and what it held
 * is free before that is answered; unless the client says first what is to become of it.
 */
export function refuseReattachment(
  link: CoreConnection,
  session: CoreSession,
  reason: string,
): void {
  link.server.noteReattachment(false, {
    session: session.session.logName,
    peer: session.link.peer,
    by: link.peer,
    reason,
  });
  if (!session.session.isReturning) session.link.endSession(session, true);
}

const nothing = new Uint8Array(0);
// They serve every reattachment: a frame is written in one synchronous step.
const found: RecordView = { bytes: nothing, view: new DataView(nothing.buffer), offset: 0 };
const row = createRowView();
