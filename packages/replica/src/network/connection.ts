import { type EverholdError, ProtocolError } from "@everhold/base";
import type { Link, Timer, Timers } from "@everhold/env";
import { type Frame, readFrame, writeFrame } from "@everhold/group";
import { FrameStream, type StreamOwner } from "./frame-stream.ts";
import { type Greeting, type RefusalReason, refusals, writeGreeting } from "./greeting.ts";
import type { Answer, Introduction } from "./introduction.ts";
import { limits } from "./limits.ts";

/** Bytes of any frame but its piece, or its table of epochs, at most. */
const frameBytesHint = 256;
const epochBytes = 12;

/** Why a connection did not become a link, for the log. */
export interface Refusal {
  readonly reason: RefusalReason | "unknown";
  /** Who refused. */
  readonly by: "us" | "them";
  readonly details: { readonly found?: string; readonly expected?: string };
}

/** Who is told what becomes of a {@link Connection}. */
export interface ConnectionOwner {
  /** The other side is this member. Returns the link's number, or why it is not welcome all the same. */
  admit(connection: Connection, id: string): number | RefusalReason;
  /** It is a link from now on: its number and its member are known. */
  onLinked(connection: Connection, link: number, id: string): void;
  onFrame(link: number, frame: Frame): void;
  onDrained(link: number): void;
  /** It does not become a link; `onClosed` follows. */
  onRefused(connection: Connection, refusal: Refusal): void;
  /** The link is ended because of what the other side did or failed to do; `onClosed` follows. */
  onFailed(connection: Connection, error: EverholdError): void;
  onClosed(connection: Connection, error: Error | undefined): void;
}

/**
 * One connection between two members.
 *
 *     stranger ──both have proved who they are──▶ linked ──▶ closed
 *        └── wrong proof, bad bytes, too late ──▶ refused ────▲
 */
export class Connection implements StreamOwner {
  readonly stream: FrameStream;
  readonly #timers: Timers;
  readonly #owner: ConnectionOwner;
  readonly #introduction: Introduction;
  #state: "stranger" | "linked" | "refused" | "closed" = "stranger";
  #link = 0;
  #id: string | undefined;
  #deadline: Timer;

  constructor(timers: Timers, link: Link, introduction: Introduction, owner: ConnectionOwner) {
    this.#timers = timers;
    this.#owner = owner;
    this.#introduction = introduction;
    this.stream = new FrameStream(timers, link, this);
    this.#deadline = timers.after(limits.greetingMsMax, () => {
      this.refuse("late", { expected: `a proof within ${limits.greetingMsMax} ms` });
    });
  }

  /** The link's number, where it became one. */
  get link(): number | undefined {
    return this.#id === undefined ? undefined : this.#link;
  }

  /** Who the other side has proved to be. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Says something before frames. */
  greet(greeting: Greeting): void {
    this.stream.write(limits.greetingBytesMax, (writer) => writeGreeting(writer, greeting));
  }

  /** Sends a frame. @throws RangeError for a value that does not fit */
  send(frame: Frame): void {
    if (this.#state !== "linked") return;
    this.stream.write(bytesHintOf(frame), (writer) => writeFrame(writer, frame));
  }

  /** Tells the other side, and the owner, why this does not become a link. */
  refuse(reason: RefusalReason, details: Refusal["details"] = {}): void {
    if (this.#state !== "stranger") return;
    this.greet({ kind: "refusal", reason: refusals[reason][0] });
    this.#end();
    this.#owner.onRefused(this, { reason, by: "us", details });
  }

  /** Ends it at once. `onClosed` follows. */
  destroy(): void {
    this.#deadline.cancel();
    this.stream.destroy();
  }

  onPayload(bytes: Uint8Array): void {
    if (this.#state === "stranger") this.#onAnswer(this.#introduction.onGreeting(bytes));
    else if (this.#state === "linked") this.#owner.onFrame(this.#link, readFrame(bytes));
  }

  onDrained(): void {
    if (this.#state === "linked") this.#owner.onDrained(this.#link);
  }

  onUnusable(error: EverholdError): void {
    if (this.#state === "stranger" && error instanceof ProtocolError) {
      return this.refuse("protocol", { found: error.message });
    }
    this.destroy();
    this.#owner.onFailed(this, error);
  }

  onClosed(error: Error | undefined): void {
    this.#state = "closed";
    this.#deadline.cancel();
    this.#owner.onClosed(this, error);
  }

  #onAnswer(answer: Answer): void {
    switch (answer.kind) {
      case "answer":
        return this.greet(answer.greeting);
      case "known":
        return this.#onKnown(answer.id, answer.greeting);
      case "refuse":
        return this.refuse(answer.reason, { found: answer.found, expected: answer.expected });
      case "refused":
        this.#end();
        return this.#owner.onRefused(this, {
          reason: answer.reason ?? "unknown",
          by: "them",
          details: {},
        });
    }
  }

  #onKnown(id: string, welcome: Greeting | undefined): void {
    const link = this.#owner.admit(this, id);
    if (typeof link !== "number") return this.refuse(link);
    if (welcome !== undefined) this.greet(welcome);
    this.#deadline.cancel();
    this.#state = "linked";
    this.#link = link;
    this.#id = id;
    this.stream.becomeKnown();
    this.#owner.onLinked(this, link, id);
  }

  /** What was said last still goes out; who does not close then is cut off. */
  #end(): void {
    this.#state = "refused";
    this.#deadline.cancel();
    this.stream.end();
    this.#deadline = this.#timers.after(limits.farewellMsMax, () => this.stream.destroy());
  }
}

function bytesHintOf(frame: Frame): number {
  if (frame.kind === "append") return frameBytesHint + frame.piece.length;
  if (frame.kind === "hello") return 3 * frameBytesHint + frame.epochs.length * epochBytes;
  return frameBytesHint;
}
