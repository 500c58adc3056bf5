import { ConnectionError, type EverholdError } from "@everhold/base";
import {
  deadlineIn,
  type MonotonicClock,
  onWaitEnd,
  type Random,
  type Timers,
  type WaitOptions,
} from "@everhold/env";
import type { Channel } from "../core/channel.ts";
import { noteDoubt } from "../core/doubts.ts";
import { limits } from "../limits.ts";
import type { EncodedMessage } from "../message/encode-message.ts";
import type { SendTarget } from "../message/send-options.ts";
import type { AddressGate } from "./address-gate.ts";
import { AddressGates, type AddressGatesHost } from "./address-gates.ts";
import { Departures, type DeparturesHost } from "./departures.ts";
import { PendingSend, type SendManner } from "./pending-send.ts";
import {
  addressFullError,
  cutSendError,
  lostSendError,
  overdueSendError,
  undoneSendError,
  withUnknownOutcome,
} from "./send-errors.ts";
import { SendWindow } from "./send-window.ts";
import { Upload } from "./upload.ts";
import { WaitingSends } from "./waiting-sends.ts";

/** What an outbox needs to know and to tell. */
export interface OutboxHost extends AddressGatesHost, DeparturesHost {
  readonly ports: {
    readonly timers: Timers;
    readonly monotonicClock: MonotonicClock;
    readonly random: Random;
  };
  readonly sendBufferBytes: number;
  /** Whether the broker keeps the outcome of each mark, so that a refusal of a repeat is the truth. */
  readonly keepsOutcomes: () => boolean;
  /** Makes sure that the address exists. @throws EverholdError the broker's refusal */
  readonly openAddress: (channel: Channel, target: SendTarget) => Promise<void>;
  /** A send leaves, or the first part of it. */
  readonly onLeaving: () => void;
  readonly onError: (error: unknown) => void;
}

/**
 * The sends of one session: they wait for credit and for room, leave in order, are settled by the
 * broker's answers, and are repeated under their duplicate ids after a reconnect. Those that wait are in
 * {@link WaitingSends}, {@link Departures} writes them, and {@link SendWindow} has those not answered.
 *
 * All progress is made by `#pump`, which looks at the whole state.
 */
export class Outbox {
  readonly #host: OutboxHost;
  readonly #gates: AddressGates;
  readonly #waiting: WaitingSends;
  readonly #window: SendWindow;
  readonly #departures: Departures;
  readonly #idleWaiters: (() => void)[] = [];
  #channel: Channel | undefined;
  #repeating = false;
  /** The message whose body is on its way, part by part. What was sent after it waits. */
  #upload: Upload | undefined;
  #toRepeat: PendingSend[] = [];
  #gapSequence = 0;
  #lostCount = 0;
  #endError: EverholdError | undefined;

  constructor(host: OutboxHost) {
    this.#host = host;
    this.#window = new SendWindow(host.sendBufferBytes);
    this.#departures = new Departures(host, this.#window);
    this.#gates = new AddressGates(host);
    this.#waiting = new WaitingSends(host.sendBufferBytes);
  }

  /** The mark for messages that are encoded now; `undefined` in transactions, which repeat nothing. */
  get mark(): Uint8Array | undefined {
    return this.#departures.mark;
  }

  /** Sends that wait, or are not answered. */
  get pendingCount(): number {
    const uploadCount = this.#upload === undefined ? 0 : 1;
    return this.#waiting.count + this.#window.length + this.#toRepeat.length + uploadCount;
  }

  /**
   * Sends a message; settles when the broker has it safe, or when it has left, as `manner` says. Without
   * one that is as it is usual: in a transaction when it has left.
   *
   * @throws EverholdError with outcome `none` or `unknown`
   */
  send(
    target: SendTarget,
    message: EncodedMessage,
    wait?: WaitOptions,
    manner?: SendManner,
  ): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const send = new PendingSend(target, message, { resolve, reject }, manner);
      if (this.#endError !== undefined) return send.reject(this.#endError);
      const refusal = this.#waiting.refusal(send.bytes);
      if (refusal !== undefined) return send.reject(refusal);
      const gate = this.#gates.get(target, this.#channel, this.#upload?.gate);
      if (wait?.signal !== undefined || wait?.timeout !== undefined)
        this.#limitWait(gate, send, wait);
      if (send.settled) return;
      this.#waiting.add(gate, send);
      this.#pump();
    });
  }

  /** Settles when no send waits or is unanswered. Sends that come meanwhile are waited for too. */
  idle(): Promise<void> {
    if (this.pendingCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** The session stands on a new channel: repeats what was not answered, then goes on. */
  async attach(channel: Channel): Promise<void> {
    this.#channel = channel;
    this.#departures.attach();
    if (this.#toRepeat.length > 0) await this.#repeat(channel);
    this.#pump();
  }

  /** The session goes on with another connection. */
  onReturned(): void {
    this.#pump();
  }

  /** Sends that have left and are not answered. */
  get unansweredCount(): number {
    return this.#window.length;
  }

  /** Sends that will be sent again on the next life. */
  get repeatCount(): number {
    return this.#toRepeat.length;
  }

  /** Sends that were rejected because nobody can tell what became of them, since the session began. */
  get lostCount(): number {
    return this.#lostCount;
  }

  /** The connection is gone. What may be repeated is kept, the rest is settled as unknown. */
  detach(cause: EverholdError): void {
    this.#channel = undefined;
    this.#repeating = false;
    this.#gates.reset();
    const all = [...this.#window.drain(), ...this.#cutUpload(cause), ...this.#toRepeat];
    const { transacted } = this.#host;
    const kept: PendingSend[] = [];
    const lost: PendingSend[] = [];
    for (const send of all) (send.repeatable && !transacted ? kept : lost).push(send);
    this.#toRepeat = kept.toSorted((a, b) => a.order - b.order);
    this.#loseAll(lost, cause);
    this.#checkIdle();
  }

  /** Whoever waits waits no longer. What has left is sent again all the same: a number left out would make a gap. */
  releaseWaiting(error: EverholdError): void {
    this.rejectWaiting(error);
    for (const send of [...this.#window.all(), ...this.#toRepeat]) {
      send.reject(noteDoubt(overdueSendError(error), send.number));
    }
  }

  /** The next broker is another one: whether the last one has what was not answered it cannot say. */
  leaveNode(cause: EverholdError): void {
    const lost = this.#toRepeat;
    this.#toRepeat = [];
    this.#loseAll(lost, cause);
    this.#departures.renewIdentity();
    this.#checkIdle();
  }

  /** Settles everything with `error` for good; sends that have left as unknown. */
  end(error: EverholdError): void {
    this.#endError ??= error;
    this.#endUpload(error);
    const lost = [...this.#window.drain(), ...this.#toRepeat];
    this.#toRepeat = [];
    this.#loseAll(lost, error);
    this.rejectWaiting(error);
  }

  /** Refuses the sends that have not left. */
  rejectWaiting(error: EverholdError): void {
    // Before the upload that they wait for ends: its end would let them leave.
    for (const send of this.#waiting.drain()) send.reject(error);
    this.#endUpload(error);
    this.#checkIdle();
  }

  /** Credit from the broker. */
  onCredits(address: string, credits: number, failed: boolean): void {
    const gate = this.#gates.find(address);
    if (gate === undefined) return;
    if (failed) {
      gate.refuse();
      if (this.#upload?.send.target.address === address) {
        this.#endUpload(addressFullError(address));
      } else this.#rejectFirst(gate, addressFullError(address));
    } else {
      gate.grant(credits);
    }
    this.#pump();
  }

  /** The broker's answer to one send. */
  onSettled(correlationId: number, error: EverholdError | undefined): void {
    const send = this.#window.answer(correlationId);
    if (send === undefined) return;
    if (error === undefined) {
      send.resolve();
      send.finish();
    } else this.#onRefused(send, error);
    this.#pump();
    this.#checkIdle();
  }

  /** Tells about addresses whose sends have been waiting for credit for long. */
  onHeartbeat(nowMs: number): void {
    this.#gates.onHeartbeat(nowMs);
  }

  #limitWait(gate: AddressGate, send: PendingSend, wait: WaitOptions): void {
    const { ports } = this.#host;
    const deadlineMs = deadlineIn(ports, wait.timeout ?? Infinity);
    const subject = { attempt: `send to ${send.target.address}`, outcome: () => send.outcome };
    send.forget = onWaitEnd(ports, { deadlineMs, signal: wait.signal }, subject, (error) => {
      send.reject(noteDoubt(error, send.number));
      if (!send.sent && this.#waiting.remove(gate, send)) this.#checkIdle();
    });
  }

  #pump(): void {
    const channel = this.#channel;
    // While the connection is broken nothing leaves: it may never be sent.
    if (channel?.isUp === false) return;
    if (channel === undefined || this.#repeating || this.#endError !== undefined) return;
    if (this.#upload !== undefined) return this.#upload.wake();
    const countMax = this.#host.keepsOutcomes()
      ? limits.unconfirmedSendCountMax
      : limits.unconfirmedSendCountByIdMax;
    const { turns } = this.#waiting;
    for (let stuck = 0; stuck < turns.length;) {
      const gate = turns.at(0);
      const send = gate?.waiting.at(0);
      if (gate === undefined || send === undefined) return;
      if (!this.#window.hasRoom(send.bytes, countMax)) return;
      const canLeave = this.#canLeave(channel, gate, send);
      // A listener that was told that sends go on may have ended them, or sent something itself.
      if (this.#channel !== channel || this.#endError !== undefined) return;
      if (turns.at(0) !== gate || gate.waiting.at(0) !== send) continue;
      turns.shift();
      if (canLeave) {
        stuck = 0;
        this.#waiting.takeTurn(gate);
        gate.take(send.bytes);
        this.#leave(channel, gate, send);
        if (gate.waiting.length > 0) turns.push(gate);
        if (this.#upload !== undefined) return;
      } else {
        stuck += 1;
        turns.push(gate);
      }
    }
  }

  #canLeave(channel: Channel, gate: AddressGate, send: PendingSend): boolean {
    if (gate.state === "closed") this.#openGate(channel, gate);
    return (
      gate.state === "open" && send.hasRoom && this.#gates.hasCredit(channel, gate, send.bytes)
    );
  }

  #openGate(channel: Channel, gate: AddressGate): void {
    gate.state = "opening";
    this.#host.openAddress(channel, gate.target).then(
      () => {
        if (this.#channel !== channel) return;
        this.#gates.start(channel, gate);
        this.#pump();
      },
      (error: unknown) => {
        if (this.#channel !== channel || channel.lostError !== undefined) return;
        gate.state = "closed";
        this.#rejectGate(gate, error);
      },
    );
  }

  #leave(channel: Channel, gate: AddressGate, send: PendingSend): void {
    this.#departures.stamp(send);
    this.#host.onLeaving();
    if (send.message.source !== undefined) return this.#startUpload(channel, gate, send);
    this.#departures.write(channel, gate, send);
    // Of what is not answered nothing more is heard.
    this.#checkIdle();
  }

  /** Sends a message whose body is read meanwhile. */
  #startUpload(channel: Channel, gate: AddressGate, send: PendingSend): void {
    const upload = new Upload(
      {
        partBytesMax: this.#host.minLargeMessageBytes,
        allows: (bytes) => this.#gates.hasCredit(channel, gate, bytes),
        onLast: () => this.#departures.depart(gate, send),
        onSent: () => {
          this.#upload = undefined;
          this.#pump();
          this.#checkIdle();
        },
        onFailed: (error) => {
          send.reject(error);
        },
      },
      channel,
      gate,
      send,
    );
    this.#upload = upload;
    send.onRejected = () => this.#dropUpload(upload);
    upload.start();
  }

  /** Its caller was told that it failed: the rest does not leave. */
  #dropUpload(upload: Upload): void {
    upload.stop();
    if (this.#upload !== upload) return;
    this.#upload = undefined;
    this.#pump();
    this.#checkIdle();
  }

  #endUpload(error: unknown): void {
    this.#upload?.send.reject(error);
  }

  /** The connection broke: the message whose body was on its way, if it can be sent again from the start. */
  #cutUpload(cause: EverholdError): PendingSend[] {
    const upload = this.#upload;
    if (upload === undefined) return [];
    const { send } = upload;
    this.#upload = undefined;
    send.onRejected = undefined;
    upload.stop();
    // Its last part has left: what becomes of it is as unknown as of any other.
    if (send.sent) return [];
    if (send.repeatable && !this.#host.transacted) return [send];
    send.reject(this.#host.transacted ? undoneSendError(cause) : cutSendError(cause));
    return [];
  }

  /**
   * Sends again, in order, what was not answered on the last connection. It was granted credit there,
   * so it waits for none here: order goes before credit, because a broker refuses a gap.
   */
  async #repeat(channel: Channel): Promise<void> {
    this.#repeating = true;
    for (const gate of new Set(
      this.#toRepeat.map(({ target }) => this.#gates.get(target, channel)),
    )) {
      gate.state = "opening";
      try {
        await this.#host.openAddress(channel, gate.target);
      } catch (error) {
        // The broker decides about each send itself: leaving one out would make a gap.
        if (channel.lostError !== undefined) return;
        this.#host.onError(error);
      }
      if (this.#channel !== channel) return;
      this.#gates.start(channel, gate);
    }
    const sends = this.#toRepeat;
    this.#toRepeat = [];
    for (const send of sends) this.#leave(channel, this.#gates.get(send.target, channel), send);
    this.#repeating = false;
  }

  #onRefused(send: PendingSend, error: EverholdError): void {
    switch (error.code) {
      case "EVH_PRODUCER_UNKNOWN":
        return this.#renewIdentity(send, error);
      case "EVH_PRODUCER_GAP":
        return this.#onGap(send, error);
      default: {
        // A broker that keeps no outcomes judges the repeat alone; the first copy may have been taken.
        const unknown = send.repeated && !this.#host.keepsOutcomes();
        this.#refuse(send, unknown ? withUnknownOutcome(error) : error);
      }
    }
  }

  /** The broker forgot this producer: what has left can't be told apart from repeats any more. */
  #renewIdentity(send: PendingSend, error: EverholdError): void {
    this.#refuse(send, withUnknownOutcome(error));
    for (const other of this.#window.drain()) this.#refuse(other, withUnknownOutcome(error));
    this.#departures.renewIdentity();
  }

  /** Everything from the gap on is repeated, in order, on a fresh link; if that does not close it, nothing will. */
  #onGap(send: PendingSend, error: EverholdError): void {
    if (send.sequence === this.#gapSequence) return this.#renewIdentity(send, error);
    this.#gapSequence = send.sequence;
    this.#toRepeat.push(send);
    this.#channel?.beginAnew(
      new ConnectionError("EVH_PRODUCER_GAP", error.message, { cause: error }),
    );
  }

  /** Tells of a refusal: whoever waits, else the connection's listeners; in a transaction its commit does. */
  #refuse(send: PendingSend, error: EverholdError): void {
    if (send.isUnattended && !this.#host.transacted) this.#host.onError(error);
    send.finish();
    send.reject(error);
  }

  /** Nobody will answer these any more. */
  #loseAll(sends: readonly PendingSend[], cause: EverholdError): void {
    let unattendedCount = 0;
    if (!this.#host.transacted) this.#lostCount += sends.length;
    for (const send of sends) {
      if (send.isUnattended) unattendedCount += 1;
      send.finish();
      const error = this.#host.transacted ? undoneSendError(cause) : lostSendError(cause);
      send.reject(noteDoubt(error, send.number));
    }
    if (unattendedCount === 0 || this.#host.transacted) return;
    // One for all: there may be tens of thousands.
    this.#host.onError(lostSendError(cause, unattendedCount));
  }

  #rejectFirst(gate: AddressGate, error: EverholdError): void {
    const send = this.#waiting.takeFirst(gate);
    if (send === undefined) return;
    send.reject(error);
    this.#checkIdle();
  }

  #rejectGate(gate: AddressGate, error: unknown): void {
    for (const send of this.#waiting.drainGate(gate)) send.reject(error);
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.#idleWaiters.length === 0 || this.pendingCount > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}
