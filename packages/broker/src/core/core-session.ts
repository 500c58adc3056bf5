import { assert, EverholdError, ProtocolError } from "@everhold/base";
import {
  AcknowledgeFrame,
  ByteWriter,
  encodePacket,
  FlowTokenFrame,
  noCorrelation,
  packetById,
  packetIdAt,
  packets,
  readAcknowledge,
  readFlowToken,
  readSend,
  SendFrame,
  type FieldTable,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";

import { Session, type SessionOptions } from "../engine/session.ts";
import type { Answer, DeferredWork, Waiting } from "../engine/waiters.ts";
import type { LargeBody } from "../state/large-body.ts";
import { Confirmations, RecreationGrammar, type RecreationStep } from "./confirmations.ts";
import type { CoreConnection } from "./core-connection.ts";
import { exceptionOf } from "./exception-packet.ts";
import type { LargeUpload } from "./large-upload.ts";
import type { Reattachment } from "./reattachment.ts";
import type { ResendCache } from "./resend-cache.ts";
import { SessionOutput } from "./session-output.ts";
import { handleRequest } from "./session-requests.ts";

/** What CREATESESSION says beside what the engine needs. */
export interface CoreSessionOptions extends SessionOptions {
  readonly channelId: number;
  readonly confirmationWindowBytes: number;
  /** Above how many bytes the client sends a message in parts. */
  readonly minLargeMessageBytes: number;
  /** It directly follows the refused reattachment of the same session. */
  readonly isRecreation: boolean;
}

/**
 * One session channel. It turns frames into calls of the engine's session, and outcomes into answers in
 * the order of the requests; what the engine sends goes by its `SessionOutput`. Sends, acknowledgements and
 * credits are handled here without allocating; everything else in `session-requests.ts`.
 */
export class CoreSession implements Waiting {
  readonly channelId: number;
  readonly session: Session;
  /** What its client is sent. */
  readonly output: SessionOutput;
  #upload: LargeUpload | undefined;
  readonly #confirmations: Confirmations;
  readonly #grammar: RecreationGrammar | undefined;
  /** Answers, counts and work of this session that the waiters hold. */
  #waitingCount = 0;
  /** How many packets had been handled when its client came back last; −1 when it never did. */
  #handledAtReturn = -1;
  #isClosed = false;
  /** Its client has come back, and gets what it missed. */
  reattachment: Reattachment | undefined;

  constructor(link: CoreConnection, options: CoreSessionOptions) {
    this.channelId = options.channelId;
    this.output = new SessionOutput(this, link, options);
    this.session = new Session(link.engine, this.output, options);
    this.#confirmations = new Confirmations(options.confirmationWindowBytes);
    this.#grammar =
      options.isRecreation && options.confirmationWindowBytes >= 0
        ? new RecreationGrammar()
        : undefined;
  }

  /** The connection that it is on; the broken one while its client is away. */
  get link(): CoreConnection {
    return this.output.link;
  }

  /** What its client was sent and has not confirmed, where it can be sent again. */
  get resend(): ResendCache | undefined {
    const { resend } = this.output;
    const isExact = this.#grammar?.isAmbiguous !== true && resend?.isLost === false;
    return isExact && !this.#isClosed ? resend : undefined;
  }

  /** Whether its client has something to come back to when the connection breaks: by REATTACH, or by RESUME. */
  get mayBeReturnedTo(): boolean {
    return this.resend !== undefined || (this.session.isReturning && !this.#isClosed);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Goes on with another connection of its client. */
  moveTo(link: CoreConnection): void {
    if (this.#upload !== undefined) {
      this.link.uploadCount -= 1;
      link.uploadCount += 1;
    }
    this.output.link = link;
    this.#handledAtReturn = this.#confirmations.handledCount;
    this.session.noteReturn();
    for (const consumer of this.session.consumers) this.session.engine.touch(consumer.queue);
  }

  /**
   * Whether nothing has come from its client since that came back. One that closes it then does not know it any
   * more, but its application may have seen what it held.
   */
  get hasJustReturned(): boolean {
    return this.#waitingCount === 0 && this.#handledAtReturn === this.#confirmations.handledCount;
  }

  /** The last packet that was handled, of those that count: it goes to the client, and confirms all before it. */
  takeLastHandled(): number {
    return this.#confirmations.take();
  }

  /** Runs `work` when nothing of what has arrived waits for its commit: at once, or in a step to come. */
  whenHandled(work: () => void): void {
    if (this.#waitingCount === 0) work();
    else this.afterCommit({ run: work });
  }

  /** The large message that is arriving; there is one at a time. */
  get upload(): LargeUpload | undefined {
    return this.#upload;
  }

  /** What was not finished of another one is forgotten. */
  set upload(upload: LargeUpload | undefined) {
    const { link } = this;
    link.uploadCount += (upload === undefined ? 0 : 1) - (this.#upload === undefined ? 0 : 1);
    this.#upload?.abandon();
    this.#upload = upload;
  }

  /**
   * Handles one frame of the session's channel.
   * @throws ProtocolError when it is not valid; the connection ends then
   */
  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    switch (packetIdAt(view, start)) {
      case packets.send.id:
        this.#onSend(bytes, view, start, end);
        return;
      case packets.acknowledge.id:
      case packets.individualAcknowledge.id:
        this.#onAcknowledge(view, start, end);
        return;
      case packets.flowToken.id:
        readFlowToken(view, start, end, flowToken);
        this.session.addCredits(flowToken.consumerId, flowToken.credits);
        this.handled(this.counted("credits", end - start), 0);
        return;
      default:
        this.#onRequest(bytes, view, start, end);
    }
  }

  /** The frame's size when it counts for the confirmation window, else 0. */
  counted(step: RecreationStep, frameBytes: number): number {
    if (this.#confirmations.windowBytes < 0) return 0;
    if (this.#grammar?.isOver === false && this.#grammar.excludes(step)) return 0;
    return frameBytes;
  }

  /** A request without an answer is done once `position` is committed. */
  handled(countedBytes: number, position: number): void {
    if (countedBytes > 0) this.#settleAt(position, noCorrelation, false, countedBytes);
  }

  /** A request is answered by NULL_RESPONSE once `position` is committed. */
  answerNull(correlation: number, countedBytes: number, position: number): void {
    this.#settleAt(position, correlation, true, countedBytes);
  }

  /** A request is answered by a packet once `position` is committed. */
  answerPacket<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    value: ValueOf<T>,
    countedBytes: number,
    position: number,
  ): void {
    scratch.clear();
    encodePacket(scratch, definition, this.channelId, value, this.link.version);
    this.#settleAt(position, noCorrelation, scratch.toBytes(), countedBytes);
  }

  /** A request failed: EXCEPTION, in its place in the order of answers. */
  answerError(error: EverholdError, correlation: number, countedBytes: number): void {
    const value = exceptionOf(error, correlation);
    const position = this.session.engine.journal.endPosition;
    this.answerPacket(packets.exception, value, countedBytes, position);
  }

  /** The last answer: confirms what is pending, answers, and the channel is gone. */
  answerClose(countedBytes: number, position: number): void {
    this.#settleAt(position, noCorrelation, false, countedBytes);
    const run = (): void => {
      this.flushConfirmations();
      this.output.writeNull(noCorrelation);
    };
    this.#settleAt(position, noCorrelation, { run }, 0);
  }

  afterCommit(work: DeferredWork): void {
    this.#settleAt(this.session.engine.journal.endPosition, noCorrelation, work, 0);
  }

  settle(correlation: number, answer: Answer, countedBytes: number): void {
    this.#waitingCount -= 1;
    assert(this.#waitingCount >= 0, "only what was waiting is settled");
    this.#finish(correlation, answer, countedBytes);
  }

  /** Sends PACKETS_CONFIRMED for what was handled and not yet confirmed. */
  flushConfirmations(): void {
    if (!this.#confirmations.pending || this.link.isClosed) return;
    const commandId = this.#confirmations.take();
    const writer = this.link.output.begin(32);
    encodePacket(
      writer,
      packets.packetsConfirmed,
      this.channelId,
      { commandId },
      this.link.version,
    );
  }

  /** Called every now and then: confirms what is due, and gives back memory that idle consumers hold. */
  tidy(): void {
    this.flushConfirmations();
    for (const consumer of this.session.consumers) consumer.deliveries.trim();
    this.output.resend?.trim();
  }

  /** Ends the session, in order or because the connection failed. */
  close(isFailure: boolean, hasJustReturned = false): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.upload = undefined;
    this.session.close(isFailure, hasJustReturned);
    this.output.resend?.drop();
    this.session.engine.notifications.sessionChanged("SESSION_CLOSED", this.session);
  }

  #onSend(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    readSend(view, start, end, this.link.version, send);
    const { requiresResponse, correlationId, senderId, messageStart, messageEnd } = send;
    this.session.producers.countSend(senderId);
    this.sendMessage(
      bytes,
      view,
      messageStart,
      messageEnd,
      requiresResponse,
      correlationId,
      this.counted("other", end - start),
    );
  }

  /** Hands a message to the engine and answers for it. */
  sendMessage(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    requiresResponse: boolean,
    correlation: number,
    countedBytes: number,
    largeBody?: LargeBody,
  ): void {
    const { engine } = this.session;
    let mustWait = true;
    try {
      mustWait =
        largeBody === undefined
          ? this.session.send(bytes, view, start, end)
          : this.session.sendLarge(bytes, largeBody);
    } catch (error) {
      if (!(error instanceof EverholdError) || error instanceof ProtocolError) throw error;
      if (requiresResponse) this.answerError(error, correlation, countedBytes);
      else {
        this.link.logRefusal("A send that wants no answer was refused", error);
        this.handled(countedBytes, engine.journal.endPosition);
      }
      return;
    }
    const position = mustWait ? engine.journal.endPosition : 0;
    if (requiresResponse) this.answerNull(correlation, countedBytes, position);
    else this.handled(countedBytes, position);
  }

  #onAcknowledge(view: DataView, start: number, end: number): void {
    readAcknowledge(view, start, end, acknowledge);
    const { individual, consumerId, messageId, requiresResponse } = acknowledge;
    const countedBytes = this.counted("other", end - start);
    const { journal } = this.session.engine;
    const before = journal.endPosition;
    try {
      // Without a response the client does not wait, and a write is saved when more comes soon.
      if (individual)
        this.session.settlement.acknowledgeOne(consumerId, messageId, !requiresResponse);
      else this.session.settlement.acknowledge(consumerId, messageId, !requiresResponse);
    } catch (error) {
      if (!(error instanceof EverholdError)) throw error;
      if (requiresResponse) this.answerError(error, noCorrelation, countedBytes);
      else {
        this.link.logRefusal("An acknowledgement was refused", error);
        this.handled(countedBytes, before);
      }
      return;
    }
    const position = journal.endPosition === before ? 0 : journal.endPosition;
    if (requiresResponse) this.answerNull(noCorrelation, countedBytes, position);
    else this.handled(countedBytes, position);
  }

  #onRequest(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const id = packetIdAt(view, start);
    const definition = packetById(id);
    if (definition === undefined || definition.direction === "broker") {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read a packet of the session channel ${this.channelId}: found the id ${id}, which no client sends`,
      );
    }
    handleRequest(this, bytes, view, start, end);
  }

  /** Now, when nothing of this session waits and the position is committed; else in turn. */
  #settleAt(position: number, correlation: number, answer: Answer, countedBytes: number): void {
    const { engine } = this.session;
    if (this.#waitingCount === 0 && position <= engine.journal.commitPosition) {
      this.#finish(correlation, answer, countedBytes);
      return;
    }
    this.#waitingCount += 1;
    if (answer !== false) engine.journal.hurry();
    engine.waiters.push(position, this, correlation, answer, countedBytes);
  }

  #finish(correlation: number, answer: Answer, countedBytes: number): void {
    if (answer === true) this.output.writeNull(correlation);
    else if (answer instanceof Uint8Array) this.output.writeFrame(answer);
    else if (answer !== false) answer.run();
    // The answer comes before a confirmation that covers its request.
    if (countedBytes > 0 && this.#confirmations.count(countedBytes)) this.flushConfirmations();
  }
}

// Holders that serve every session: a frame is handled in one synchronous step.
const send = new SendFrame();
const acknowledge = new AcknowledgeFrame();
const flowToken = new FlowTokenFrame();
const scratch = new ByteWriter(1024);
