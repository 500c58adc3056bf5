import type { Outcome } from "@everhold/base";
import type { EncodedMessage } from "../message/encode-message.ts";
import type { SendTarget } from "../message/send-options.ts";
import type { ProducerNumber } from "../core/number-calls.ts";
import type { ProducerIdentity } from "./producer-identity.ts";
import type { AsyncSends } from "./async-sends.ts";

/** How a send is to be done. */
export interface SendManner {
  /** Whether its caller is told as it leaves. */
  readonly isAsync: boolean;
  /** Those of its producer that nobody waits for. */
  readonly asyncSends: AsyncSends;
}

/** One send between `send()` and its end. */
export class PendingSend {
  readonly target: SendTarget;
  readonly message: EncodedMessage;
  readonly manner: SendManner | undefined;
  /** What it takes of credit and of the send buffer. */
  readonly bytes: number;
  /** Of the current channel; 0 while it has not left. */
  correlationId = 0;
  /** Its number in the producer's row; 0 while it has not left, and for sends without a mark. */
  sequence = 0;
  /** Whose row that is. */
  identity: ProducerIdentity | undefined;
  /** Its place among all sends of the session, by when they first left. */
  order = 0;
  /** Whether it has been on the wire at all. */
  sent = false;
  /** Whether it has been on the wire more than once. */
  repeated = false;
  /** Whether the caller has been told. A settled send may still have to be repeated, to leave no gap. */
  settled = false;
  /** Whether its caller was told as it left, so that nobody waits for what becomes of it. */
  isUnattended = false;
  /** Told when its caller is told of a failure. */
  onRejected: (() => void) | undefined;
  /** Forgets the caller's signal and time limit. */
  forget: (() => void) | undefined;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    target: SendTarget,
    message: EncodedMessage,
    settle: { readonly resolve: () => void; readonly reject: (error: unknown) => void },
    manner: SendManner | undefined,
  ) {
    this.target = target;
    this.message = message;
    this.manner = manner;
    this.bytes = message.bytes.length;
    this.#resolve = settle.resolve;
    this.#reject = settle.reject;
  }

  /** Whether its producer's window lets it leave. */
  get hasRoom(): boolean {
    return this.manner?.asyncSends.hasRoom !== false;
  }

  /** It leaves for the first time, and its caller does not wait any longer. */
  leaveUnattended(): void {
    this.isUnattended = true;
    this.manner?.asyncSends.add(this.bytes);
    this.resolve();
  }

  /** Nothing more will become of it. */
  finish(): void {
    if (!this.isUnattended) return;
    this.isUnattended = false;
    this.manner?.asyncSends.remove(this.bytes);
  }

  /** Whether a second copy would be dropped by the broker. */
  get repeatable(): boolean {
    const { sequenceAt, durable, hasDuplicateId, source } = this.message;
    if (source?.isRepeatable === false) return false;
    return sequenceAt >= 0 || (durable && hasDuplicateId);
  }

  /** Under which number the broker keeps what became of it, once it has left. */
  get number(): ProducerNumber | undefined {
    return this.sequence === 0 ? undefined : this.identity?.numberOf(this.sequence);
  }

  /** What is known of its effect when nobody answers any more. */
  get outcome(): Outcome {
    return this.sent ? "unknown" : "none";
  }

  /** Tells the caller that the broker has it. */
  resolve(): void {
    if (this.settled) return;
    this.settled = true;
    this.forget?.();
    this.#resolve();
  }

  /** Tells the caller what became of it. */
  reject(error: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.forget?.();
    this.#reject(error);
    this.onRejected?.();
  }
}
